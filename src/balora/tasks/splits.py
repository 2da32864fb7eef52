"""Read and check the rows of a split, from a folder or by a `datasets` name; torch-free."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from balora.errors import DataError, shown
from balora.tasks.catalogue import Task
from balora.tasks.config import HELD_OUT, DataConfig
from balora.tasks.data_folders import files_of_split, find_data_folder, split_name
from balora.tasks.files import Broken, SourceRow, read_file
from balora.tasks.hub_rows import hub_rows
from balora.tasks.own_splits import own_files, source_rows
from balora.tasks.program_rows import mbpp_test_rows
from balora.tasks.row_checks import Row, check_row, class_names_note, needed_columns

COLA_COLUMNS = ("source", "label", "star", "sentence")
"""CoLA's TSV has no header line, in GLUE's archive as in the original one."""

SURPLUS = "a text that holds the separator needs quotation marks (CSV), or the file another format (JSONL)"

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


class Split(NamedTuple):
    """One split of a task as read."""

    rows: list[Row]
    notes: list[str]
    """What was left out, and why."""


def read_rows(task: Task, data: DataConfig, split: str) -> list[dict[str, Any]]:
    """Return the checked rows of ``split`` (see :mod:`balora.tasks.row_checks` for their shape).

    Raises:
        DataError: the data is missing, torn or of another shape; names file and line.
    """
    return read_split(task, data, split).rows


def read_split(task: Task, data: DataConfig, split: str) -> Split:
    """Return the checked rows of ``split`` and what was left out of it."""
    files = _files(task, data, split)
    found = _found_rows(task, data, split, files)
    notes: list[str] = []
    broken = [row for row in found if isinstance(row, Broken)]
    if broken:
        if not task.broken_rows or len(broken) * 1000 > len(found) or broken[-1] is found[-1]:
            where, cells, columns = broken[-1]
            why = "it is torn, fetch the file again" if cells < columns else SURPLUS
            raise DataError(f"{where}: the line has {cells} cells, the table {columns} columns: {why}")
        notes.append(
            f"{split}: {len(broken)} torn lines of the official file were left out, the first {broken[0].where}"
        )
    first = next((row for row in found if isinstance(row, SourceRow)), None)
    if first is not None and (note := class_names_note(task, first)):
        notes.append(f"{split}: {note}")
    checked = [(row.where, check_row(task, row)) for row in found if isinstance(row, SourceRow)]
    filled = [(where, row) for where, row in checked if row is not None]
    _refuse_repeated(task, filled)
    if len(filled) < len(checked):
        notes.append(
            f"{split}: {len(checked) - len(filled)} of {len(checked)} rows have an empty answer and were left out"
        )
    rows = [row for _, row in filled]
    if task.format == "mbpp":
        rows, left_out = mbpp_test_rows(rows)
        notes += left_out
    unread = [where for where, row in filled if row.get("final", "") is None]
    if unread:
        scored = data.eval_split != HELD_OUT and split_name(split) == split_name(eval_split(task, data))
        notes.append(_uncertain(unread, len(rows), split, scored))
        rows = [row for row in rows if row["final"] is not None] if scored else rows
    if not rows:
        source = ", ".join(map(str, files)) if files else f"{_hub(task, data)[0]} ({split})"
        raise DataError(f"{source}: no rows in split {shown(split)} of task {task.name!r}")
    return Split(rows, notes)


def _refuse_repeated(task: Task, rows: Sequence[tuple[str, Row]]) -> None:
    """Raise DataError where a benchmark's file holds a problem or a question twice: it would count twice."""
    if task.format not in ("humaneval", "mbpp", "mt_bench"):
        return
    first: dict[str, str] = {}
    for where, row in rows:
        name = str(row["asked"].question_id) if "asked" in row else row["name"]
        if name in first:
            raise DataError(f"{where}: {shown(name)} stands in the file already ({first[name]}): keep one of them")
        first[name] = where


def _uncertain(unread: list[str], count: int, split: str, scored: bool) -> str:
    """Return the note on solutions without a certain final answer; raise DataError if nothing is left to score."""
    if scored and len(unread) == count:
        raise DataError(
            f"{unread[0]}: the solution has no final answer that can be read with certainty ('#### 42', "
            f"'\\boxed{{42}}'), and so with all {count:,} rows of split {shown(split)}: nothing can be scored"
        )
    what = "they are left out of the score" if scored else "they are trained on all the same"
    return (
        f"{split}: {len(unread):,} of {count:,} solutions have no final answer that can be read with certainty "
        f"(the first: {unread[0]}): {what}"
    )


def eval_split(task: Task, data: DataConfig) -> str:
    """Return the split that is scored: as configured, else the task's own; of held-out rows, the one to train on."""
    return data.train_split if data.eval_split == HELD_OUT else data.eval_split or task.eval_split


def data_files(task: Task, data: DataConfig, *, train: bool = True, score: bool = True) -> list[Path]:
    """Return the files that the splits to train and to score on are read from (what a fingerprint must hash).

    None for a `datasets` name.
    """
    files: list[Path] = []
    for split in [data.train_split] * train + [eval_split(task, data)] * score:
        files += [path for path in _files(task, data, split) or [] if path not in files]
    return files


def _files(task: Task, data: DataConfig, split: str) -> list[Path] | None:
    if task.own is not None:
        return own_files(task.own, split) or None
    if data.folder is None or not _is_local(data.folder):
        return None
    return files_of_split(find_data_folder(task, data.folder), split, task)


def _is_local(folder: str) -> bool:
    return os.path.exists(os.path.expanduser(folder)) or HUB_NAME.fullmatch(folder) is None


def _found_rows(task: Task, data: DataConfig, split: str, files: list[Path] | None) -> list[SourceRow | Broken]:
    if task.own is not None:
        return source_rows(task.own, split)
    return _hub_rows(task, data, split) if files is None else _file_rows(task, files)


def _file_rows(task: Task, files: list[Path]) -> list[SourceRow | Broken]:
    header = COLA_COLUMNS if task.name == "cola" else None
    needed = needed_columns(task)
    return [row for path in files for row in read_file(path, header, needed)]


def hub_source(task: Task, data: DataConfig) -> tuple[str, str | None] | None:
    """Return the `datasets` name and configuration that ``task`` is read from; None where it is read from a folder."""
    return None if data.folder is not None and _is_local(data.folder) else _hub(task, data)


def _hub(task: Task, data: DataConfig) -> tuple[str, str | None]:
    default = task.hub or (None, None)
    name = data.folder or default[0]
    if name is None:
        raise DataError(f"task {task.name!r} has no default dataset: set data.folder to a folder or a `datasets` name")
    return name, data.subset or (default[1] if name == default[0] else None)


def _hub_rows(task: Task, data: DataConfig, split: str) -> list[SourceRow | Broken]:
    name, subset = _hub(task, data)
    whose = f"data.folder {shown(name)} is no folder here, and the" if data.folder else "the"
    return list(hub_rows(name, subset, split, whose=whose, advice="pass a folder with the files as data.folder"))
