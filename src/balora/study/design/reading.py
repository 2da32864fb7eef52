"""Find a study by its name or file, and read it; every fault is reported with its line; torch-free."""

import os
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from balora.errors import ConfigError, printable, shortened, unknown_name
from balora.regular_files import SETTINGS_BYTES, read_regular_text
from balora.settings import MOST_FAULTS, SettingsError
from balora.study.design.arms import design_arms
from balora.study.design.deltas import checked
from balora.study.design.extends import merge_extended
from balora.study.design.study import Study
from balora.study.design.task_files import with_own_tasks, with_paths
from balora.yaml_document import Document, parse


def read_study(text: str, source: str) -> Study:
    """Build a study from YAML text.

    Raises:
        ConfigError: every fault at once, each with its line number in the file.
    """
    document = merge_extended(with_paths(parse(text, source), source), source, _text_of)
    content, faults = with_own_tasks(document.content)
    faults += _faults(content)
    if faults or document.faults:
        raise _all_faults(source, document, faults)
    return Study(**content)


def _faults(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the faults of the file's form, then those of the arms in the parts without such faults."""
    try:
        study = Study(**content)
    except SettingsError as error:
        yield from error.faults
        try:
            study = Study(**_without(content, [key for key, _ in error.faults]))
        except SettingsError:
            yield from _unknown_settings(content)
            return
    try:
        design_arms(study)
    except SettingsError as error:
        yield from error.faults


def _without(content: dict[str, Any], faulty: list[str]) -> dict[str, Any]:
    """Return a study without the arms that have a fault, and without other top-level keys that have one."""
    arms = content.get("arms")
    named = [f"arms.{name}" for name in arms] if isinstance(arms, dict) else []
    wrong = [next((arm for arm in named if key == arm or key.startswith(f"{arm}.")), key) for key in faulty]
    dropped = {key.partition(".")[0] for key in wrong}
    sound = {key: value for key, value in content.items() if key not in dropped}
    if isinstance(arms, dict):
        sound["arms"] = {name: arm for name, arm in arms.items() if f"arms.{name}" not in wrong}
    return {"study": "?", "question": "?", **sound}


def _unknown_settings(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the unknown settings of the arms of a study that has too many faults to be built."""
    arms = content.get("arms")
    for name, arm in arms.items() if isinstance(arms, dict) else ():
        delta = arm.get("set") if isinstance(arm, dict) else None
        try:
            checked(delta if isinstance(delta, dict) else {})
        except ConfigError as error:
            yield f"arms.{name}.set", str(error)


def _text_of(name: str, source: str) -> tuple[str, str]:
    """Return the text of the study ``name`` and its name in messages; a path is relative to the file ``source``."""
    known = shipped()
    if name in known:
        return known[name], f"study {name}"
    path = Path(source).parent / os.path.expanduser(name)
    if path.suffix in (".yaml", ".yml") or os.path.isfile(path):
        return _read(path), str(path)
    raise ConfigError(f"{unknown_name('study', name, known)}; or give the path of a study file (.yaml)")


def _read(path: Path) -> str:
    try:
        return read_regular_text(path, SETTINGS_BYTES)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the study ({error.strerror or error})") from None


def _all_faults(source: str, document: Document, faults: list[tuple[str, str]]) -> ConfigError:
    placed = [(document.line(key) or 0, f"{printable(shortened(key))}: {text}") for key, text in faults]
    placed = sorted(placed + document.faults)
    texts = [f"line {line}: {text}" if line else text for line, text in placed[:MOST_FAULTS]]
    texts += [f"and {len(placed) - MOST_FAULTS:,} more faults"] if len(placed) > MOST_FAULTS else []
    return ConfigError(f"{source}: {'; '.join(texts)}")


def shipped() -> dict[str, str]:
    """Return the YAML text of every study that comes with balora, by name."""
    folder = resources.files("balora.study").joinpath("shipped")
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".yaml")}
    return {name.removesuffix(".yaml"): texts[name] for name in sorted(texts)}


def find_study(name: str) -> Study:
    """Return the shipped study called ``name``, or the one in the file ``name``.

    Raises:
        ConfigError: neither exists (with the nearest name), or the file has faults.
    """
    return read_study(*_text_of(name, ""))
