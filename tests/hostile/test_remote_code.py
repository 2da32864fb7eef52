"""Python code that comes with a model runs only if this command line allows it; no file ever can."""

import json
import shutil

import pytest
from model_cases import QUICK_WORDS, copied, edit, own_code, small_data
from refusals import check_line, refused, run_verb

from balora.cli.assignments import gather
from balora.errors import ConfigError
from balora.study.design.reading import read_study
from balora.study.plan.prepare import prepare
from balora.training.identity import run_id
from balora.training.record import read_record, write_record

NO_FILE = "a file cannot allow Python code that comes with a model"
ASK = "--trust-remote-code"


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Keep transformers' copies of imported code below the test's folder."""
    from transformers import dynamic_module_utils
    from transformers.utils import hub

    for module in (dynamic_module_utils, hub):
        monkeypatch.setattr(module, "HF_MODULES_CACHE", str(tmp_path / "modules"))


@pytest.fixture
def data(tmp_path):
    return small_data(tmp_path / "data")


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.fixture
def model(checkpoint, tmp_path, canary, modules):
    folder = copied(checkpoint, tmp_path / "model")
    own_code(folder, canary)
    return folder


def train(model, data, output, *words):
    given = ["train", "--data", data, "--task", "gsm8k", "--method", "lora", "--output", output]
    return [*given, *(["--model", model] if model else []), *QUICK_WORDS, *words]


STUDY = """
study: mine
question: Which?
model: {model}
suites: [nlg]
tasks: [gsm8k]
base: {{method: lora}}
arms:
  one: {{set: {{adapter.rank: 2}}}}
