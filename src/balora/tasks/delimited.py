"""Read the lines of CSV and TSV files as people's programs write them; torch-free."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from balora.errors import DataError, printable, shortened, shown

Lines = list[tuple[int, list[str]]]
"""The number of the line on which a record begins, and its cells."""

SEPARATORS = (",", ";", "\t", "|")
LONGEST_CELL = 2**31 - 1
MARK_IN_TEXT = re.compile(r"(?<=[\r\n])\ufeff")
"""The byte order mark of a file that was written behind another one."""
FIRST_LINE = re.compile(r"[^\r\n]*\S[^\r\n]*")
QUOTED = re.compile(r'(?:(?<=[\t\r\n])|\A)"([^"]*(?:""[^"]*)*)"(?=[\t\r\n]|\Z)')


def read_csv(path: Path, text: str, needed: Sequence[Sequence[str]]) -> tuple[list[str], Lines]:
    """Return the columns and the lines of a CSV file; ``needed`` decides between comma, semicolon, tab and bar.

    Raises:
        DataError: a quotation mark is left open, or two separators would fit.
    """
    separator = _separator(path, text, needed)
    lines = _records(path, MARK_IN_TEXT.sub("", text), separator)
    return lines[0][1], lines[1:]


def read_tsv(path: Path, text: str, header: Sequence[str] | None) -> tuple[list[str], Lines]:
    """Return the columns and the lines of a TSV file the way GLUE writes them: a quotation mark is a character.

    If every quotation mark of the file is one of a quoted cell, and some cell needs it, the file is a quoted table.
    """
    text = MARK_IN_TEXT.sub("", text if "\n" in text else text.replace("\r", "\n"))
    if _is_quoted(text):
        lines = _records(path, text, "\t")
    else:
        lines = [(i, line.rstrip("\r").split("\t")) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    first = lines[0][1]
    if header is not None and len(first) == len(header) and not set(first) & set(header):
        return list(header), lines
    return first, lines[1:]


def table(path: Path, columns: list[str], lines: Lines) -> Iterator[tuple[int, dict[str, str] | tuple[int, int]]]:
    """Yield every line with its cells by column, or with the numbers of its cells and of the columns if they differ.

    Columns without a name are left out (an index, what follows a last separator), and so are empty cells at the end.
    """
    columns = [name.strip() for name in columns]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        header = printable(shortened(", ".join(columns)))
        raise DataError(f"{path}:1: column {shown(twice[0])} stands twice in the header {header}")
    named = max((place for place, name in enumerate(columns, 1) if name), default=0)
    for number, cells in lines:
        while len(cells) > len(columns) and not cells[-1].strip():
            cells.pop()
        if named <= len(cells) <= len(columns):
            yield number, {name: cell for name, cell in zip(columns, cells, strict=False) if name}
        else:
            yield number, (len(cells), len(columns))


def _separator(path: Path, text: str, needed: Sequence[Sequence[str]]) -> str:
    """Return the separator under which the header has every needed column; a comma where none or the comma does."""
    if not needed:
        return ","
    line = _header(text)
    fitting = [separator for separator in SEPARATORS if _fits(line, separator, needed)]
    if len(fitting) > 1 and "," not in fitting:
        raise DataError(
            f"{path}:1: the header can be read with {' and with '.join(map(repr, fitting))}: use commas only"
        )
    return fitting[0] if len(fitting) == 1 else ","


def _fits(line: str, separator: str, needed: Sequence[Sequence[str]]) -> bool:
    cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    found = {plain_name(cell) for cell in cells}
    return all(any(plain_name(name) in found for name in names) for names in needed)


def _header(text: str) -> str:
    match = FIRST_LINE.search(text)
    return match[0] if match else ""


def plain_name(name: str) -> str:
    """Return a column's name without case and outer blanks, by which it is found."""
    return name.strip().casefold()


def _records(path: Path, text: str, separator: str) -> Lines:
    header = _header(text)
    spaced = separator in header and header.count(separator) == header.count(separator + " ")
    source = io.StringIO(text, newline="")
    reader = csv.reader(source, delimiter=separator, skipinitialspace=spaced, strict=True)
    records: Lines = []
    with _cells_of_any_length():
        while True:
            start = reader.line_num + 1  # where a record begins; it may span several lines
            try:
                cells = next(reader)
            except StopIteration:
                return records
            except csv.Error as error:
                line = _opening_line(text, start, separator)
                raise DataError(
                    f"{path}:{line}: not whole CSV ({error}): a quotation mark is left open or not doubled"
                ) from None
            if cells:
                records.append((start, cells))


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    before = csv.field_size_limit(LONGEST_CELL)  # one setting of the whole process
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _opening_line(text: str, start: int, separator: str) -> int:
    """Return the line of the last quotation mark that opens a cell in the record which begins at line ``start``."""
    lines = io.StringIO(text, newline="").readlines()[start - 1 :]
    opened, inside, fresh = start, False, True
    for number, line in enumerate(lines, start):
        for character in line:
            if character == '"' and (inside or fresh):
                inside = not inside
                opened = number if inside and fresh else opened
                fresh = False
            elif not inside:
                fresh = character in (separator, "\n", "\r")
    return opened


def _is_quoted(text: str) -> bool:
    """Return whether a TSV file was written with quotation marks around its cells.

    It was, if every mark opens or closes a cell or is doubled inside one, and if a cell holds a doubled mark, a tab or
    a line end, or every line has such a cell.
    """
    if '"' not in text or '"' in QUOTED.sub("", text):
        return False
    cells = [match[1] for match in QUOTED.finditer(text)]
    needed = any('"' in cell or "\t" in cell or "\n" in cell for cell in cells)
    return needed or len(cells) >= len([line for line in QUOTED.sub("x", text).split("\n") if line.strip()]) - 1
