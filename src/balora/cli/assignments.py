"""Combine a YAML file, options and `--set` assignments to the settings of one run."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from balora.errors import ConfigError, printable, shortened, shown
from balora.regular_files import SETTINGS_BYTES, read_regular_text
from balora.settings import SettingsError, merge, nest
from balora.study.design.deltas import refuse_untyped
from balora.training.spec import RunSpec, resolve, text_keys
from balora.yaml_document import Document, UnreadableError, parse, read_value


def gather(config: Path | None, options: Mapping[str, Any], assignments: Sequence[str]) -> RunSpec:
    """Resolve one run from ``config``, ``options`` (None: not given) and ``assignments``; the later ones win.

    Raises:
        ConfigError: names every wrong setting, with file and line if it stands in ``config``.
    """
    document = read_config(config) if config else Document({}, {}, [])
    for key, value in options.items():
        if value == "":
            raise ConfigError(f"{key}: the value is empty (is a shell variable unset?)")
    given = {key: value for key, value in options.items() if value is not None}
    typed = merge(nest(given), parse_assignments(assignments))
    filed = nest(document.content)
    try:
        refuse_untyped(filed, typed)
        return resolve(merge(filed, typed))
    except SettingsError as error:
        lines = [_located(key, text, document, config, typed) for key, text in error.faults]
        raise ConfigError("; ".join(lines)) from None


UNSAFE_WARNING = (
    "balora: warning: generated programs may run without a sandbox (unsafe_local_execution is on): they can read and "
    "delete your files and use the network"
)
"""The line that a verb prints before it scores programs in a plain process."""


def remote_code_warning(model: str) -> str:
    """Return the line that a verb prints before it loads ``model`` with its own code allowed."""
    return (
        f"balora: warning: Python code that comes with {printable(shortened(model))} may run (trust_remote_code is on)"
    )


def _located(key: str, text: str, document: Document, config: Path | None, typed: Mapping[str, Any]) -> str:
    line = None if _contains(typed, key) else document.line(key)
    place = f"{config}:{line}: " if line is not None else ""
    return f"{place}{printable(shortened(key))}: {text}" if key else text


def _contains(settings: Any, key: str) -> bool:
    """Whether nested ``settings`` give a value for the dotted ``key``."""
    for part in key.split("."):
        if not isinstance(settings, Mapping) or part not in settings:
            return False
        settings = settings[part]
    return True


def read_config(path: Path) -> Document:
    """Return a YAML file's settings with the line of each.

    Raises:
        ConfigError: the file is missing or unreadable, is not YAML, is not a mapping, or gives a key twice.
    """
    try:
        text = read_regular_text(path, SETTINGS_BYTES)
    except OSError as error:
        raise ConfigError(f"config file {path} cannot be read: {error.strerror or error}") from None
    document = parse(text, str(path))
    if document.faults:
        raise ConfigError("; ".join(f"{path}:{line}: {text}" for line, text in document.faults))
    return document


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the nested settings of ``key=value`` strings; values are YAML (``adapter.target_modules=[q_proj]``).

    The value of a setting that is text (``data.prompt={question}``) is taken as typed, without quotes around it.

    Raises:
        ConfigError: no ``=``, no key, or a value that is not YAML.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not (equals and key):
            raise ConfigError(f"--set {shown(assignment)}: expected key=value, e.g. --set adapter.rank=8")
        try:
            value = _typed_text(text.strip()) if key in text_keys() else read_value(text)
        except UnreadableError as error:
            raise ConfigError(f"--set {shown(assignment)}: {error.reason}") from None
        settings = merge(settings, nest({key: value}))
    return settings


def _typed_text(text: str) -> str | None:
    """Return what is typed for a text: nothing and `null` are None, quotes around the whole are dropped."""
    if text in ("", "~", "null"):
        return None
    if text[0] in "\"'" and text[-1] == text[0]:
        with suppress(UnreadableError):
            value = read_value(text)
            return value if isinstance(value, str) else text
    return text
