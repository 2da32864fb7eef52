"""Read the rows of a published benchmark from a file or a folder, under one set of column names; torch-free."""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from balora.errors import DataError, printable, shortened, shown
from balora.measures.config import HELD_OUT, MeasuresConfig
from balora.tasks.delimited import plain_name
from balora.tasks.files import ENDINGS, Broken, SourceRow, read_file
from balora.tasks.parquet import ClassValue

Columns = Mapping[str, Sequence[str]]
"""The name of a column in our code → the names under which published files have it."""

TEXT_TABLE = ".txt"
"""HANS is published as a table with this ending."""
HALF_A_PAIR = re.compile("[\ud800-\udfff]")
LONGEST_LIST = 1000
"""Most characters of a list of columns in an error text."""


def read_rows(path: str, measure: str, columns: Columns, limit: int | None) -> list[SourceRow]:
    """Return the rows of a benchmark: ``columns`` under our names, all other columns as they are.

    Args:
        path: one data file, or a folder whose data files are read in the order of their names.
        measure: the setting that names ``path``, for errors.
        columns: what every row must have.
        limit: most rows of each file.

    Raises:
        DataError: nothing there, a torn file, or one without a needed column; names the columns found.
    """
    found: list[SourceRow] = []
    for file in data_files(Path(path), measure):
        rows = read_file(file, needed=list(columns.values()))
        if not rows:
            raise DataError(f"{file}: holds no row under its header: give measures.{measure} the published file")
        found += [_named(row, measure, columns) for row in rows[:limit]]
    return found


def data_files(path: Path, measure: str) -> list[Path]:
    """Return ``path``, or the data files in the folder ``path`` by name.

    Raises:
        DataError: no such file, a folder without data files, or a file of no known ending.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in ENDINGS and file.is_file())
        if not files:
            raise DataError(
                f"measures.{measure}: {path} holds no data file ({', '.join(ENDINGS)}): name the file itself"
            )
        return files
    if not path.exists():
        raise DataError(
            f"measures.{measure}: {shown(str(path))} does not exist: name the data set's file or its folder"
        )
    if path.suffix.lower() not in (*ENDINGS, TEXT_TABLE):
        raise DataError(f"measures.{measure}: {path} must end in {', '.join(ENDINGS)} or {TEXT_TABLE}")
    return [path]


def measured_files(config: MeasuresConfig) -> dict[str, list[Path]]:
    """Return the files of every measure that has some; raises DataError as :func:`data_files`."""
    return {
        name: [Path(getattr(config, name))] if name == HELD_OUT else data_files(Path(getattr(config, name)), name)
        for name in config.given
    }


def _named(row: SourceRow | Broken, measure: str, columns: Columns) -> SourceRow:
    if isinstance(row, Broken):
        raise DataError(f"{row.where}: has {row.cells} cells, but the file has {row.columns} columns: fetch it again")
    plain = {plain_name(name): value for name, value in row.values.items()}
    values = dict(row.values)
    for name, published in columns.items():
        known = [plain_name(other) for other in published if plain_name(other) in plain]
        if not known:
            found = printable(shortened(", ".join(row.values), LONGEST_LIST)) or "none"
            raise DataError(
                f"{row.where}: measures.{measure} needs the column {' or '.join(map(repr, published))}; columns found: "
                f"{found}: give it the data set's published file"
            )
        values[name] = plain[known[0]]
    return SourceRow(row.where, values)


def text_of(row: SourceRow, name: str) -> str:
    """Return a text of ``row``.

    Raises:
        DataError: it is empty, no text, or holds half of a character.
    """
    value = row.values[name]
    if not isinstance(value, str):
        raise DataError(f"{row.where}: {name} is {shown(value, 60)}, but a text is needed")
    if not value.strip():
        raise DataError(f"{row.where}: {name} is empty")
    if HALF_A_PAIR.search(value):
        raise DataError(f"{row.where}: {name} holds half of a character (a lone surrogate): mend the text")
    return value


def choice_of(row: SourceRow, name: str, choices: Sequence[str]) -> str:
    """Return which of ``choices`` the column holds, as a word or as a number from 0.

    Raises:
        DataError: it holds anything else.
    """
    value = row.values[name]
    value = value.number if isinstance(value, ClassValue) else value
    if isinstance(value, str):
        word = plain_name(value)
        if word in choices:
            return word
        value = int(word) if word.isascii() and word.isdigit() and len(word) < 4 else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(choices):
        return choices[value]
    raise DataError(f"{row.where}: {name} is {shown(row.values[name], 60)}, but one of {', '.join(choices)} is needed")


def number_of(row: SourceRow, name: str) -> float:
    """Return a finite number of ``row``; raise DataError where there is none."""
    value: Any = row.values[name]
    try:
        number = (
            math.nan if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal) else float(value)
        )
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{row.where}: {name} is {shown(value, 60)}, but a number is needed")
    return number
