"""Take local folders out of the texts of a report, which is made to be shared; pure and torch-free.

A path that begins at the root of a file system names its user and their folders: only its last part is shown. What
repeats the study on the same machine is in `study.json`, as it was typed.
"""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from balora.errors import is_printable
from balora.settings import dotted

PATH = re.compile(
    r"(?<![\w./:~\\-])(?:file://)?"
    r"(?:(?:/|~[\w.-]+/|[A-Za-z]:[\\/]|\\\\)[^\s'\"`<>|:;,()\[\]{}/\\]*[/\\][^\s'\"`<>|:;,()\[\]{}]*)"
)
"""An absolute path of at least two parts within a text."""
WHOLE = re.compile(r"(?:file://)?(?:/|~[^/]+/|[A-Za-z]:[\\/]|\\\\)")
"""How a text begins that is an absolute path as a whole."""


def one_line(text: str) -> str:
    """Return prose on one line: whatever stands between its words becomes one blank."""
    return " ".join(text.split())


def base_name(name: str) -> str:
    """Return the last part of an absolute path; any other name (a Hub id, a relative path) as it is."""
    if WHOLE.match(name) is None:
        return name
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1] or name[:1]


def shareable_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings dotted, with the last part of every absolute path in place of the path."""
    return {key: _without_folders(value) for key, value in dotted(settings).items()}


def _without_folders(value: Any) -> Any:
    """Return a value with the last part of every absolute path that it is or holds (as an own task does)."""
    if isinstance(value, str):
        return base_name(value)
    if isinstance(value, Mapping):
        return {key: _without_folders(inner) for key, inner in value.items()}
    return type(value)(map(_without_folders, value)) if isinstance(value, list | tuple) else value


def without_paths(text: str) -> str:
    """Return a text with the last part of every absolute path in place of the path."""
    return PATH.sub(lambda found: base_name(found[0]), text)


def record_fault(id: str, text: str) -> str:
    """Return what is wrong with a file of run ``id``, whose path then begins in the study's folder."""
    return without_paths(one_line(text[max(0, text.find(f"runs/{id}")) :]))


def shareable_command(command: str) -> str:
    """Return a command that a shell can repeat where the same names are found, without absolute paths."""
    try:
        words = shlex.split(command)
    except ValueError:  # an open quotation mark: nobody's command
        return without_paths(command)
    return " ".join(_quoted(_word(word)) for word in words)


def _word(word: str) -> str:
    key, equals, value = word.partition("=")
    if WHOLE.match(word):
        return base_name(word)
    return f"{key}={base_name(value)}" if equals and WHOLE.match(value) else without_paths(word)


def _quoted(word: str) -> str:
    """Quote a word for a shell; one with control characters as bash writes it, so that it stays one line."""
    if all(map(is_printable, word)):
        return shlex.quote(word)
    word = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{''.join(c if is_printable(c) else _escape(c) for c in word)}'"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
