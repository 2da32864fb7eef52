"""Read a table of scores: CSV, TSV, JSONL or Parquet with the columns item, system, score[, cluster, seed, task]."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from balora.comparing.score_table import ItemScore, Key, SystemScores, collected, finite
from balora.errors import DataError, printable, shown, unknown_name
from balora.tasks.delimited import plain_name
from balora.tasks.files import Broken, SourceRow, read_file

ITEM, SYSTEM, SCORE, CLUSTER, SEED, TASK = COLUMNS = ("item", "system", "score", "cluster", "seed", "task")
FORMATS = (".csv", ".tsv", ".jsonl", ".json", ".parquet")


def read_score_file(path: Path, metrics: Sequence[str] = ()) -> list[SystemScores]:
    """Return the systems of a table, in order of first appearance; without a column `system` it is of one.

    Args:
        path: the file; its ending decides the format.
        metrics: the columns to take instead of `score`; the first that the table has.

    Raises:
        DataError: it cannot be read, lacks a column, an item is there twice, or a score is no finite number.
    """
    rows = _whole(path)
    column = _score_column(path, rows[0].values, metrics)
    found: dict[str, list[tuple[str, Key, ItemScore]]] = {}
    for row in rows:
        cells = {plain_name(name): value for name, value in row.values.items()}
        key = Key(_name(row, cells, TASK, ""), _name(row, cells, ITEM), _name(row, cells, SEED, ""))
        score = ItemScore(_score(row, cells, column), _name(row, cells, CLUSTER, ""))
        found.setdefault(_name(row, cells, SYSTEM, ""), []).append((row.where.rpartition("/")[2], key, score))
    return [_system(path, name, pairs, column) for name, pairs in found.items()]


def _system(path: Path, name: str, pairs: list[tuple[str, Key, ItemScore]], column: str) -> SystemScores:
    place = f"{path}: system {shown(name)}" if name else str(path)
    scores = collected(pairs, place)
    return SystemScores(name, str(path), scores, {key.task: column for key in scores})


def _whole(path: Path) -> list[SourceRow]:
    rows = []
    for row in read_file(path, needed=((ITEM,), (SCORE,))):
        if isinstance(row, Broken):
            raise DataError(f"{row.where}: has {row.cells} cells, but the table has {row.columns} columns: the line is "
                            "torn, or a separator stands in a text without quotation marks")  # fmt: skip
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: holds a header and no row: a row for each item and system is needed")
    return rows


def _score_column(path: Path, first: Mapping[str, Any], metrics: Sequence[str]) -> str:
    """Return the name, in lower case, of the column that is compared."""
    there = {plain_name(name): name for name in first}
    columns = printable(", ".join(first))
    if ITEM not in there:
        raise DataError(
            f"{path}: has no column {ITEM!r} (its columns are {columns}): a table of scores has the columns item, "
            "system and score, and optionally cluster, seed and task"
        )
    for wanted in metrics or (SCORE,):
        if plain_name(wanted) in there:
            return plain_name(wanted)
    if metrics:
        others = [name for plain, name in there.items() if plain not in COLUMNS or plain == SCORE]
        raise DataError(f"{path}: {unknown_name('column', metrics[0], others)}: pass one of them with --metric")
    raise DataError(f"{path}: has no column {SCORE!r} (its columns are {columns}): name the column with --metric")


def _name(row: SourceRow, cells: Mapping[str, Any], column: str, default: str | None = None) -> str:
    """Return the text in a column that names something; a whole number is written without a point."""
    if column not in cells and default is not None:
        return default
    value = cells.get(column)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value.strip() if isinstance(value, str) else str(value) if type(value) is int else ""
    if not text:
        raise DataError(f"{row.where}: {column} is {shown(value)}: a text or a whole number is needed in every row")
    return text


def _score(row: SourceRow, cells: Mapping[str, Any], column: str) -> float:
    value = cells.get(column)
    if isinstance(value, str):
        try:
            value = {"true": 1.0, "false": 0.0}.get(value.strip().lower()) if value.strip().isalpha() else float(value)
        except ValueError:
            value = None
    number = finite(value)
    if number is None:
        raise DataError(
            f"{row.where}: {column} is {shown(cells.get(column))}, not a finite number: write a number for every item, "
            "or leave the item out for all systems"
        )
    return number
