"""Values and names of settings as people type them: numbers, switches, paths, and the words of other trainers."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from refusals import check_line, refused, run_verb

from balora.cli.assignments import gather
from balora.errors import ConfigError, shown
from balora.settings import as_number, as_switch
from balora.study.plan.prepare import command
from balora.tasks.testbed.config import TestbedConfig
from balora.training.record import RunRecord
from balora.training.spec import resolve

BASE = {"task": "cola", "model": "m"}
SWITCHES = ("training.gradient_checkpointing", "trust_remote_code")
WHOLE = ("training.steps", "training.batch_size", "training.seed", "adapter.rank", "objective.spectral.k",
         "objective.diversity.top_k", "data.train_rows", "data.max_length")  # fmt: skip
REAL = ("training.learning_rate", "training.epochs", "adapter.alpha", "objective.consistency.weight", "objective.scale",
        "training.max_grad_norm")  # fmt: skip


def value_of(key: str, value: object) -> Any:
    """The value that a setting has in a run for which ``value`` was given."""
    spec: Any = resolve({**BASE, key: value})
    for part in key.split("."):
        spec = getattr(spec, part)
    return spec


@pytest.mark.parametrize("key", [*WHOLE, *REAL])
@pytest.mark.parametrize(
    "value", [True, False, "true", "yes", "1:30", "017", "0x10", "inf", "nan", "", "1,000", 10**400]
)
def test_what_is_no_number_is_refused_for_a_number(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key) as caught:
        resolve({**BASE, key: value})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("key", WHOLE)
@pytest.mark.parametrize("value", [7, 7.0, "7", "7.0", " 7 ", "+7", "7e0"])
def test_a_whole_number_may_be_written_in_several_ways(key: str, value: object) -> None:
    assert value_of(key, value) == 7
    assert type(value_of(key, value)) is int


@pytest.mark.parametrize("key", WHOLE)
@pytest.mark.parametrize("value", [7.5, "7.5", 1e300, 10**18, float("nan"), float("inf"), -1])
def test_a_whole_number_is_whole_finite_and_in_range(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        resolve({**BASE, key: value})


@pytest.mark.parametrize("key", [key for key in REAL if key != "objective.scale"])
@pytest.mark.parametrize(("value", "number"), [("1e-1", 0.1), ("1e-4", 1e-4), (2, 2.0), (".5", 0.5), ("1_000", 1000.0)])
def test_a_number_in_any_notation_is_that_number(key: str, value: object, number: float) -> None:
    assert value_of(key, value) == number


@pytest.mark.parametrize("value", ["1e-1", 0.1, "0.1", ".1"])
def test_the_scale_of_the_weights_takes_every_notation(value: object) -> None:
    assert resolve({**BASE, "objective.scale": value}).objective.consistency.weight == pytest.approx(0.015)


@pytest.mark.parametrize("key", [*WHOLE, *REAL])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_is_finite_so_that_the_record_can_be_read_back(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=key):
        resolve({**BASE, key: value})


@pytest.mark.parametrize("key", SWITCHES)
@pytest.mark.parametrize("value", [1, 0, 1.0, "1", "0", "y", "t", "", [], {}, "enabled"])
def test_a_number_is_no_switch(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{key}: expected true or false, got"):
        resolve({**BASE, key: value})


@pytest.mark.parametrize(("value", "on"), [(True, True), ("yes", True), ("ON", True), ("no", False), ("False", False)])
def test_a_switch_takes_the_words_of_yaml(value: object, on: bool) -> None:
    assert value_of("training.gradient_checkpointing", value) is on
    assert as_switch(value) is on


def test_the_same_rules_hold_where_a_record_is_read() -> None:
    spec = resolve({**BASE, "training.steps": 7}).model_dump_json()
    for wrong in (spec.replace('"steps":7', '"steps":true'), spec.replace('checkpointing":false', 'checkpointing":0')):
        assert wrong != spec
        with pytest.raises(ValueError, match="expected"):
            RunRecord.model_validate_json(f'{{"id": "x", "status": "ok", "spec": {wrong}}}')


def test_numbers_of_the_testbed_follow_the_same_rules() -> None:
    assert TestbedConfig(noise="1e-1").noise == 0.1
    for wrong in ({"noise": True}, {"noise": [1]}, {"people": True}, {"people": "16.5"}, {"noise": 1.5}, {"lr": 1}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            TestbedConfig(**wrong)
    with pytest.raises(ConfigError) as caught:
        TestbedConfig(lr=1)
    assert "training" not in str(caught.value)


def test_a_number_of_steps_that_no_run_can_take_is_refused() -> None:
    for settings in ({"training.steps": 10, "training.stretch": 1e308}, {"training.epochs": 1e300}):
        with pytest.raises(ConfigError, match="stretch"):
            resolve({**BASE, **settings})


def test_as_number_leaves_what_is_for_others_to_refuse() -> None:
    assert as_number([1]) == [1]
    assert as_number(None) is None


# --- names --------------------------------------------------------------------------------------------------------

HINTS = {
    "lr": "training.learning_rate",
    "LR": "training.learning_rate",
    "learning-rate": "training.learning_rate",
    "training.lr": "training.learning_rate",
    "bf16": "training.precision",
    "fp16": "training.precision",
    "num_train_epochs": "training.epochs",
    "per_device_train_batch_size": "training.batch_size",
    "gradient_accumulation_steps": "training.accumulation",
    "max_steps": "training.steps",
    "training.max_steps": "training.steps",
    "warmup_ratio": "training.warmup",
    "seed": "training.seed",
    "r": "adapter.rank",
    "rank": "adapter.rank",
    "Rank": "adapter.rank",
    "lora_r": "adapter.rank",
    "adapter.r": "adapter.rank",
    "lora_alpha": "adapter.alpha",
    "adapter.lora_alpha": "adapter.alpha",
    "lora_dropout": "adapter.dropout",
    "lambda1": "objective.consistency.weight",
    "lambda2": "objective.diversity.weight",
    "lambda3": "objective.spectral.weight",
    "objective.lambda1": "objective.consistency.weight",
    "objective.lambda_3": "objective.spectral.weight",
    "preset": "objective.preset",
    "scale": "objective.scale",
    "edition": "objective.edition",
    "formulation": "objective.formulation",
    "objective.presets": "preset",
    "objective.scael": "scale",
    "temperature": "objective.consistency.temperature",
    "model_name_or_path": "model",
    "max_seq_length": "data.max_length",
    "dataset": "data.folder",
    "data_dir": "data.folder",
    "train_file": "data.folder",
    "model_id": "model",
    "model_max_length": "data.max_length",
    "num_warmup_steps": "training.warmup",
    "gradient_clipping": "training.max_grad_norm",
    "T": "objective.consistency.temperature",
    "objective.K": "objective.diversity.top_k",
    "k": "objective.spectral.k",
    "consistency": "objective.consistency",
}


@pytest.mark.parametrize("key", HINTS)
def test_a_name_from_elsewhere_has_the_right_hint(key: str, tmp_path: Path) -> None:
    words = ("train", "--model", "m", "--task", "cola", "--output", tmp_path / "out", "--set", f"{key}=1")
    refused(words, f"{key}: unknown key", f"did you mean '{HINTS[key]}'?", watched=tmp_path)
    if HINTS[key] not in ("model", "data.folder", "training.seed", "preset", "scale"):
        refused(("study", "plan", "regularizers", "--set", f"{key}=1"), f"did you mean '{HINTS[key]}'?")


@pytest.mark.parametrize("name", ["preset", "scale", "edition", "formulation"])
def test_the_known_keys_of_an_objective_are_all_listed(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"objective\.zzz: unknown key 'zzz': known: .*\b{name}\b"):
        resolve({**BASE, "objective.zzz": 1})


@pytest.mark.parametrize("key", ["self", "cls", "adapter.self", "training.__init__", "objective.model_config", ""])
def test_a_key_with_a_meaning_in_python_is_an_unknown_key(key: str) -> None:
    with pytest.raises(ConfigError, match="unknown key"):
        resolve({**BASE, key: 1})


def test_what_is_required_is_asked_for_at_once_with_the_choices(tmp_path: Path) -> None:
    train = ("train", "--output", tmp_path / "out")
    refused(train, "task: required", "--task", "cola", "gsm8k", "sentiment", "model: required", "--model", "testbed")
    ended = refused((*train, "--model", "testbed"), "task: required", "acceptability")
    assert "cola" not in ended.err
    assert "model: required" not in ended.err
    ended = refused((*train, "--task", "cola"), "model: required")
    assert "task: required" not in ended.err


@pytest.mark.parametrize("key", [1, None, ("a",), b"rank"])
def test_a_key_that_is_no_text_is_refused(key: object) -> None:
    with pytest.raises(ConfigError, match="is no text"):
        resolve({**BASE, key: 1})


@pytest.mark.parametrize(("names", "targets"), [("q_proj", ("q_proj",)), (["q_proj", "v_proj"], ("q_proj", "v_proj")),
                                                ("all-linear", "all-linear")])  # fmt: skip
def test_one_target_is_a_list_of_one(names: object, targets: object) -> None:
    assert value_of("adapter.target_modules", names) == targets
    assert gather(None, BASE, ["adapter.target_modules=q_proj"]).adapter.target_modules == ("q_proj",)


@pytest.mark.parametrize("names", ["", [""], [], [1], 5, {"q_proj": None}, [["q_proj"]], True])
def test_targets_are_names(names: object) -> None:
    with pytest.raises(ConfigError, match="target_modules"):
        resolve({**BASE, "adapter.target_modules": names})


# --- paths --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache outside the folders that tests watch."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def home(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home folder, with a study in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("BALORA_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    text = "study: s\nquestion: q\nbase: ba-lora\nsuites: nlu\narms: {a: {set: {adapter.rank: 3}}}\n"
    (folder / "s.yaml").write_text(text)
    (folder / "above.yaml").write_text("extends: ~/s.yaml\n")
    return folder


@pytest.mark.parametrize("key", ["model", "data.folder"])
def test_home_is_expanded_in_settings(key: str, home: Path) -> None:
    assert value_of(key, "~/x") == f"{home}/x"
    (home / "c.yaml").write_text(f"{key}: ~/x\n")
    options = {one: value for one, value in BASE.items() if one != key}
    spec: Any = gather(home / "c.yaml", options, [])
    assert f"{home}/x" in (spec.model, spec.data.folder)
    assert f"{home}/y" in str(gather(None, BASE, [f"{key}=~/y"]))


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("train", "--model={}", "--task", "cola", "--output", "out"), marks=pytest.mark.slow),
        pytest.param(("train", "--model", "{}", "--task", "cola", "--output", "out"), marks=pytest.mark.slow),
        pytest.param(("evaluate", "--model={}", "--task", "gsm8k"), marks=pytest.mark.slow),
        pytest.param(("export", "{}", "--output", "out"), marks=pytest.mark.slow),
        ("study", "report", "{}"),
        ("study", "import", "{}"),
        ("study", "plan", "{}.yaml"),
        ("study", "plan", "regularizers", "--past={}"),
        ("train", "--model", "m", "--task", "cola", "--config={}", "--output", "out"),
        ("study", "plan", "regularizers", "--model=m", "--data={}"),
    ],
)
@pytest.mark.slow
def test_home_is_expanded_in_every_option(words: tuple[str, ...], home: Path) -> None:
    refused([word.format("~/none") for word in words], f"{home}/none", watched=home.parent)


def test_home_is_expanded_in_the_output_and_in_extends(home: Path) -> None:
    ended = run_verb("study", "run", "~/above.yaml", "--seeds", 0, "--output=~/out")
    assert ended.code == 0, ended.err
    assert (home / "out" / "study.json").is_file()
    assert not (home.parent / "~").exists()


def test_a_study_and_an_output_that_are_not_utf8_work_and_the_command_repeats_them(home: Path) -> None:
    name = "caf\udce9"
    (home / "s.yaml").rename(home / f"{name}.yaml")
    ended = run_verb("study", "run", home / f"{name}.yaml", "--seeds", 0, "--output", home / name)
    assert ended.code == 0, ended.err
    record = (home / name / "study.json").read_text(encoding="utf-8")
    assert r"$'" in record
    assert r"caf\\xe9" in record


@pytest.mark.parametrize(
    "word", ["caf\udce9", "a\nb", "it's\x1b[31m", "back\\slash\t", "plain", "two words", "λ", "```"]
)
def test_a_command_is_printable_and_gives_the_shell_the_same_words(word: str) -> None:
    line = command(word, Path("out"), model=None, data=None, profile="quick", seeds=None, assignments=())
    assert line.isprintable()
    printed = subprocess.run(
        ["bash", "-c", line.replace("balora", "printf '%s\\0'", 1)], capture_output=True, check=True
    )
    assert printed.stdout.split(b"\0")[2] == word.encode("utf-8", "surrogateescape")
    if word.isprintable():
        assert shlex.split(line)[3] == word


@pytest.mark.parametrize("name", ["caf\udce9", "a\x1b[31mb", "a\x00b", "half\ud83d"])
@pytest.mark.parametrize("key", ["model", "task", "data.folder", "data.train_split", "adapter.target_modules"])
def test_a_name_that_no_record_can_hold_is_refused(key: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: .*(not UTF-8|control character)"):
        resolve({**BASE, key: name})


LONG = {
    "of 300 characters": "n" * 300,
    "of 200 characters of 2 bytes": "é" * 200,
    "of 6,000 characters": "d" * 200 + "/d" * 3_000,
}


@pytest.mark.parametrize("length", LONG)
@pytest.mark.parametrize(
    "words",
    [
        ("study", "plan", "{}"),
        ("study", "plan", "{}.yaml"),
        ("study", "plan", "regularizers", "--profile", "{}"),
        ("study", "plan", "regularizers", "--set", "{}"),
        ("study", "plan", "regularizers", "--set", "{}=1"),
        ("study", "plan", "regularizers", "--set", "method={}"),
        ("study", "plan", "regularizers", "--past", "{}"),
        ("study", "plan", "regularizers", "--model", "m", "--data", "{}"),
        ("study", "run", "regularizers", "--seeds", "0", "--output", "{}"),
        ("study", "report", "{}"),
        ("study", "import", "{}"),
        pytest.param(("train", "--model", "{}", "--task", "cola", "--output", "out"), marks=pytest.mark.slow),
        ("train", "--model", "m", "--task", "{}", "--output", "out"),
        ("train", "--model", "m", "--task", "cola", "--method", "{}", "--output", "out"),
        ("train", "--model", "m", "--task", "cola", "--config", "{}", "--output", "out"),
        pytest.param(("train", "--model", "m", "--task", "cola", "--output", "{}"), marks=pytest.mark.slow),
        pytest.param(("export", "{}", "--output", "out"), marks=pytest.mark.slow),
        ("testbed", "text", "--set", "noise={}"),
    ],
    ids=lambda words: " ".join(words)[-40:],
)
def test_a_long_name_is_refused_in_a_line(words: tuple[str, ...], length: str, home: Path) -> None:
    if length == "of 6,000 characters" and "text" in words:
        return
    ended = run_verb(*(word.format(LONG[length]) for word in words))
    if length == "of 200 characters of 2 bytes" and words[-1] == "{}" and "--output" in words[-2:]:
        assert ended.code == 2
    check_line(ended)
    assert ended.code == 2
    assert len(ended.err) < 4_500
    assert not any(path.name.startswith(("n" * 9, "é", "d" * 9)) for path in home.parent.iterdir())


def test_shown_counts_what_it_leaves_out() -> None:
    assert "(999,802 more characters)" in shown("x" * 10**6)
    assert shown(10**5_000) == "a number of about 5,000 digits"


PASTED = "x" * 250_000


@pytest.mark.parametrize(
    "words",
    [
        ("study", "plan", PASTED),
        ("study", "plan", "regularizers", "--profile", PASTED),
        ("study", "plan", "regularizers", "--set", PASTED),
        ("study", "plan", "regularizers", "--set", f"{PASTED}=1"),
        ("study", "plan", "regularizers", "--set", f"adapter.rank={PASTED}"),
        ("study", "plan", "regularizers", "--set", f"adapter.{PASTED}=1"),
        ("study", "plan", "regularizers", "--set", f"objective.preset={PASTED}"),
        ("study", "plan", "regularizers", "--set", f"objective.edition={PASTED}"),
        ("study", "plan", "regularizers", "--set", f"objective.formulation={PASTED}"),
        ("study", "plan", "regularizers", "--set", f"adapter.init=[{PASTED}, {PASTED}]"),
        ("train", "--output", "out", "--task", "facts", "--model", f"m/{'x' * 200}" * 500),
        ("train", "--output", "out", "--task", PASTED, "--model", "m"),
        ("train", "--output", "out", "--task", "facts", "--model", "testbed", "--data", PASTED),
        ("train", "--output", "out", "--task", "cola", "--model", "m", "--method", PASTED),
        ("testbed", "text", "--set", f"noise={PASTED}"),
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_a_file_in_the_wrong_place_makes_a_short_line(words: tuple[str, ...]) -> None:
    assert len(refused(words).err) < 2_500
