"""YAML from anywhere: what the one reader takes, and what it refuses in a line with its place."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
from refusals import refused

from balora import yaml_document
from balora.cli.assignments import parse_assignments
from balora.errors import ConfigError
from balora.regular_files import SETTINGS_BYTES
from balora.study.design.reading import read_study
from balora.yaml_document import parse, read_value

TRAIN = ("train", "--model", "m", "--task", "cola")
PLAN = ("study", "plan")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("2.", 2.0),
        (".5", 0.5),
        ("-.5e3", -500.0),
        ("+1", 1),
        ("1_000", 1000),
        ("0", 0),
        ("1:30", "1:30"),
        ("017", "017"),
        ("0o17", "0o17"),
        ("0x10", "0x10"),
        ("0b1", "0b1"),
        ("1.0.0", "1.0.0"),
        ("1__0", "1__0"),
        ("٣", "٣"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01 10:00:00", "2024-01-01 10:00:00"),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("TRUE", True),
        ("false", False),
        ("~", None),
        ("Null", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("-.inf", -math.inf),
        ("inf", "inf"),
        ("=", "="),
        ("<<", "<<"),
        ("{question}", {"question": None}),
        ("[1, [a, {b: 2.5}]]", [1, ["a", {"b": 2.5}]]),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_only_decimal_numbers_true_false_and_null_are_more_than_text(text: str, value: Any) -> None:
    found = read_value(text)
    assert (found, type(found)) == (value, type(value))


def test_keys_are_taken_as_they_are_written() -> None:
    content = parse("1: a\nnull: b\non: c\n2024-01-01: d\n1e3: e\ntrue: f\n", "x").content
    assert content == {"1": "a", "null": "b", "on": "c", "2024-01-01": "d", "1e3": "e", "true": "f"}


@pytest.mark.parametrize("marks", ["\ufeff", "\ufeff\ufeff"])
def test_byte_order_marks_at_the_start_are_no_part_of_a_key(marks: str) -> None:
    assert parse(f"{marks}a: 1\r\ndata.prompt: {{question}}\r\n", "x").content == {"a": 1, "data.prompt": "{question}"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("adapter: {rank: 4}\nadapter.rank: 5\n", 2),
        ("adapter.rank: 5\ntraining.steps: 3\nadapter:\n  rank: 4\n", 4),
        ("arms: {a: {set: {adapter.rank: 4, adapter: {rank: 5}}}}\n", 1),
        ("arms:\n- adapter: {rank: 4}\n  adapter.rank: 5\n", 3),
    ],
)
def test_a_setting_that_is_written_in_two_ways_is_given_twice(text: str, line: int) -> None:
    ((place, fault),) = parse(text, "x").faults
    assert (place, fault.endswith("adapter.rank: given twice")) == (line, True)


def test_settings_of_one_group_may_be_written_in_both_ways() -> None:
    assert not parse("adapter: {rank: 4}\nadapter.alpha: 8\nover: [{a: 1}, {a: 2}]\n", "x").faults


REFUSED = {
    "an alias": ("a: *x\n", "aliases"),
    "an anchor": ("a: &x 1\n", "anchors"),
    "an anchor on a key": ("&x a: 1\n", "anchors"),
    "billion laughs": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "anchors"),
    "an anchor that holds itself": ("a: &x [*x]\n", "anchors"),
    "a mapping that holds itself": ("a: &x {b: *x}\n", "anchors"),
    "a merge key": ("a: {<<: *x}\n", "aliases"),
    "a tag of Python": ("a: !!python/object/apply:os.system [id]\n", "tags"),
    "a tag of YAML": ("a: !!binary aGVsbG8=\n", "tags"),
    "a tag of a set": ("a: !!set {b, c}\n", "tags"),
    "a tag on a key": ("!!str a: 1\n", "tags"),
    "a timestamp's tag": ("a: !!timestamp 9999999-99-99\n", "tags"),
    "an empty tag": ("a: ! 1\n", "tags"),
    "a tag of 100,000 characters": ("a: !" + "x" * 100_000 + " 1\n", "tags"),
    "an unknown handle": ("a: !x!y 1\n", "not YAML"),
    "a list as a key": ("? [a]\n: b\n", "no key"),
    "a mapping as a key": ("? {a: b}\n: c\n", "no key"),
    "a key of two lines": ('"a\\nb": 1\n', "not printable"),
    "an escape in a key": ('"\\e[31mred": 1\n', "not printable"),
    "a key that turns the text around": ("a\u202eb: 1\n", "not printable"),
    "a key of 5,000 characters": ("? " + "k" * 5_000 + "\n: 1\n", "5,000 characters"),
    "lists 5,000 deep": ("a: " + "[" * 5_000 + "]" * 5_000, "inside each other"),
    "mappings 5,000 deep": ("{a: " * 5_000 + "1" + "}" * 5_000, "inside each other"),
    "blocks 200 deep": ("".join(f"{' ' * i}a:\n" for i in range(200)), "inside each other"),
    "dashes 5,000 deep": ("a:\n " + "- " * 5_000, "inside each other"),
    "two documents": ("a: 1\n---\nb: 2\n", "second document"),
    "a zero byte": ("a: \x00\n", "may not stand"),
    "an escaped zero byte": ('a: "\\0"\n', "holds the control character"),
    "an escape sequence": ('a: "\\e[2J"\n', "holds the control character"),
    "a raw escape sequence": ("a: \x1b[2J\n", "may not stand"),
    "half a character": ('a: "\\ud83d"\n', "is not UTF-8 text"),
    "a raw half": ("a: \udce9\n", "may not stand"),
    "no character at all": ('a: "\\UFFFFFFFF"\n', "not YAML"),
    "a version of 5,000 digits": (f"%YAML {'9' * 5_000}.1\n---\na: 1\n", "not YAML"),
    "a whole number of 5,000 digits": (f"a: {'9' * 5_000}\n", "5,000 digits"),
    "a whole number of 19 digits": ("a: 1000000000000000000\n", "19 digits"),
    "a number beyond floats": ("a: 1e400\n", "outside the range"),
    "a number below floats": ("a: -1e-400\n", "outside the range"),
    "an exponent of 5,000 digits": (f"a: 1e{'9' * 5_000}\n", "outside the range"),
    "a tab": ("a:\n\t- b\n", "not YAML"),
    "a tab after a value": ("a: [1]\t\nb: \t1\n", "write spaces instead of tabs"),
    "a mark that YAML reserves": ("a: @b\n", "put the text in quotes"),
    "a colon in a text": ("a: does it: help?\n", "holds `: ` in quotes"),
    "a key without a space": ("a: 1\nb:2\nc: 3\n", "a space must follow"),
    "stars around a word": ("a: *b*\n", "starts with `*` or `&` in quotes"),
    "an open bracket": ("a: [1\n", "not YAML"),
    "a list": ("- a\n", "expected a mapping"),
    "text": ("hello\n", "expected a mapping"),
    "nothing": ("", "expected a mapping"),
    "comments": ("# a\n" * 1_000, "expected a mapping"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_config_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    text, reason = REFUSED[name]
    (tmp_path / "c.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    unreadable = "\udce9" in text
    refused(
        (*TRAIN, "--config", tmp_path / "c.yaml", "--output", tmp_path / "out"),
        "c.yaml",
        "not UTF-8" if unreadable else reason,
        watched=tmp_path,
    )


@pytest.mark.parametrize("name", REFUSED)
def test_a_study_file_is_refused_with_the_same_reason(name: str) -> None:
    text, reason = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        read_study(text, "s.yaml")
    assert reason in str(caught.value)
    assert str(caught.value).startswith("s.yaml")
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("&x [*x]", "anchors"),
        ("*x", "aliases"),
        ("{a: &a [z, z], b: &b [*a, *a]}", "anchors"),
        ("!!python/name:os.system", "tags"),
        ("[" * 3_000, "inside each other"),
        ("{a: 1, a: 2}", "given twice"),
        ("{[a]: 1}", "no key"),
        ("9" * 5_000, "digits"),
        ("1e400", "outside the range"),
        ("1\n---\n2", "second document"),
        ("\x1b[31m", "may not stand"),
        ("[1", "not YAML"),
        ("x" * (SETTINGS_BYTES + 1), "characters"),
    ],
    ids=lambda value: value[:20],
)
def test_the_value_of_an_assignment_is_read_by_the_same_rules(value: str, reason: str) -> None:
    refused(("study", "plan", "regularizers", "--set", f"adapter.rank={value}"), "--set 'adapter.rank=", reason)


def test_a_file_of_more_than_the_limit_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    with (tmp_path / "s.yaml").open("wb") as file:
        file.write(b"# comment\n" * (5 * 2**20))
    refused((*PLAN, tmp_path / "s.yaml"), "s.yaml", "larger than 4 MiB")
    refused((*TRAIN, "--config", tmp_path / "s.yaml", "--output", tmp_path / "out"), "larger than 4 MiB")


def test_a_file_of_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_document, "MOST_VALUES", 1_000)
    with pytest.raises(ConfigError, match="more than 1,000 keys and values"):
        parse(f"a: [{'1,' * 1_000}]", "x")


def test_unknown_keys_without_end_are_counted_not_listed(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("".join(f"key{i}: 1\n" for i in range(2_000)))
    ended = refused((*TRAIN, "--config", tmp_path / "c.yaml", "--output", tmp_path / "out"))
    assert "and 1,950 more faults" in ended.err


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "f.yaml")
    return folder / "f.yaml"


def directory(folder: Path) -> Path:
    (folder / "f.yaml").mkdir()
    return folder / "f.yaml"


def endless(folder: Path) -> Path:
    (folder / "f.yaml").symlink_to("/dev/zero")
    return folder / "f.yaml"


def latin(folder: Path) -> Path:
    (folder / "f.yaml").write_bytes(b"study: caf\xe9\n")
    return folder / "f.yaml"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (fifo, "no regular file"),
        (directory, "it is a folder"),
        (endless, "no regular file"),
        (latin, "not UTF-8"),
        (lambda folder: folder / ("n" * 300 + ".yaml"), "File name too long"),
        (lambda folder: folder / "a\x00b.yaml", "zero byte"),
        (lambda folder: folder / "none.yaml", "No such file"),
    ],
    ids=["fifo", "folder", "endless", "latin", "long", "zero", "missing"],
)
def test_every_reader_of_a_settings_file_takes_regular_files_alone(make: Any, reason: str, tmp_path: Path) -> None:
    path = make(tmp_path)
    (tmp_path / "above.yaml").write_text(f'extends: "{path.name}"\n'.replace("\x00", "\\0"))
    refused((*PLAN, path), reason)
    if "\x00" in path.name:  # which no shell can pass on
        return
    refused((*TRAIN, "--config", path, "--output", tmp_path / "out"), reason)
    refused(("study", "import", path, "--output", tmp_path / "new.yaml"), "not" if make is latin else reason)
    refused((*PLAN, tmp_path / "above.yaml"), "above.yaml: line 1: extends", reason)


def test_an_assignment_takes_the_text_of_a_text_setting_as_it_is_typed() -> None:
    typed = {
        "data.prompt={question}": "{question}",
        "data.prompt=[INST] {question} [/INST]": "[INST] {question} [/INST]",
        "data.prompt=Q: {question} # end": "Q: {question} # end",
        'data.prompt="{question}\\n"': "{question}\n",
        "data.prompt='it''s {question}'": "it's {question}",
        "data.prompt=\"{question}\" or '{input}'": "\"{question}\" or '{input}'",
        "data.train_split=2024": "2024",
        "model=*x": "*x",
        "data.folder=/a: b": "/a: b",
        "data.prompt=null": None,
        "data.prompt=": None,
    }
    for assignment, text in typed.items():
        key = assignment.partition("=")[0]
        group, _, name = key.rpartition(".")
        settings = parse_assignments([assignment])
        assert (settings[group] if group else settings)[name] == text, assignment


@pytest.mark.parametrize(
    "text",
    [
        "data.prompt: {question}\n",
        "data: {prompt: {question}, max_length: 9}\n",
        "data:\n  prompt: {question}",
        "data.prompt: [{question}]",
    ],
)
def test_a_file_takes_a_template_without_quotes(text: str) -> None:
    assert "'{question}'" in str(parse(text, "x").content)


def test_a_factor_may_have_the_name_of_a_template() -> None:
    content = parse("factors: {data.prompt: {own: {}, long: {data.prompt: {question}}}}", "x").content
    assert content["factors"]["data.prompt"] == {"own": {}, "long": {"data.prompt": "{question}"}}
