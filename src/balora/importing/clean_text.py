"""Reading a plan's file as clean text: every character left can stand in a YAML file."""

import re
import unicodedata
from pathlib import Path

from balora.errors import DataError

LARGEST = 2_000_000
"""Bytes a plan's file may have; AblationBench's own, with hundreds of papers, stay below it."""
MARKS = "\ue000", "\ue001", "\ue002"
"""Private-use characters that the readers put in for: emphasis on, emphasis off, a line break inside a line."""
_UNWANTED = re.compile("[^\n\t\x20-\x7e\xa0-\ud7ff\uf900-\ufffd\U00010000-\U0010ffff]|[\xad\u200b-\u200f\u2060\ufeff]")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_SPACES = re.compile("[\t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def read_plan_text(path: Path) -> str:
    """Return the file's text with one kind of line end and of space, without what cannot be printed.

    Raises:
        DataError: the file is missing, a folder, too large, empty, or not UTF-8 (or UTF-16 with its mark) text.
    """
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise DataError(f"{path}: {size:,} bytes is no plan: at most {LARGEST:,}; cut out the plan that is meant")
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read the plan ({error.strerror or error})") from None
    text = clean(_decoded(raw, path))
    if not text.strip():
        raise DataError(f"{path}: the plan is empty")
    return text


def _decoded(raw: bytes, path: Path) -> str:
    wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file ({error.reason} at byte {error.start}): save it as UTF-8") from None
    if "\0" in text:
        raise DataError(f"{path}: not a text file (it holds a zero byte): pass the plan as Markdown, HTML or JSON")
    return text


def clean(text: str) -> str:
    """Return ``text`` with plain line ends and spaces, and without invisible, private and unprintable characters."""
    return _UNWANTED.sub("", _SPACES.sub(" ", _LINE_ENDS.sub("\n", text.expandtabs(4))))


def one_line(text: str) -> str:
    """Return clean ``text`` on one line, single-spaced."""
    return " ".join(clean(text).split())


def plain(text: str) -> str:
    """Return ``text`` for comparison: compatibility forms folded, lower case, one kind of quote and of dash."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return folded.translate(_ALIKE)


_ALIKE = {ord(char): "-" for char in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"} | {
    ord(char): "'" for char in '\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u00ab\u00bb"`\u00b4'
}


def word_set(text: str) -> frozenset[str]:
    """Return the words of ``text``."""
    return frozenset(text.split())
