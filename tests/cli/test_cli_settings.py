"""A run's settings come from a file, options and assignments, and wrong ones are refused in one line."""

from pathlib import Path

import pytest

from balora.cli.assignments import gather, parse_assignments, read_config
from balora.errors import ConfigError
from balora.training.spec import resolve

BASE = {"model": "m", "task": "cola"}


@pytest.fixture
def config(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "run.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_options_override_the_file_and_assignments_override_both(config) -> None:
    path = config("method: pissa\nadapter:\n  rank: 4\n  alpha: 2\ntraining.steps: 10\ndata.max_length: 64\n")
    spec = gather(path, {**BASE, "method": "lora", "data.folder": "d"}, ["adapter.rank=8", "data.max_length=32"])
    assert (spec.method, spec.adapter.rank, spec.adapter.alpha) == ("lora", 8, 2)
    assert (spec.training.steps, spec.data.max_length, spec.data.folder) == (10, 32, "d")


def test_options_not_given_leave_the_file_alone(config) -> None:
    path = config("method: lora\ntask: sst2\nmodel: other\ntrust_remote_code: false\n")
    spec = gather(path, {"model": None, "task": None, "method": None, "trust_remote_code": None}, [])
    assert (spec.method, spec.task, spec.model, spec.trust_remote_code) == ("lora", "sst2", "other", False)


def test_an_empty_option_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.folder: the value is empty"):
        gather(None, {**BASE, "data.folder": ""}, [])


def test_the_last_of_two_assignments_wins() -> None:
    assert gather(None, BASE, ["adapter.rank=2", "adapter.rank=3"]).adapter.rank == 3


def test_a_setting_wins_over_the_preset_of_its_method() -> None:
    spec = gather(None, {**BASE, "method": "ba-lora"}, ["objective.consistency.weight=1e-4", "adapter.init=standard"])
    assert spec.objective.consistency.weight == 1e-4
    assert spec.adapter.init == "standard"
    assert spec.objective.diversity.weight == 0.03


def test_the_values_of_assignments_are_yaml() -> None:
    given = ["a.b=[q_proj, v_proj]", "a.c=null", "d=0.5", "e=yes sir", "f=x=y", "g="]
    assert parse_assignments(given) == {
        "a": {"b": ["q_proj", "v_proj"], "c": None},
        "d": 0.5,
        "e": "yes sir",
        "f": "x=y",
        "g": None,
    }


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("adapter.rank", ("--set 'adapter.rank'", "key=value")),
        ("=3", ("--set '=3'", "key=value")),
        ("adapter.rank=[1", ("--set 'adapter.rank=[1'", "YAML")),
    ],
)
def test_an_assignment_without_key_or_value_is_refused(assignment: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_assignments([assignment])
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("adapter:\n  rank: 0\n", "run.yaml:2: adapter.rank: input should be greater than or equal to 1, got 0"),
        ("training:\n  steps: 3\n  sede: 1\n", "run.yaml:3: training.sede: unknown key 'sede': did you mean 'seed'?"),
        ("adapter.rnak: 3\n", "run.yaml:1: adapter.rnak: unknown key 'rnak': did you mean 'rank'?"),
        ("# a\n\nadpter: {rank: 3}\n", "run.yaml:3: adpter: unknown key 'adpter': did you mean 'adapter'?"),
        ("rank: 3\n", "run.yaml:1: rank: unknown key 'rank': did you mean 'adapter.rank'?"),
        ("adapter: 5\n", "run.yaml:1: adapter: expected a group of settings, got 5"),
        ("method: [lora]\n", "run.yaml:1: method: expected a name, got ['lora']"),
        ("adapter: [1\n", "run.yaml:2: not YAML"),
        ("- a\n", "run.yaml: expected a mapping"),
        ("", "run.yaml: expected a mapping"),
        ("data.max_length: 3\ndata.max_length: 4\n", "run.yaml:2: data.max_length: given twice"),
    ],
)
def test_a_fault_in_a_file_is_reported_with_file_and_line(config, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        gather(config(text), BASE, [])
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faults_are_reported_at_once(config) -> None:
    with pytest.raises(ConfigError) as caught:
        gather(config("training:\n  steps: 0\n  epochs: -1\n"), BASE, ["adapter.rank=0"])
    message = str(caught.value)
    assert "run.yaml:2: training.steps" in message
    assert "run.yaml:3: training.epochs" in message
    assert "adapter.rank: input should be greater" in message


def test_a_fault_in_an_assignment_is_reported_without_the_file(config) -> None:
    with pytest.raises(ConfigError) as caught:
        gather(config("adapter:\n  rank: 4\n"), BASE, ["adapter.rank=-1"])
    assert str(caught.value) == "adapter.rank: input should be greater than or equal to 1, got -1"


def test_a_file_that_cannot_be_read_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config file .*gone\.yaml cannot be read: No such file"):
        read_config(tmp_path / "gone.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        read_config(tmp_path / "binary.yaml")
    with pytest.raises(ConfigError, match="cannot be read: it is a folder"):
        read_config(tmp_path)


def test_yaml_tags_of_python_objects_are_refused(config) -> None:
    with pytest.raises(ConfigError, match=r"run\.yaml:1: YAML tags .*os\.getcwd.* are not read"):
        read_config(config("model: !!python/name:os.getcwd ''\n"))
    with pytest.raises(ConfigError, match=r"run\.yaml:1: YAML tags .*os\.getcwd.* are not read"):
        gather(config("model: !!python/object/apply:os.getcwd []\ntask: cola\n"), {}, [])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "lora+regg"}, "unknown method 'lora+regg': did you mean 'lora+reg'?"),
        ({"task": "colaa"}, "unknown task 'colaa': did you mean 'cola'?"),
        ({"model": None}, "model: required but not given"),
        ({"method": "full", "adapter.rank": 4}, "adapter settings given, but method 'full' trains the whole model"),
        ({"adapter.target_modules": []}, "adapter: target_modules is empty: name at least one layer"),
        ({"objective.consistency.weight": -1}, "objective.consistency.weight: input should be greater"),
        ({"objective.spectral.k": 0}, "objective.spectral.k: input should be greater"),
        ({"objective.consistency.temperature": 0}, "objective.consistency.temperature: input should be greater"),
        ({"objective.preset": 3}, "objective.preset: expected a name, got 3"),
        ({"objective": None}, "objective: expected a group of settings, got None"),
        ({"task": ["cola"]}, "task: expected a name, got ['cola']"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({**BASE, **settings})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
