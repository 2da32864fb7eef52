"""What `evaluate --harness` refuses: one line, exit code 2, nothing written; and what code it never runs."""

import builtins
import json
import shutil
import sys
from pathlib import Path

import pytest
from harness_cases import CHOICE, CHOICES, GENERATE, NAMES, define, evaluate, run_balora, write_rows

from balora.errors import ConfigError
from balora.harness import lm_eval_library

pytest.importorskip("lm_eval")


def refused(ended, output: Path, *says: str) -> None:
    assert (ended.code, ended.out) == (2, ""), ended
    assert ended.err.count("\n") == 1, ended.err
    assert ended.err.startswith("balora: error: ")
    assert "bug in balora" not in ended.err
    for words in says:
        assert words in ended.err, ended.err
    assert not output.exists()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


HARNESS = ("evaluate", "--harness", "lm-eval", "--model", "model", "--tasks", "hellaswag")
OPTIONS = {
    "another harness": (
        ("evaluate", "--harness", "lmeval", "--model", "m", "--task", "x", "--output", "out"),
        ("unknown harness 'lmeval': did you mean 'lm-eval'?",),
    ),
    "no task": (("evaluate", "--harness", "lm-eval", "--model", "m", "--tasks", " , "), ("needs a task", "--tasks")),
    "no output": (HARNESS, ("--output FOLDER",)),
    "data": ((*HARNESS, "--output", "out", "--data", "d"), ("--data 'd'", "--include-path")),
    "programs": ((*HARNESS, "--output", "out", "--unsafe-local-execution"), ("--unsafe-local-execution does not act",)),
    "a setting": (
        (*HARNESS, "--output", "out", "--set", "data.eval_rows=3"),
        ("'data.eval_rows' does not act", "only training.eval_batch_size does"),
    ),
    "no rows": ((*HARNESS, "--output", "out", "--limit", 0), ("limit:", "got 0")),
    "fewer than no examples": ((*HARNESS, "--output", "out", "--num-fewshot", -1), ("num_fewshot:", "got -1")),
    "an empty batch": ((*HARNESS, "--output", "out", "--set", "training.eval_batch_size=0"), ("eval_batch_size", "0")),
    "no folder": ((*HARNESS, "--output", "out", "--include-path", "no"), ("--include-path no: no such folder",)),
    "the testbed": (
        ("evaluate", "--harness", "lm-eval", "--model", "testbed", "--tasks", "x", "--output", "out"),
        ("--model testbed", "leave --harness out"),
    ),
    "limit without harness": (
        ("evaluate", "--model", "m", "--task", "cola", "--limit", 3),
        ("--limit 3 acts only together with --harness lm-eval", "data.eval_rows"),
    ),
    "examples without harness": (
        ("evaluate", "--model", "m", "--task", "cola", "--num-fewshot", 0),
        ("--num-fewshot 0 acts only together",),
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_do_not_fit_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words, says = OPTIONS[name]
    refused(run_balora(*words), tmp_path / "out", *says)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    checkpoint: Path, stories: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lm_eval_library, "find_spec", lambda name: None)
    ended = evaluate(checkpoint, "stories_choice", stories, out)
    refused(ended, out, "needs the package lm-eval, which is not installed: pip install 'balora[lm-eval]'")


@pytest.mark.parametrize("found", ["0.4.9", "0.4", "0.5.0", "1.0"])
def test_another_version_of_the_package_is_refused(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm_eval_library, "version", lambda name: found)
    with pytest.raises(ConfigError, match=f"from 0.4.13 to below 0.5, got {found}"):
        lm_eval_library.require_lm_eval()


def test_an_unknown_task_is_refused_with_the_nearest_and_ones_own(
    checkpoint: Path, stories: Path, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = define(tmp_path / "few", {**CHOICE, "task": "hellaswag"})
    monkeypatch.setattr("lm_eval.tasks.manager.__file__", str(own / "manager.py"))  # reading all takes half a minute
    ended = evaluate(checkpoint, "stories_chioce", stories, out)
    nearest = "unknown task of lm-eval 'stories_chioce': did you mean 'stories_choice'?"
    refused(ended, out, nearest, f"({stories} defines stories_choice, stories_name)")
    words = ("evaluate", "--harness", "lm-eval", "--model", checkpoint, "--tasks", "helaswag", "--output", out)
    refused(run_balora(*words), out, "did you mean 'hellaswag'?", "--include-path FOLDER")


def test_a_data_set_that_needs_a_network_is_refused(checkpoint: Path, tmp_path: Path, out: Path) -> None:
    tasks = define(tmp_path / "tasks", {**CHOICE, "dataset_path": "nobody/knows-this"})
    ended = evaluate(checkpoint, "stories_choice", tasks, out)
    refused(ended, out, "data set 'nobody/knows-this' cannot be loaded", "HF_HUB_OFFLINE=0", "--include-path")


def test_data_that_is_missing_empty_or_of_other_columns_is_refused(checkpoint: Path, tmp_path: Path, out: Path) -> None:
    for number, (rows, says) in enumerate(
        [
            (tmp_path / "nowhere.jsonl", "cannot be loaded"),
            (write_rows(tmp_path / "none.jsonl", []), "lm-eval cannot use its definition or its data"),
            (write_rows(tmp_path / "other.jsonl", [{"text": "x"}]), "'story' is undefined"),
        ]
    ):
        tasks = define(tmp_path / f"tasks-{number}", CHOICE, test=rows)
        refused(evaluate(checkpoint, "stories_choice", tasks, out), out, "'stories_choice'", says)


DEFINITIONS = {
    "no YAML": ("task: [", "is no YAML"),
    "no definition": ("hello: there\n", "cannot be read: Unknown config shape"),
    "another kind of output": ("task: stories_choice\noutput_type: poem\ndataset_path: json\n", "poem"),
    "a missing file that it includes": ("task: stories_choice\ninclude: gone.yaml\n", "No such file"),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_broken_definition_is_refused(name: str, checkpoint: Path, tmp_path: Path, out: Path) -> None:
    text, says = DEFINITIONS[name]
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "broken.yaml").write_text(text)
    refused(evaluate(checkpoint, "stories_choice", tmp_path / "tasks", out), out, says)


def test_a_folder_without_definitions_is_refused(checkpoint: Path, tmp_path: Path, out: Path) -> None:
    (tmp_path / "tasks").mkdir()
    refused(evaluate(checkpoint, "stories_choice", tmp_path / "tasks", out), out, "no task definition there")


CODE = """
from pathlib import Path
Path(__file__).with_name("ran").touch()
def keep(docs):
    return docs
"""


@pytest.mark.parametrize("place", ["itself", "an included file"])
def test_functions_of_a_definition_run_only_when_trusted(
    place: str, checkpoint: Path, tmp_path: Path, out: Path
) -> None:
    tasks = define(tmp_path / "tasks", CHOICE, test=write_rows(tmp_path / "rows.jsonl", CHOICES))
    (tasks / "code.py").write_text(CODE)
    definition, line = tasks / "stories_choice.yaml", "process_docs: !function code.keep\n"
    if place == "itself":
        definition.write_text(definition.read_text() + line)
    else:
        (tmp_path / "elsewhere.yaml").write_text(line.replace("code.keep", "tasks.code.keep"))
        definition.write_text(definition.read_text() + "include: ../elsewhere.yaml\n")
    ended = evaluate(checkpoint, "stories_choice", tasks, out)
    refused(ended, out, "calls Python functions (`!function`)", "--trust-remote-code")
    assert not (tasks / "ran").exists()
    trusted = evaluate(checkpoint, "stories_choice", tasks, out, "--trust-remote-code")
    assert trusted.code == 0, trusted.err
    assert (tasks / "ran").exists()
    assert "warning: Python code that comes with" in trusted.err


def test_a_template_cannot_reach_python(checkpoint: Path, tmp_path: Path, out: Path, monkeypatch) -> None:
    reached: list[str] = []
    monkeypatch.setattr(builtins, "reached", reached.append, raising=False)
    attack = "{{ cycler.__init__.__globals__.__builtins__.reached('x') }}{{story}}"
    tasks = define(
        tmp_path / "tasks", {**CHOICE, "doc_to_text": attack}, test=write_rows(tmp_path / "rows.jsonl", CHOICES)
    )
    refused(evaluate(checkpoint, "stories_choice", tasks, out), out, "SecurityError")
    assert reached == []
    assert evaluate(checkpoint, "stories_choice", tasks, out, "--trust-remote-code").code == 0  # as the harness has it
    assert reached


METRIC = """
from pathlib import Path
Path(PLACE).touch()
import datasets
import evaluate
class Metric(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        features = datasets.Features({"predictions": text, "references": text})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)
    def _compute(self, predictions, references):
        return {"own": 1.0}
"""


def test_a_metric_that_is_a_program_runs_only_when_trusted(
    checkpoint: Path, tmp_path: Path, out: Path, monkeypatch
) -> None:
    """`evaluate.load`, to which the harness hands every name that it does not know, runs the file of that name."""
    monkeypatch.setattr("datasets.config.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("evaluate.config.HF_MODULES_CACHE", str(tmp_path / "modules"))
    code, ran = tmp_path / "own_metric.py", tmp_path / "ran"
    code.write_text(METRIC.replace("PLACE", repr(str(ran))))
    metrics = [{"metric": str(code), "aggregation": "mean", "higher_is_better": True}]
    rows = write_rows(tmp_path / "rows.jsonl", NAMES)
    tasks = define(tmp_path / "tasks", {**GENERATE, "metric_list": metrics}, test=rows)
    ended = evaluate(checkpoint, "stories_name", tasks, out)
    refused(ended, out, "own_metric.py", "is a program", "--trust-remote-code")
    assert not ran.exists()


def test_a_task_that_would_run_programs_is_refused(checkpoint: Path, tmp_path: Path, out: Path) -> None:
    task = {**GENERATE, "unsafe_code": True}
    tasks = define(tmp_path / "tasks", task, test=write_rows(tmp_path / "rows.jsonl", NAMES))
    refused(evaluate(checkpoint, "stories_name", tasks, out), out, "would run generated programs without a sandbox")


def test_more_new_tokens_than_the_model_has_positions_are_refused(checkpoint: Path, tmp_path: Path, out: Path) -> None:
    task = {**GENERATE, "generation_kwargs": {"until": ["."], "max_gen_toks": 600}}
    tasks = define(tmp_path / "tasks", task, test=write_rows(tmp_path / "rows.jsonl", NAMES))
    refused(
        evaluate(checkpoint, "stories_name", tasks, out),
        out,
        "generates up to 600 tokens",
        "512 positions",
        "max_gen_toks",
    )


# --- models and adapters ------------------------------------------------------------------------------------------


def test_an_adapter_in_the_training_form_is_refused_with_the_reason(
    checkpoint: Path, stories: Path, tmp_path: Path, out: Path
) -> None:
    from transformers import AutoModelForCausalLM

    from balora.adapters import AdapterConfig, attach, export_adapter

    attached = attach(AutoModelForCausalLM.from_pretrained(checkpoint), AdapterConfig(rank=2, init="pissa"))
    attached.save_pretrained(tmp_path / "training-form")
    ended = evaluate(checkpoint, "stories_choice", stories, out, "--adapter", tmp_path / "training-form")
    refused(ended, out, "training-form", "offset form", "half precision", "export it with `export_adapter`")
    export_adapter(attached, tmp_path / "export")
    assert evaluate(checkpoint, "stories_choice", stories, out, "--adapter", tmp_path / "export").code == 0


def test_an_adapter_that_lacks_a_tensor_is_refused_as_by_evaluate(
    run: Path, checkpoint: Path, stories: Path, tmp_path: Path, out: Path
) -> None:
    from safetensors.torch import load_file, save_file

    adapter = Path(shutil.copytree(run / "adapter", tmp_path / "torn"))
    tensors = load_file(adapter / "adapter_model.safetensors")
    tensors.pop(min(tensors))
    save_file(tensors, adapter / "adapter_model.safetensors")
    ended = evaluate(checkpoint, "stories_choice", stories, out, "--adapter", adapter)
    refused(ended, out, "does not fit the model", "lacks 1 tensor")


def test_a_run_is_refused_on_another_base_twice_or_damaged(
    run: Path, checkpoint: Path, stories: Path, tmp_path: Path, out: Path
) -> None:
    other = Path(shutil.copytree(checkpoint, tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    ended = evaluate(other, "stories_choice", stories, out, "--adapter", run)
    refused(ended, out, "is not the base that the run was trained on")
    ended = evaluate(run, "stories_choice", stories, out, "--adapter", run / "adapter")
    refused(ended, out, "is the folder of a run: leave --adapter")
    damaged = Path(shutil.copytree(run, tmp_path / "damaged"))
    (damaged / "adapter" / "adapter_config.json").write_text("{}")
    refused(evaluate(damaged, "stories_choice", stories, out), out, "damaged", "adapter_config.json")


def test_a_run_as_adapter_is_its_exported_adapter(run: Path, checkpoint: Path, stories: Path, out: Path) -> None:
    ended = evaluate(checkpoint, "stories_choice", stories, out, "--adapter", run, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["adapter"] == str(run / "adapter")


def test_a_missing_model_is_refused_before_the_harness_reads_its_tasks(
    stories: Path, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("balora.harness.score_with_harness.load_tasks", lambda *words: pytest.fail("read"))
    (tmp_path / "model").mkdir()
    refused(evaluate(tmp_path / "model", "stories_choice", stories, out), out, "config.json")


def test_a_taken_output_folder_is_refused_and_left_alone(checkpoint: Path, stories: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    ended = evaluate(checkpoint, "stories_choice", stories, tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "holds something that is no evaluation output ('thesis.tex')" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_verb_starts_without_the_harness() -> None:
    import subprocess

    probe = "from balora.cli import main\nmain(['evaluate', '--help'])\nimport sys\nassert 'lm_eval' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
