"""Print lines of text and JSON, and write results to new files."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from balora.errors import OutputError, is_printable, printable
from balora.folders import write_atomic


def print_lines(lines: Iterable[str], *, error: bool = False) -> None:
    """Print each of ``lines`` on one line, with every character that acts on a terminal as its escape."""
    for line in lines:
        print(printable(line), file=sys.stderr if error else sys.stdout)


def print_json(content: Any, *, compact: bool = False) -> None:
    """Print a mapping or a frozen record as one JSON document; numbers that JSON lacks (nan, inf) become null.

    ``compact`` prints it on one line, which is several times as fast for documents too long to be read by people.
    """
    print(json_text(content, None if compact else 1))


def json_text(content: Any, indent: int | None = 1) -> str:
    """Return a mapping or a frozen record as a JSON document; what acts on a terminal is escaped as JSON has it."""
    text = json.dumps(_plain(content), indent=indent, ensure_ascii=False, allow_nan=False)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c == "\n" or is_printable(c) else json.dumps(c)[1:-1] for c in text)


def claim_file(path: Path) -> None:
    """Raise :class:`OutputError` unless a new file can be made at ``path``."""
    if os.path.lexists(path):  # a link that leads nowhere, too
        raise OutputError(f"output file {path}: exists already: choose another name or remove it")
    parent = path.absolute().parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"output file {path}: folder {parent} is missing or cannot be written: choose another place")


def write_file(path: Path, text: str) -> None:
    """Write a new file, whole or not at all; a failure is an :class:`OutputError`."""
    try:
        write_atomic(path, text)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"output file {path}: cannot be written ({reason}): choose another place") from None


def _plain(value: Any) -> Any:
    if type(value) in (str, int, bool) or value is None:
        return value
    if is_dataclass(value):
        return {key: _plain(inner) for key, inner in vars(value).items()}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
