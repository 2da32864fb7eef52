"""From a YAML file, options and `--set` assignments to the settings of one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from balora.errors import ConfigError
from balora.settings import SettingsError
from balora.training.spec import RunSpec, merge, nest, resolve


def gather(config: Path | None, options: Mapping[str, Any], assignments: Sequence[str]) -> RunSpec:
    """Resolve one run; what comes later wins: ``config``, then ``options`` (None: not given), then ``assignments``.

    Raises:
        ConfigError: whatever is wrong; where it stands in ``config``, with file and line.
    """
    written, lines = read_config(config) if config else ({}, {})
    given = {key: value for key, value in options.items() if value is not None}
    settings = merge(merge(nest(written), nest(given)), parse_assignments(assignments))
    try:
        return resolve(settings)
    except SettingsError as error:
        raise ConfigError("; ".join(_located(key, text, lines, config) for key, text in error.faults)) from None


def _located(key: str, text: str, lines: Mapping[str, int], config: Path | None) -> str:
    place = f"{config}:{lines[key]}: " if key in lines else ""
    return f"{place}{key}: {text}" if key else text


def read_config(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Return a YAML file's settings, and for each dotted key the line it stands on.

    Raises:
        ConfigError: the file is missing or unreadable, is not YAML, is not a mapping, or gives a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"config file {path}: cannot be read: {reason}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}{_yaml_fault(error)}") from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path}: expected `key: value` lines, got {'nothing' if root is None else root.tag[18:]}")
    lines: dict[str, int] = {}
    _note_lines(root, "", lines, path)
    return content, lines


def _yaml_fault(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    line = f":{mark.line + 1}" if mark else ""
    return f"{line}: not valid YAML: {getattr(error, 'problem', None) or error}"


def _note_lines(node: yaml.MappingNode, prefix: str, lines: dict[str, int], path: Path) -> None:
    for key_node, value in node.value:
        key, line = f"{prefix}{key_node.value}", key_node.start_mark.line + 1
        if key_node.tag != "tag:yaml.org,2002:str":
            raise ConfigError(f"{path}:{line}: keys are names, got {key_node.value!r}")
        if key in lines:
            raise ConfigError(f"{path}:{line}: {key} is given twice, first on line {lines[key]}: remove one")
        lines[key] = line
        if isinstance(value, yaml.MappingNode):
            _note_lines(value, f"{key}.", lines, path)


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
            raise ConfigError(f"--set {assignment!r}: the value{_yaml_fault(error)}") from None
        settings = merge(settings, nest({key.strip(): value}))
    return settings
