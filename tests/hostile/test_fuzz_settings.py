"""Random keys, values, YAML and studies: each is read, or refused in one short line; nothing else ever happens."""

import string
from pathlib import Path
from typing import Any

import fuzzed_yaml
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from refusals import check_line, run_verb

from balora.cli.assignments import gather, parse_assignments
from balora.cli.main import explain
from balora.errors import InputError, is_printable, shown
from balora.settings import dotted, merge, nest, number
from balora.study.design.arms import design_arms
from balora.study.design.reading import read_study
from balora.study.design.study import Study
from balora.tasks.testbed.config import TestbedConfig
from balora.training.record import RunRecord
from balora.training.spec import RunSpec, resolve, setting_keys
from balora.yaml_document import parse

steady = settings(derandomize=True, deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))

WORDS = [*fuzzed_yaml.WORDS, "ba-lora", "lora", "full", "nlu", "nlg", "cola", "gsm8k", "facts", "testbed", "pissa"]
GROUPS = ["adapter", "objective", "objective.consistency", "training", "data", "testbed"]
KEYS = [*setting_keys(), *GROUPS, "lr", "self", ""]
scalars = (
    st.none() | st.booleans() | st.integers(-5, 500) | st.integers() | st.floats() | st.sampled_from(WORDS)
    | st.text(max_size=12) | st.just(10**400) | st.binary(max_size=3) | st.dates()
)  # fmt: skip
value_keys = st.text(max_size=6) | scalars
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(value_keys, inner, max_size=3), max_leaves=5
)
keys = st.sampled_from(KEYS) | st.text(string.ascii_lowercase + "._-~\x00\x1b\ud800", max_size=20)


def refused_or(call: Any, *arguments: Any) -> Any:
    """What ``call`` returns; None if it refuses its input in the way in which all input is refused."""
    try:
        return call(*arguments)
    except InputError as error:
        line, code = explain(error)
        assert code == 2
        assert len(line) < 4_200
        assert all(map(is_printable, line)), ascii(line)
        assert "bug in balora" not in line
        return None


def is_sound(spec: RunSpec) -> None:
    """Check that a record can hold the settings: what is written is read back as the same."""
    record = RunRecord(id="0", status="ok", spec=spec)
    assert RunRecord.model_validate_json(record.model_dump_json()).spec == spec
    assert spec.training.stretched_steps is None or spec.training.stretched_steps >= 1


@steady
@given(st.dictionaries(keys, values, max_size=4))
def test_settings_resolve_to_a_run_that_a_record_can_hold_or_are_refused(given_settings: dict[str, Any]) -> None:
    spec = refused_or(resolve, {"task": "cola", "model": "m", **given_settings})
    if spec is not None:
        is_sound(spec)


@steady
@given(st.sampled_from(KEYS), values)
def test_one_setting_of_any_value_resolves_or_is_refused(key: str, value: Any) -> None:
    for base in ({"task": "gsm8k", "model": "m"}, {"task": "facts", "model": "testbed", "method": "full"}):
        spec = refused_or(resolve, {**base, key: value})
        if spec is not None:
            is_sound(spec)


@steady
@given(st.dictionaries(st.sampled_from(["noise", "people", "seed", "batch_size", "bias", "self", "lr"]) | keys, values))
def test_a_testbed_of_any_settings_is_defined_or_refused(given_settings: dict[str, Any]) -> None:
    refused_or(lambda: TestbedConfig(**given_settings))


@steady
@given(st.lists(st.tuples(keys, fuzzed_yaml.texts), max_size=3))
def test_assignments_of_any_text_are_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    spec = refused_or(gather, None, {"task": "cola", "model": "m"}, [f"{key}={text}" for key, text in pairs])
    if spec is not None:
        is_sound(spec)


@steady
@given(st.lists(st.text(max_size=30), max_size=3))
def test_assignments_that_are_no_assignments_are_refused(assignments: list[str]) -> None:
    refused_or(parse_assignments, assignments)


