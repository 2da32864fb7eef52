"""Check the data of a task of one's own as a whole: columns, labels, ids, and every row; torch-free."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from balora.errors import ConfigError, DataError, printable, shown, unknown_name
from balora.tasks.files import Broken, SourceRow
from balora.tasks.own_rows import check_own_row, column_of, label_name, row_id
from balora.tasks.own_splits import SPLITS, TRAIN, VALIDATION, Found, one_side, unsplit_rows
from balora.tasks.own_task import MOST_LABELS, OwnTask
from balora.tasks.parquet import ClassValue
from balora.tasks.score_registry import find_score

MOST_ROWS = 10
"""Most rows with faults that are reported."""
Fault = tuple[str, str]
"""The key of the task file that it belongs to (none: a row), and what is wrong."""
Rows = Mapping[str, list[SourceRow]]
NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def check_data(own: OwnTask) -> tuple[OwnTask, list[Fault]]:
    """Return the task with the labels of its training rows, where it names none, and every fault of its data."""
    found, faults = _found(own)
    faults += [*_missing(own, found, ()), *_missing_packages(own)]
    if faults:
        return own, faults
    try:
        rows = _sides(own, found)
    except DataError as error:
        return own, [("read", str(error))]
    if own.family == "nlu" and not own.regression:
        own, faults = _with_labels(own, rows)
    return own, [*faults, *_ids(own, rows), *_bad_rows(own, rows, faulty_labels=bool(faults))]


def missing_columns(own: OwnTask, unknown: Collection[str]) -> list[Fault]:
    """Return the columns that a task names and its data lacks; nothing about the keys that are ``unknown``."""
    found, faults = _found(own)
    return [*faults, *_missing(own, found, unknown)]


def _found(own: OwnTask) -> tuple[dict[str, Found], list[Fault]]:
    """Return the rows of both splits as they are found, and why a split cannot be read."""
    found: dict[str, Found] = {}
    faults: list[Fault] = []
    read = own.read
    if read.dataset is None and read.train is not None and read.train == read.validation:
        faults.append(("read.validation", "is the file that `train` names: every row scored would be trained on"))
    for split in SPLITS if read.share is None and not faults else SPLITS[:1]:
        try:
            found[split] = unsplit_rows(own, split)
        except DataError as error:
            key = "dataset" if read.dataset else "file" if read.file else split
            faults.append((f"read.{key}", str(error)))
    torn = [row for rows in found.values() for row in rows if isinstance(row, Broken)]
    faults += [
        ("", f"{row.where}: the line has {row.cells} cells, the table {row.columns} columns: mend it")
        for row in torn[:MOST_ROWS]
    ]
    faults += [
        (f"read.{split}", f"{own.read.dataset or ''} has no rows".strip()) for split, rows in found.items() if not rows
    ]
    return found, faults


def _missing(own: OwnTask, found: Mapping[str, Found], unknown: Collection[str]) -> Iterator[Fault]:
    for rows in found.values():
        columns = {name: None for row in rows if isinstance(row, SourceRow) for name in row.values}
        if not columns:
            continue
        first = next(row.where for row in rows if isinstance(row, SourceRow))
        place = re.sub(r"(:| row )\d+$", "", first)
        for key, names in own.columns().items():
            for name in names if key not in unknown else ():
                if column_of(columns, name) is None:
                    yield key, f"{unknown_name('column', name, columns)} (in {place})"


def _missing_packages(own: OwnTask) -> Iterator[Fault]:
    """Yield the scores whose package is not installed."""
    for name in own.score:
        try:
            find_score(name)
        except ConfigError as error:
            yield "score", str(error)


def _sides(own: OwnTask, found: Mapping[str, Found]) -> Rows:
    """Return the rows of both splits; one set of rows is split."""
    if own.read.share is None:
        sides: Mapping[str, Found] = found
    else:
        sides = {split: one_side(own, found[TRAIN], split) for split in SPLITS}
    return {split: [row for row in rows if isinstance(row, SourceRow)] for split, rows in sides.items()}


def _with_labels(own: OwnTask, rows: Rows) -> tuple[OwnTask, list[Fault]]:
    """Return the task with its labels, and what is wrong with them."""
    name = str(own.label)
    first: dict[str, dict[str, str]] = {split: {} for split in SPLITS}
    for split, split_rows in rows.items():
        for row in split_rows:
            try:
                first[split].setdefault(label_name(row, name), row.where)
            except DataError:  # reported with the other rows
                continue
    learnt = first[TRAIN]
    if len(learnt) > MOST_LABELS:
        reason = f"{shown(name)} holds {len(learnt):,} different values in {len(rows[TRAIN]):,} training rows"
        return own, [("label", f"{reason}, at most {MOST_LABELS:,} classes may be: for a number give score: pearson")]
    faults: list[Fault] = []
    if len(learnt) == 1:
        faults.append(("label", f"every training row has the label {shown(next(iter(learnt)))}: give rows of others"))
    unseen = [label for label in first[VALIDATION] if label not in learnt]
    faults += [
        (
            "label",
            f"{shown(label)} stands in {first[VALIDATION][label]}, but in no training row: add some, or leave it out",
        )
        for label in unseen[:MOST_ROWS]
    ]
    if not own.labels and len(learnt) > 1:
        values = rows[TRAIN][0].values
        own = own.replace(labels=_sorted(learnt, values[column_of(values, name) or name]))
    return own, faults


def _sorted(labels: Collection[str], value: Any) -> list[str]:
    """Return classes in the order of the data set, whose ``value`` states it, else by number, else by name."""
    if isinstance(value, ClassValue):
        return sorted(labels, key=[name.strip() for name in value.names].index)
    if all(NUMBER.fullmatch(label) for label in labels):
        return sorted(labels, key=lambda label: (float(label), label))
    return sorted(labels)


def _ids(own: OwnTask, rows: Rows) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    twice = 0
    for row in (row for split in SPLITS for row in rows[split]) if own.id is not None else ():
        try:
            name = row_id(row, str(own.id))
        except DataError as error:
            yield "id", str(error)
            return
        if name in seen and (twice := twice + 1) <= MOST_ROWS:
            yield "id", f"{shown(name)} stands twice, in {seen[name]} and {row.where}: give every row an id of its own"
        seen.setdefault(name, row.where)


def _bad_rows(own: OwnTask, rows: Rows, *, faulty_labels: bool) -> list[Fault]:
    """Return why rows cannot be used; not their labels, where those have faults as a whole."""
    found: list[Fault] = []
    more = empty = 0
    if faulty_labels:
        return []
    for split in SPLITS:
        filled = 0
        for row in rows[split]:
            try:
                filled += check_own_row(own, row) is not None
            except DataError as error:
                found += [("", str(error))] * (len(found) < MOST_ROWS)
                more += 1
        if rows[split] and not filled and not more:
            empty += 1
            found.append(("answer", f"every row of {printable(split)} has an empty answer"))
    more -= len(found) - empty
    return [*found, *([("", f"and {more:,} more rows with faults")] if more > 0 else [])]


def label_counts(own: OwnTask, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many checked rows every class has."""
    return {label: sum(row["label"] == index for row in rows) for index, label in enumerate(own.labels)}
