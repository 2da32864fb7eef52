"""`balora train --print-config` and `balora init` write files that give the same run again."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from running import Balora

from balora.cli.assignments import gather
from balora.cli.config_text import config_text
from balora.training.spec import resolve, setting_keys

JUDGE = {"scoring.judge.url": "http://127.0.0.1:1/v1", "scoring.judge.model": "judge"}
GIVEN: list[dict[str, Any]] = [
    {"task": "cola", "model": "model"},
    {"task": "gsm8k", "model": "~/a: b", "method": "full+reg"},
    {"task": "facts", "model": "testbed", "method": "lora", "testbed.seed": 3},
    {"task": "metamathqa", "model": "model", "score": ["gsm8k", "math500"]},
    {"task": "cola", "model": "model", "objective.share": 0.1},
    {"task": "cola", "model": "model", "objective.edition": "arxiv-v5", "objective.formulation": "nlg"},
    {"task": "sst2", "model": "1e3", "training.learning_rate": 1e-5, "model.quantization": "nf4"},
    {"task": "sst2", "model": "m", "adapter.target_modules": ["q_proj", "1"], "training.steps": 10},
    {"task": "gsm8k", "model": "m", "data.prompt": 'a: {question}\n"# no comment\\'},
]


@pytest.mark.parametrize("given", GIVEN, ids=lambda given: f"{given['task']}-{len(given)}")
def test_the_file_gives_the_same_run(given: dict[str, Any], tmp_path: Path) -> None:
    spec = resolve(given)
    (tmp_path / "c.yaml").write_text(config_text(spec, given["task"]), encoding="utf-8")
    assert gather(tmp_path / "c.yaml", {}, []) == spec


def test_what_no_file_may_give_is_left_to_the_command_line(tmp_path: Path) -> None:
    given = {"task": "wizardlm", "model": "m", "trust_remote_code": True, **JUDGE}
    (tmp_path / "c.yaml").write_text(config_text(resolve(given), "wizardlm"), encoding="utf-8")
    typed = ["trust_remote_code=true", f"scoring.judge.url={JUDGE['scoring.judge.url']}"]
    assert gather(tmp_path / "c.yaml", {}, typed) == resolve(given)


def test_train_prints_every_setting_and_makes_nothing(balora: Balora, tmp_path: Path) -> None:
    done = balora("train", "-m", "model", "-t", "cola", "-s", "adapter.rank=4", "--print-config")
    printed = yaml.safe_load(done.out)
    assert (done.code, done.err) == (0, "")
    assert printed["adapter.rank"] == 4
    absent = {"own", "trust_remote_code", "unsafe_local_execution", "adapter", "testbed", "scoring.judge"}
    absent |= {"objective.preset", "objective.scale", "objective.share"}
    assert set(setting_keys()) - set(printed) == {
        key for key in setting_keys() if key in absent or key.startswith(("testbed.", "scoring.judge."))
    }


def test_train_needs_a_folder_for_its_run(balora: Balora) -> None:
    done = balora("train", "--model", "model", "--task", "cola")
    assert done.code == 2
    assert done.err == (
        "balora: error: --output: a run needs a folder for its record, scores and adapter, e.g. --output runs/one\n"
    )


def test_init_writes_what_is_usual_and_the_rest_as_comments(balora: Balora, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    done = balora("init", file, "--task", "cola", "--model", "model", "--method", "lora", "--data", "data")
    assert done.out == f"{file}: written; edit it, then run `balora train --config {file} --output FOLDER`\n"
    text = file.read_text(encoding="utf-8")
    assert gather(file, {}, []) == resolve({"task": "cola", "model": "model", "method": "lora", "data.folder": "data"})
    assert "\nadapter.rank: 16\n" in text
    assert "\n# Share of the steps over which the learning rate rises. (number ≥ 0, < 1; default: 0.03) Else" in text
    assert "\n# training.warmup: 0.03\n" in text
    again = balora("init", file, "--task", "cola")
    assert (again.code, file.read_text(encoding="utf-8")) == (2, text)


def test_init_refuses_what_no_run_could_take(balora: Balora, tmp_path: Path) -> None:
    done = balora("init", tmp_path / "c.yaml", "--task", "colla")
    assert done.code == 2
    assert "did you mean 'cola'?" in done.err
    assert not (tmp_path / "c.yaml").exists()


def test_a_task_file_is_named_by_its_path(balora: Balora, tmp_path: Path) -> None:
    task = Path(__file__).parents[2] / "examples" / "tickets.yaml"
    done = balora("init", tmp_path / "c.yaml", "--task", task)
    assert done.code == 0
    assert gather(tmp_path / "c.yaml", {}, []) == resolve({"task": str(task), "model": "MODEL"})
