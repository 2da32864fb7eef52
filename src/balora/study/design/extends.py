"""`extends`: a study file laid over another one, entry by entry; torch-free."""

from collections.abc import Callable
from typing import Any

from balora.errors import ConfigError
from balora.study.design.yaml_document import Document, parse

Texts = Callable[[str, str], tuple[str, str]]
"""(name, source of the file that names it) → (text, source)."""
ENTRIES = ("arms", "factors", "grid", "sweeps", "tuned")
"""Groups of which single entries are replaced or, by `null`, taken out; anything else is replaced whole."""


def whole(document: Document, source: str, read: Texts, chain: tuple[str, ...] = ()) -> Document:
    """Return ``document`` laid over the study that it extends, if it does; faults of that one stand at `extends`.

    Raises:
        ConfigError: the study that it extends is not there, is not YAML, or extends this one in turn.
    """
    name = document.content.get("extends")
    if name is None:
        return document
    line = document.lines["extends",]
    place = f"{source}: line {line}: extends"
    if not isinstance(name, str):
        raise ConfigError(f"{place}: expected the name of a study or a file, got {name!r}")
    try:
        text, origin = read(name, source)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
    trail = (*chain, source)
    if origin in trail:
        raise ConfigError(f"{place}: goes round in a circle: {' → '.join((*trail, origin))}")
    below = whole(parse(text, origin), origin, read, trail)
    faults = [
        *document.faults,
        *((line, f"extends: {origin}: line {number}: {fault}") for number, fault in below.faults),
    ]
    return Document(_laid(below.content, document.content), dict.fromkeys(below.lines, line) | document.lines, faults)


def _laid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    content = below | above
    for group in ENTRIES:
        lower, upper = below.get(group), above.get(group)
        if isinstance(lower, dict) and isinstance(upper, dict):
            content[group] = {name: entry for name, entry in (lower | upper).items() if entry is not None}
    return content
