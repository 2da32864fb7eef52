"""Lay a study file over the study that its key `extends` names, entry by entry; torch-free."""

from collections.abc import Callable
from typing import Any

from balora.errors import ConfigError, shown
from balora.study.design.task_files import with_paths
from balora.yaml_document import Document, parse

Texts = Callable[[str, str], tuple[str, str]]
"""(name, source of the file that names it) → (text, source)."""
LONGEST_CHAIN = 20
"""Most studies that extend each other."""
ENTRIES = ("arms", "factors", "grid", "sweeps", "tuned")
"""Groups whose entries are replaced one by one, or removed by `null`; any other key is replaced as a whole."""


def merge_extended(document: Document, source: str, read: Texts, chain: tuple[str, ...] = ()) -> Document:
    """Return ``document`` laid over the study that it extends, if any, whose faults carry the line of `extends`.

    Raises:
        ConfigError: the study that it extends does not exist, is not YAML, extends this one in turn, or is one of
            more than :data:`LONGEST_CHAIN`.
    """
    name = document.content.get("extends")
    if name is None:
        return document
    line = document.lines["extends"]
    place = f"{source}: line {line}: extends"
    if not isinstance(name, str):
        raise ConfigError(f"{place}: expected the name of a study or a file, got {shown(name)}")
    try:
        text, origin = read(name, source)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
    trail = (*chain, source)
    if origin in trail:
        raise ConfigError(f"{place}: the studies extend each other in a circle: {' → '.join((*trail, origin))}")
    if len(trail) > LONGEST_CHAIN:
        raise ConfigError(f"{place}: more than {LONGEST_CHAIN} studies extend each other: write the settings out")
    below = merge_extended(with_paths(parse(text, origin), origin), origin, read, trail)
    faults = [
        *document.faults,
        *((line, f"extends: {origin}: line {number}: {fault}") for number, fault in below.faults),
    ]
    return Document(_merged(below.content, document.content), dict.fromkeys(below.lines, line) | document.lines, faults)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    content = below | above
    for group in ENTRIES:
        lower, upper = below.get(group), above.get(group)
        if isinstance(lower, dict) and isinstance(upper, dict):
            content[group] = {name: entry for name, entry in (lower | upper).items() if entry is not None}
    return content
