"""Read a plan's file and clean its text, so that every remaining character can stand in a YAML file."""

import errno
import re
import unicodedata
from pathlib import Path

from balora.errors import DataError
from balora.regular_files import read_regular

LARGEST = 2_000_000
"""Maximum size of a plan's file in bytes; AblationBench's own files, with hundreds of papers, are smaller."""
MARKS = ON, OFF, BREAK = "\ue000", "\ue001", "\ue002"
"""Private-use characters that mark, inside a text: emphasis begins, emphasis ends, line break."""
_UNWANTED = re.compile("[^\n\t\x20-\x7e\xa0-\ud7ff\uf900-\ufffd\U00010000-\U0010ffff]|[\xad\u200b-\u200f\u2060\ufeff]")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_SPACES = re.compile("[\t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def read_plan_text(path: Path) -> str:
    """Return the file's text with line ends and spaces normalised and unprintable characters removed.

    Raises:
        DataError: the file is missing, a folder, too large, empty, or neither UTF-8 nor UTF-16 with a byte-order mark.
    """
    try:
        raw = read_regular(path, LARGEST)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise DataError(
                f"{path}: the file is too large, a plan may have at most {LARGEST:,} bytes: copy the plan into a "
                "smaller file"
            ) from None
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
        raise DataError(f"{path}: not a text file (it contains a zero byte): pass the plan as Markdown, HTML or JSON")
    return text


def clean(text: str) -> str:
    """Return ``text`` with normalised line ends and spaces, without invisible or private-use characters."""
    return _UNWANTED.sub("", _SPACES.sub(" ", _LINE_ENDS.sub("\n", text.expandtabs(4))))


def one_line(text: str) -> str:
    """Return clean ``text`` on one line, single-spaced."""
    return " ".join(clean(text).split())


def plain(text: str) -> str:
    """Return ``text`` normalised for comparison: Unicode NFKC, lower case, one kind of quote and of dash."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return folded.translate(_ALIKE)


_ALIKE = {ord(char): "-" for char in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"} | {
    ord(char): "'" for char in '\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u00ab\u00bb"`\u00b4'
}


def word_set(text: str) -> frozenset[str]:
    """Return the words of ``text``."""
    return frozenset(text.split())
