"""Define every exception that balora raises on purpose, under one base class.

The command line prints the message of a :class:`BaloraError` as one line and exits with its ``exit_code``:
2 if the input is wrong, 1 if the work itself failed.
"""

import difflib
import reprlib
import unicodedata
from collections.abc import Iterable

SHOWN = 200
"""Most characters of a value that an error text repeats."""
LISTED = 80
"""Most known names that an error text lists."""
BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of the text around them, and with it what a reader sees."""


class BaloraError(Exception):
    """Base class of all errors raised on purpose."""

    exit_code = 1


class InputError(BaloraError, ValueError):
    """The input cannot be used; the message names the value, the limit, and what to do next."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is unknown, out of range, or contradicts another setting."""


class DataError(InputError):
    """A data file is missing, empty, truncated, or does not have the fields that its task needs."""


class ModelError(InputError):
    """A model folder cannot be loaded safely, or the model cannot be used for the task."""


class AdapterError(InputError):
    """An adapter cannot be attached, read or exported exactly."""


class OutputError(InputError):
    """An output folder or file cannot be written, or holds something else."""


class TrainingError(BaloraError):
    """A run failed; the message names the step and what went wrong."""


class FirstProcessError(BaloraError):
    """In one of several processes of a run: the first one failed, which reports the reason itself.

    Args (of the constructor):
        exit_code: that of the first process.
    """

    def __init__(self, exit_code: int = 1) -> None:
        super().__init__("the first process of the run failed: its output has the reason")
        self.exit_code = exit_code


class SandboxError(BaloraError):
    """The sandbox for generated programs broke down; the message says how. A program that fails is no such error."""


def is_printable(character: str) -> bool:
    """Return whether a character shows itself and acts on nothing: no control, no half of a pair, no line separator.

    The last two code points of each plane are no characters, and XML (and so SVG) may not hold them.
    """
    if character in BIDIRECTIONAL or ord(character) & 0xFFFE == 0xFFFE:
        return False
    return unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")


def unwritable(text: str) -> str | None:
    """Return why a text cannot stand in a record: it holds a control character or half of a pair; None if it can.

    Line ends and tabs may be. A half stands for a byte of a file name that is not UTF-8.
    """
    if text.isprintable():
        return None
    for character in text:
        if unicodedata.category(character) == "Cs":
            return f"{shown(text)} is not UTF-8 text: rename it"
        if unicodedata.category(character) == "Cc" and character not in "\t\n\r":
            return f"{shown(text)} holds the control character {shown(character)}: remove it"
    return None


def printable(text: str) -> str:
    """Return ``text`` with every character that acts on a terminal or a page written as its escape (``\\x1b``)."""
    if text.isprintable():
        return text
    return "".join(c if is_printable(c) else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def shortened(text: str, limit: int = SHOWN) -> str:
    """Return ``text``, or its start and its end with the number of characters left out between them."""
    if len(text) <= limit:
        return text
    head, tail = limit * 3 // 4, limit // 4
    return f"{text[:head]}… ({len(text) - head - tail:,} more characters) …{text[-tail:]}"


def shown(value: object, limit: int = SHOWN) -> str:
    """Return ``repr(value)`` for an error text: one short line without control characters, whatever ``value`` holds."""
    if isinstance(value, int) and value.bit_length() > 4 * limit:
        return f"a number of about {value.bit_length() * 0.30103:,.0f} digits"
    try:
        text = repr(value) if isinstance(value, str | bytes) else _short_repr(limit).repr(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python writes; nested without an end
        return f"a {type(value).__name__} too large to show"
    return printable(shortened(text, limit))


def _short_repr(limit: int) -> reprlib.Repr:
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = limit + 1
    short.maxlist = short.maxtuple = short.maxdict = short.maxset = short.maxfrozenset = 20
    short.maxlevel = 6
    return short


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return an error text for an unknown name (of a task, a key, …) that suggests the nearest known one."""
    names = sorted(known)
    below = [known_name for known_name in names if known_name.endswith(f".{name}")]  # `rank` for `adapter.rank`
    close = below or difflib.get_close_matches(name, names, n=1)
    hints = [f"did you mean {' or '.join(map(repr, close))}?"] if close else []
    if len(names) <= 20 or not close:
        more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
        hints.append(f"known: {', '.join(map(printable, names[:LISTED]))}{more}")
    return f"unknown {kind} {shown(name)}: {' '.join(hints)}"
