"""The package's public names, its version and the pinned versions of its dependencies."""

import ast
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import balora
from balora.diagnosis import TESTED

ROOT = Path(__file__).resolve().parents[1]
PROMISED = {
    "Objective",
    "ObjectiveConfig",
    "AdapterConfig",
    "attach",
    "reference_of",
    "frozen_copy",
    "export_adapter",
    "export_merged",
    "BALoraTrainer",
    "BALoraSFTTrainer",
}
"""Names that other programs call, besides `balora.maths`."""


def test_every_public_name_resolves() -> None:
    assert set(balora.__all__) >= PROMISED
    for name in balora.__all__:
        assert getattr(balora, name).__name__ == name
    assert set(balora.__all__) <= set(dir(balora))


def test_the_type_checkers_list_is_the_real_one() -> None:
    tree = ast.parse(Path(balora.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        (alias.name, str(node.module))
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == set(balora._HOME.items())


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'balora' has no attribute 'atach'"):
        balora.atach  # type: ignore[attr-defined] # noqa: B018


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert balora.__version__ == project["version"] == version("balora")


def test_the_constraints_pin_what_the_doctor_calls_tested() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M))
    assert pins["torch"] == "2.13.0"
    assert {name: pins.get(name) for name in TESTED} == TESTED


def test_the_constraints_name_no_place() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"://|^-|\s@\s|^/", text, re.M)
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in text.splitlines() if not line.startswith("#"))