"""
WAYS = {
    "base": "base: {method: lora, trust_remote_code: true}",
    "base, dotted twice": "base: {method: lora, trust_remote_code: 'yes'}",
    "base, one": "base: {method: lora, trust_remote_code: 1}",
    "base, null": "base: {method: lora, trust_remote_code: null}",
    "arm": "arms: {one: {set: {adapter.rank: 2, trust_remote_code: true}}}",
    "arm alone": "arms: {one: {set: {trust_remote_code: true}}}",
    "factor": "factors: {a: {x: {trust_remote_code: true}, y: {adapter.rank: 3}}}",
    "grid": "grid: {trust_remote_code: [true, false]}",
    "sweep": "sweeps: {trust_remote_code: [true]}",
    "tuned, shared": "tuned: {t: {set: {trust_remote_code: true}, over: {adapter.rank: [2, 3]}}}",
    "tuned, over": "tuned: {t: {over: {trust_remote_code: [true, false]}}}",
}


def study_text(model, line):
    """The study with ``line`` in the place of, or beside, its own."""
    key = line.partition(":")[0]
    kept = STUDY.format(model=model).strip().splitlines()
    if key == "arms":
        kept = [one for one in kept if not one.startswith(("arms", "  one"))]
    return "\n".join([*(one for one in kept if not one.startswith(f"{key}:")), line]) + "\n"


@pytest.mark.parametrize("line", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_study_file_cannot_allow_it(tmp_path, line, verb):
    (tmp_path / "s.yaml").write_text(study_text("somebody/model", line), encoding="utf-8")
    output = ["--output", tmp_path / "out"] if verb == "run" else []
    refused(["study", verb, tmp_path / "s.yaml", *output], "trust_remote_code", NO_FILE, ASK, watched=tmp_path)


def test_nor_can_a_study_that_is_extended(tmp_path):
    (tmp_path / "below.yaml").write_text(study_text("somebody/model", WAYS["base"]), encoding="utf-8")
    (tmp_path / "s.yaml").write_text("extends: below.yaml\nstudy: mine\nquestion: Which?\n", encoding="utf-8")
    refused(["study", "plan", tmp_path / "s.yaml"], "trust_remote_code", NO_FILE, watched=tmp_path)


def test_a_study_may_say_that_it_is_off():
    study = read_study(study_text("somebody/model", "base: {method: lora, trust_remote_code: false}"), "s.yaml")
    assert study.base_settings["trust_remote_code"] is False


@pytest.mark.parametrize("value", ["true", "yes", "1", "on", "'true'", "null", "[true]"])
def test_a_config_file_cannot_allow_it(tmp_path, value):
    path = tmp_path / "run.yaml"
    path.write_text(f"method: lora\ntrust_remote_code: {value}\n", encoding="utf-8")
    refused(train("somebody/model", tmp_path, tmp_path / "out", "--config", path), f"{path}:2:", NO_FILE, ASK)


def test_the_command_line_wins_over_a_config_file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("trust_remote_code: true\n", encoding="utf-8")
    base = {"model": "m", "task": "cola"}
    with pytest.raises(ConfigError, match=NO_FILE):
        gather(path, base, [])
    assert gather(path, {**base, "trust_remote_code": True}, []).trust_remote_code
    assert gather(path, base, ["trust_remote_code=true"]).trust_remote_code
    assert not gather(path, base, ["trust_remote_code=false"]).trust_remote_code


@pytest.mark.parametrize("words", [[ASK], ["--set", "trust_remote_code=true"]], ids=["flag", "set"])
def test_study_plan_says_when_it_is_on(model, data, canary, tmp_path, words):
    (tmp_path / "s.yaml").write_text(STUDY.format(model=model), encoding="utf-8")
    ended = run_verb("study", "plan", tmp_path / "s.yaml", "--data", data, "--seeds", 1, *words)
    assert ended.code == 0, ended.err
    assert f"warning: Python code that comes with {model} may run" in ended.err
    without = run_verb("study", "plan", tmp_path / "s.yaml", "--data", data, "--seeds", 1)
    assert without.err == ""
    assert not canary.exists()


def test_the_flag_reaches_every_run_of_a_study_and_its_command(tmp_path):
    (tmp_path / "s.yaml").write_text(STUDY.format(model="somebody/model"), encoding="utf-8")
    plan = prepare(
        str(tmp_path / "s.yaml"), seeds=1, settings={"trust_remote_code": True}, fingerprints=lambda spec: {}
    )
    assert {run.spec.trust_remote_code for run in plan.runs} == {True}


@pytest.mark.slow
def test_resuming_a_study_needs_the_flag_again(model, data, canary, tmp_path):
    (tmp_path / "s.yaml").write_text(STUDY.format(model=model), encoding="utf-8")
    words = ["study", "run", tmp_path / "s.yaml", "--data", data, "--seeds", 1, *QUICK_WORDS]
    words += ["--output", tmp_path / "out", "--workers", 1]
    assert "--trust-remote-code" in run_verb(*words).err
    assert not canary.exists()
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    ended = run_verb(*words, ASK)
    assert ended.code == 0, ended.err
    assert "may run (trust_remote_code is on)" in ended.err
    assert canary.is_dir()
    canary.rmdir()
    refused(words, "with another --set", watched=tmp_path / "out")
    assert not canary.exists()


CODE = {
    "model": lambda folder: None,
    "configuration": lambda folder: edit(
        folder / "config.json", auto_map={"AutoConfig": "configuration_own.OwnConfig"}
    ),
    "unknown architecture": lambda folder: edit(
        folder / "config.json",
        model_type="own",
        auto_map={"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"},
    ),
    "nested": lambda folder: edit(
        folder / "config.json", auto_map=None, text_config={"auto_map": {"AutoConfig": "configuration_own.OwnConfig"}}
    ),
    "another repository": lambda folder: edit(
        folder / "config.json", auto_map={"AutoModelForCausalLM": "somebody/code--modeling_own.OwnForCausalLM"}
    ),
    "tokenizer": lambda folder: (
        edit(folder / "config.json", auto_map=None),
        edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "modeling_own.OwnForCausalLM"]}),
    ),
    "tokenizer, as a list": lambda folder: (
        edit(folder / "config.json", auto_map={}),
        edit(folder / "tokenizer_config.json", auto_map=["modeling_own.OwnForCausalLM", None]),
    ),
    "kernel of a hub": lambda folder: edit(
        folder / "config.json", auto_map=None, attn_implementation="somebody/flash-attention"
    ),
    "kernels by part": lambda folder: edit(
        folder / "config.json", auto_map=None, _attn_implementation={"": "sdpa", "text_config": "somebody/kernel"}
    ),
}


@pytest.mark.parametrize("verb", ["train", "evaluate"])
@pytest.mark.parametrize("change", CODE.values(), ids=CODE)
def test_code_of_a_model_is_refused_unless_asked_for(model, data, canary, tmp_path, change, verb):
    change(model)
    words = train(model, data, tmp_path / "out")
    if verb == "evaluate":
        words = ["evaluate", "--model", model, "--data", data, "--task", "gsm8k", *QUICK_WORDS]
    refused(words, "needs Python code of its own", ASK, watched=[model, data])
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


def test_code_that_nothing_names_is_not_run(model, data, canary, tmp_path):
    edit(model / "config.json", auto_map={})
    (model / "custom_generate").mkdir()
    shutil.copy(model / "modeling_own.py", model / "custom_generate" / "generate.py")
    for name in ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"):
        (model / name).write_text(json.dumps({"auto_map": {"AutoProcessor": "modeling_own.OwnForCausalLM"}}))
    ended = run_verb(*train(model, data, tmp_path / "out"))
    assert ended.code == 0, ended.err
    assert "trust_remote_code" not in ended.err
    assert not canary.exists()


def test_somebody_elses_record_cannot_allow_it(model, data, canary, tmp_path):
    run = tmp_path / "run"
    ended = run_verb(*train(model, data, run, ASK))
    assert ended.code == 0, ended.err
    assert f"Python code that comes with {model} may run" in ended.err
    assert canary.is_dir()
    assert read_record(run).spec.trust_remote_code
    for place in ([], ["--model", model]):
        if canary.exists():
            canary.rmdir()
        words = ["export", run, "--merged", "--output", tmp_path / "merged", *place]
        refused(words, "needs Python code of its own", ASK, watched=[run, model])
        assert not canary.exists()
    assert run_verb("export", run, "--output", tmp_path / "adapter").code == 0
    assert not canary.exists()
    ended = run_verb("export", run, "--merged", "--output", tmp_path / "merged", ASK)
    assert ended.code == 0, ended.err
    assert "may run (trust_remote_code is on)" in ended.err
    assert canary.is_dir()


def test_a_forged_record_does_not_bring_its_own_base(checkpoint, model, data, canary, tmp_path):
    run = tmp_path / "run"
    assert run_verb(*train(copied(checkpoint, tmp_path / "base"), data, run)).code == 0
    record = read_record(run)
    forged = record.spec.replace(model=str(model), trust_remote_code=True)
    write_record(record.model_copy(update={"id": run_id(forged, {}), "spec": forged, "fingerprints": {}}), run)
    ended = run_verb("export", run, "--merged", "--output", tmp_path / "merged")
    assert ended.code == 2
    check_line(ended, ASK)
    assert not canary.exists()


def test_the_warning_shows_no_control_characters():
    ended = run_verb("evaluate", "--model", "./no\x1b[31mone", "--task", "cola", ASK)
    assert ended.code == 2
    assert "\x1b" not in ended.err


OTHER_GRANTS = {
    "unsafe_local_execution": ("true", "a file cannot allow generated programs to run without a sandbox"),
    "scoring.judge.url": ("http://elsewhere.example/v1", "a file cannot name the server that answers, and the key"),
    "scoring.judge.key_variable": ("CLOUD_API_KEY", "a file cannot name the variable whose content is sent"),
}


@pytest.mark.parametrize("key", OTHER_GRANTS)
def test_nor_can_a_file_send_answers_elsewhere_or_leave_the_sandbox(tmp_path, key):
    value, message = OTHER_GRANTS[key]
    for name, line in {
        "base": f"base: {{method: lora, {key}: '{value}'}}",
        "grid": f"grid: {{{key}: ['{value}']}}",
    }.items():
        (tmp_path / f"{name}.yaml").write_text(study_text("somebody/model", line), encoding="utf-8")
        refused(["study", "plan", tmp_path / f"{name}.yaml"], key, message, watched=tmp_path)
    path = tmp_path / "run.yaml"
    path.write_text(f"method: lora\n{key}: '{value}'\n", encoding="utf-8")
    refused(train("somebody/model", tmp_path, tmp_path / "out", "--config", path), f"{path}:2:", key, message)
