"""Read a task file, with every fault of the file and of its data at once; torch-free."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from balora.errors import ConfigError, printable, shortened
from balora.regular_files import SETTINGS_BYTES, read_regular_text
from balora.settings import MOST_FAULTS, SettingsError
from balora.tasks.own_data import check_data, missing_columns
from balora.tasks.own_task import OwnTask
from balora.yaml_document import Document, parse

ENDINGS = (".yaml", ".yml")
STAND_INS: dict[str, Any] = {"task": "?", "read": {"train": "?", "validation": "?"}, "text": "?", "label": "?",
                             "answer": "?", "prompt": "{?}"}  # fmt: skip
"""Stand for keys with faults while the others are checked."""


def is_task_file(name: object) -> bool:
    """Return whether ``name`` is a task file's, not a task's."""
    return isinstance(name, str) and name.endswith(ENDINGS)


def read_task_file(path: str | os.PathLike[str]) -> OwnTask:
    """Return the task that a file describes; its data was read once, and the labels found there are part of it.

    Paths in the file are relative to its folder, and absolute afterwards.

    Raises:
        ConfigError: every fault of the file and of the data at once, each with its line.
    """
    source = Path(os.path.expanduser(path))
    if not is_task_file(str(source)):
        raise ConfigError(f"task file {source}: its name must end in {' or '.join(ENDINGS)}: rename it")
    try:
        text = read_regular_text(source, SETTINGS_BYTES)
    except OSError as error:
        raise ConfigError(f"task file {source}: cannot be read ({error.strerror or error})") from None
    document = parse(text, str(source))
    content = _placed(document.content, source.parent)
    own, faults = _checked(content)
    if own is not None and not faults:
        own, faults = check_data(own)
    elif own is not None:
        faults += missing_columns(own, unknown={_group(key) for key, _ in faults})
    if faults or document.faults or own is None:
        raise _all_faults(source, document, faults)
    return own


def _placed(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the content with absolute paths in place of those that are relative to ``folder``."""
    read = content.get("read")
    if not isinstance(read, dict) or read.get("dataset") is not None:
        return dict(content)
    paths = {
        key: os.path.abspath(folder / os.path.expanduser(value))
        for key, value in read.items()
        if key in ("train", "validation", "file") and isinstance(value, str) and value
    }
    return {**content, "read": {**read, **paths}}


def _checked(content: dict[str, Any]) -> tuple[OwnTask | None, list[tuple[str, str]]]:
    """Return the task and no fault; or the faults, and what remains of the task without the keys that have them."""
    try:
        return OwnTask(**content), []
    except SettingsError as error:
        found = error.faults
    wrong = {_group(key) for key, _ in found}
    guessed = "nlu" if "label" in content or "labels" in content else "nlg"
    sound = {key: value for key, value in content.items() if key not in wrong}
    family = sound.get("family", guessed)
    try:
        OwnTask(**{"task": "?", "read": STAND_INS["read"], **sound, "family": family})
    except SettingsError as error:  # what the first look could not see for the other faults
        found += [(key, text) for key, text in error.faults if _group(key) not in wrong]
    return _without_faults(sound, family, {_group(key) for key, _ in found} - {"family"}), found


def _without_faults(content: dict[str, Any], family: str, faulty: set[str]) -> OwnTask | None:
    """Return what can be built of a task that has faults, for a look at its data; None if `read` has one."""
    if "read" in faulty or "read" not in content:
        return None
    sound = {key: value for key, value in content.items() if key not in faulty}
    stand_ins = {key: value for key, value in STAND_INS.items() if key in faulty}
    try:
        return OwnTask(**{**stand_ins, **sound, "family": family})
    except SettingsError:
        return None


def _group(key: str) -> str:
    return key.partition(".")[0]


def _all_faults(source: Path, document: Document, faults: list[tuple[str, str]]) -> ConfigError:
    placed = [
        (document.line(key) or 0, f"{printable(shortened(key))}: {text}" if key else text) for key, text in faults
    ]
    placed = sorted([*placed, *document.faults], key=lambda one: one[0] or float("inf"))
    texts = [f"line {line}: {text}" if line else text for line, text in placed[:MOST_FAULTS]]
    texts += [f"and {len(placed) - MOST_FAULTS:,} more faults"] if len(placed) > MOST_FAULTS else []
    return ConfigError(printable(f"{source}: {'; '.join(texts)}"))
