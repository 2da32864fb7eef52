"""Read one data file into rows, each with the place it came from; torch-free.

Every complaint is a :class:`DataError` that names the file and the line (the row, in JSON lists and Parquet).
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from balora.errors import DataError, shown
from balora.regular_files import open_regular
from balora.tasks.delimited import read_csv, read_tsv, table

BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


Row = dict[str, Any]
"""One checked row."""


class SourceRow(NamedTuple):
    """One row as found."""

    where: str
    """`file:line`, or `file row n` where lines mean nothing."""
    values: dict[str, Any]


class Broken(NamedTuple):
    """One line of a table that does not have as many cells as the table has columns."""

    where: str
    cells: int
    columns: int


def read_file(
    path: Path, header: Sequence[str] | None = None, needed: Sequence[Sequence[str]] = ()
) -> list[SourceRow | Broken]:
    """Return the rows of one JSONL, JSON, TSV, CSV or Parquet file.

    Args:
        path: the file; its ending decides the format.
        header: column names of a TSV file whose first line may be a row already (CoLA's own).
        needed: the columns that will be needed, each by its possible names: they decide the separator of a CSV file.

    Raises:
        DataError: no regular file, unreadable, empty, in no known encoding, torn, or not of the format of its ending.
    """
    try:
        with open(open_regular(path), "rb") as file:
            content = file.read()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({_reason(path, error)})") from None
    if not content.strip():
        raise DataError(f"{path}: the file is empty: fetch it again")
    ending = path.suffix.lower()
    if ending == ".parquet":
        from balora.tasks.parquet import parquet_rows

        return [SourceRow(f"{path} row {number}", values) for number, values in parquet_rows(path, content)]
    text = _decode(path, content)
    if ending == ".jsonl":
        return list(_jsonl(path, text))
    if ending == ".json":
        return list(_json(path, text))
    columns, lines = read_tsv(path, text, header) if ending == ".tsv" else read_csv(path, text, needed)
    return [
        SourceRow(f"{path}:{number}", cells) if isinstance(cells, dict) else Broken(f"{path}:{number}", *cells)
        for number, cells in table(path, columns, lines)
    ]


def _reason(path: Path, error: OSError) -> str:
    if os.path.islink(path) and not os.path.exists(path):  # unlike a Path's, they never raise
        return f"a symbolic link to {os.readlink(path)}, which does not exist"
    if isinstance(error, IsADirectoryError):
        return "Is a directory"
    return error.strerror or type(error).__name__


def _decode(path: Path, content: bytes) -> str:
    """Return the text of UTF-8, or of UTF-16 or UTF-32 with its mark; every mark at the start is taken off."""
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    zero = content.find(b"\0") if encoding == "utf-8" else -1
    if zero >= 0:
        line = _line_of(content[:zero].decode("utf-8", "replace"))
        raise DataError(
            f"{path}:{line}: holds a zero byte: the file is torn, or not UTF-8: convert it to UTF-8, or fetch it again"
        )
    try:
        text = content.decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        line = _line_of(content[: error.start].decode(encoding, "replace"))
        name = encoding.upper()
        raise DataError(
            f"{path}:{line}: not {name} (byte 0x{content[error.start]:02x}): convert the file to UTF-8"
        ) from None
    if not text.strip():
        raise DataError(f"{path}: the file is empty: fetch it again")
    return text


def _line_of(before: str) -> int:
    """Return the number of the line after ``before``; a line may end in CR, LF or both."""
    return before.count("\n") + before.count("\r") - before.count("\r\n") + 1


def _jsonl(path: Path, text: str) -> Iterator[SourceRow]:
    # Not splitlines: U+2028 and its like may stand inside a JSON string.
    lines = text.split("\n") if "\n" in text else text.split("\r")
    last = max(number for number, line in enumerate(lines, 1) if line.strip())
    for number, line in enumerate(lines, 1):
        line = line.strip().lstrip("\ufeff")  # files with marks, one after the other
        if not line:
            continue
        where = f"{path}:{number}"
        try:
            values = json.loads(line, object_pairs_hook=_each_once)
        except json.JSONDecodeError as error:
            torn = (
                "the last line is torn, fetch the file again" if number == last else "one JSON object a line is needed"
            )
            raise DataError(f"{where}: not a whole JSON object ({_first_line(error)}): {torn}") from None
        except (RecursionError, ValueError) as error:
            raise DataError(f"{where}: {_beyond(error)}") from None
        yield SourceRow(where, _object(where, values))


def _json(path: Path, text: str) -> Iterator[SourceRow]:
    try:
        content = json.loads(text, object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: not whole JSON ({error.msg}): the file is torn, or holds one object a line "
            f"and should end in .jsonl"
        ) from None
    except (RecursionError, ValueError) as error:
        raise DataError(f"{path}: {_beyond(error)}") from None
    if not isinstance(content, list):
        raise DataError(f"{path}: holds {_kind(content)}, not a list of objects")
    for number, values in enumerate(content, 1):
        where = f"{path} row {number}"
        yield SourceRow(where, _object(where, values))


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise TwiceError(Counter(name for name, _ in pairs).most_common(1)[0][0])
    return values


class TwiceError(ValueError):
    """A name stands twice in a JSON object."""


def _beyond(error: Exception) -> str:
    """Return why JSON that may be whole cannot be read."""
    if isinstance(error, TwiceError):
        return f"{shown(str(error))} stands twice in a JSON object: keep one of them"
    if isinstance(error, RecursionError):
        return "not a whole JSON object (nested too deeply to be read): flatten it, or leave the row out"
    return f"a number has more than {sys.get_int_max_str_digits():,} digits: write it as a text, or leave the row out"


def _object(where: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise DataError(f"{where}: holds {_kind(values)}, not an object with named columns")
    return values


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
