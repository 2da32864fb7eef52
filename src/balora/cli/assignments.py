"""Combine a YAML file, options and `--set` assignments to the settings of one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from balora.errors import ConfigError
from balora.settings import SettingsError, merge, nest
from balora.study.design.yaml_document import Document, parse
from balora.training.spec import RunSpec, resolve


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
    try:
        return resolve(merge(nest(document.content), typed))
    except SettingsError as error:
        lines = [_located(key, text, document, config, typed) for key, text in error.faults]
        raise ConfigError("; ".join(lines)) from None


def _located(key: str, text: str, document: Document, config: Path | None, typed: Mapping[str, Any]) -> str:
    line = None if _contains(typed, key) else document.line(key)
    place = f"{config}:{line}: " if line is not None else ""
    return f"{place}{key}: {text}" if key else text


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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"config file {path} cannot be read: {reason}") from None
    document = parse(text, str(path))
    if document.faults:
        raise ConfigError("; ".join(f"{path}:{line}: {text}" for line, text in document.faults))
    return document


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the nested settings of ``key=value`` strings; values are YAML (``adapter.target_modules=[q_proj]``).

    Raises:
        ConfigError: no ``=``, no key, or a value that is not YAML.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not (equals and key.strip()):
            raise ConfigError(f"--set {assignment!r}: expected key=value, e.g. --set adapter.rank=8")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            reason = getattr(error, "problem", None) or "not valid"
            raise ConfigError(f"--set {assignment!r}: the value is not YAML: {reason}") from None
        settings = merge(settings, nest({key.strip(): value}))
    return settings
