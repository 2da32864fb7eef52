"""Read one data file into rows, each with the place it came from; torch-free.

Every complaint is a :class:`DataError` that names the file and the line (the row, in JSON lists and Parquet).
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from balora.errors import DataError


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


def read_file(path: Path, header: Sequence[str] | None = None) -> list[SourceRow | Broken]:
    """Return the rows of one JSONL, JSON, TSV, CSV or Parquet file.

    Args:
        path: the file; its ending decides the format.
        header: column names of a TSV file whose first line may be a row already (CoLA's own).

    Raises:
        DataError: unreadable, empty, not UTF-8, torn, or not of the format of its ending.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not content.strip():
        raise DataError(f"{path}: the file is empty: fetch it again")
    if path.suffix.lower() == ".parquet":
        return list(_parquet(path, content))
    text = _decode(path, content)
    if path.suffix.lower() == ".tsv":
        return list(_tsv(path, text, header))
    return list(READERS[path.suffix.lower()](path, text))


def _decode(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise DataError(f"{path}:{line}: not UTF-8 (byte 0x{byte:02x}): convert the file to UTF-8") from None


def _jsonl(path: Path, text: str) -> Iterator[SourceRow]:
    lines = text.split("\n")  # not splitlines: U+2028 and its like may stand inside a JSON string
    last = max(number for number, line in enumerate(lines, 1) if line.strip())
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            values = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            torn = (
                "the last line is torn, fetch the file again" if number == last else "one JSON object a line is needed"
            )
            raise DataError(f"{where}: not a whole JSON object ({_first_line(error)}): {torn}") from None
        yield SourceRow(where, _object(where, values))


def _json(path: Path, text: str) -> Iterator[SourceRow]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: not whole JSON ({error.msg}): the file is torn, or holds one object a line "
            f"and should end in .jsonl"
        ) from None
    except RecursionError as error:
        raise DataError(f"{path}: not a list of objects ({_first_line(error)})") from None
    if not isinstance(content, list):
        raise DataError(f"{path}: holds {_kind(content)}, not a list of objects")
    for number, values in enumerate(content, 1):
        where = f"{path} row {number}"
        yield SourceRow(where, _object(where, values))


def _object(where: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise DataError(f"{where}: holds {_kind(values)}, not an object with named columns")
    return values


def _tsv(path: Path, text: str, header: Sequence[str] | None) -> Iterator[SourceRow | Broken]:
    """Read tab-separated lines the way GLUE writes them: a quotation mark is a character like any other."""
    lines = [(number, line.rstrip("\r").split("\t")) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    first = lines[0][1]
    bare = header is not None and len(first) == len(header) and not set(first) & set(header)
    columns = list(header) if header and bare else lines.pop(0)[1]
    return _table(path, columns, iter(lines))


def _csv(path: Path, text: str) -> Iterator[SourceRow | Broken]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines = _csv_lines(path, reader)
    _, columns = next(lines)
    return _table(path, columns, lines)


def _csv_lines(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    while True:
        start = reader.line_num + 1  # where a record begins; it may span several lines
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}:{start}: not whole CSV ({error}): a quotation mark is left open or not doubled"
            ) from None
        if cells:
            yield start, cells


def _table(path: Path, columns: list[str], lines: Iterator[tuple[int, list[str]]]) -> Iterator[SourceRow | Broken]:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path}:1: column {twice[0]!r} stands twice in the header {', '.join(columns)}")
    for number, cells in lines:
        where = f"{path}:{number}"
        if len(cells) == len(columns):
            yield SourceRow(where, dict(zip(columns, cells, strict=True)))
        else:
            yield Broken(where, len(cells), len(columns))


def _parquet(path: Path, content: bytes) -> Iterator[SourceRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a whole Parquet file ({_first_line(error)}): fetch it again") from None
    for number, values in enumerate(table.to_pylist(), 1):
        yield SourceRow(f"{path} row {number}", values)


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


READERS: dict[str, Callable[[Path, str], Iterator[SourceRow | Broken]]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _csv,
}
ENDINGS = (*READERS, ".tsv", ".parquet")