@steady
@given(fuzzed_yaml.texts | fuzzed_yaml.documents(KEYS))
def test_yaml_of_any_text_is_read_or_refused(text: str) -> None:
    document = refused_or(parse, text, "x.yaml")
    if document is not None:
        assert all(type(value) in (dict, list, str, int, float, bool, type(None)) for value in leaves(document.content))


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [value, *(one for inner in value.values() for one in leaves(inner))]
    return [value, *(one for inner in value for one in leaves(inner))] if isinstance(value, list) else [value]


DELTAS = st.dictionaries(st.sampled_from(KEYS), values, max_size=2)
LEVELS = st.dictionaries(fuzzed_yaml.names, st.just({}) | DELTAS, max_size=2)
LISTS = st.dictionaries(st.sampled_from(KEYS), st.lists(scalars, max_size=3), max_size=2)
STUDY_KEYS = [*Study.model_fields, "set", "over", "ablation", "part", "action", "replacement"]


@steady
@given(fuzzed_yaml.documents([*STUDY_KEYS, *KEYS]), st.booleans())
def test_a_study_of_any_shape_is_read_or_refused(text: str, sound_start: bool) -> None:
    start = "study: s\nquestion: q\nbase: ba-lora\nseeds: 0\n" if sound_start else ""
    study = refused_or(read_study, start + text, "x.yaml")
    if study is not None:
        arms = design_arms(study)
        assert all(is_printable(c) for arm in arms for c in arm.name)
        assert len({arm.name for arm in arms}) == len(arms)


@settings(steady, max_examples=25)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "arms": st.dictionaries(fuzzed_yaml.names, DELTAS, max_size=2),
            "sweeps": LISTS,
            "grid": LISTS,
            "factors": st.dictionaries(fuzzed_yaml.names, LEVELS, max_size=2),
            "suites": st.sampled_from(["nlu", ["nlg"], ["nlu", "nlg"]]) | values,
            "tasks": st.lists(st.sampled_from(WORDS), max_size=2) | values,
            "base": st.sampled_from(WORDS) | values,
            "seeds": st.integers(-1, 2) | values,
        },
    )
)  # fmt: skip
def test_study_plan_prints_a_plan_or_one_line(content: dict[str, Any]) -> None:
    content = {"study": "s", "question": "q", "base": "ba-lora", **content}
    if isinstance(content.get("arms"), dict):
        content["arms"] = {name: {"set": delta} for name, delta in content["arms"].items()}
    FILE.write_bytes(fuzzed_yaml.written(content).encode("utf-8", "surrogatepass"))
    ended = run_verb("study", "plan", FILE, "--seeds", 1)
    assert ended.code in (0, 2), ended
    if ended.code:
        check_line(ended, FILE.name)
        assert ended.out == ""


FILE = Path()


@pytest.fixture(autouse=True, scope="module")
def _one_file_for_all_examples(tmp_path_factory: pytest.TempPathFactory) -> None:
    global FILE
    FILE = tmp_path_factory.mktemp("fuzzed") / "fuzzed.yaml"


@steady
@given(st.text(max_size=20) | st.from_regex(r"[-+]?[0-9_.eE+-]{1,12}", fullmatch=True))
def test_a_number_is_what_python_reads_or_none(text: str) -> None:
    try:
        found = number(text)
    except ValueError:
        return
    if found is not None:
        assert float(found) == float(text)


@steady
@given(st.dictionaries(st.sampled_from(["a", "b", "a.b", "a.c.d", "b.a"]), values, max_size=4))
def test_nesting_twice_is_nesting_once(flat: dict[str, Any]) -> None:
    nested = refused_or(nest, flat)
    if nested is not None:
        assert nest(nested) == nested
        assert merge(nested, nested) == nested
        assert repr(nest(dotted(nested))) == repr(nested)


@steady
@given(values | st.text())
def test_any_value_can_be_shown(value: Any) -> None:
    assert all(map(is_printable, shown(value)))
    assert len(shown(value)) < 300
