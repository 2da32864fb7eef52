"""Read the item scores of one run of balora: `run.json` with `items.jsonl`, or a folder of items alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from balora.comparing.score_table import ItemScore, Key, SystemScores, collected, finite
from balora.errors import DataError, InputError, shown, unknown_name
from balora.regular_files import RECORD_BYTES, read_regular_text
from balora.training.record import RunRecord, read_beside, read_record

ITEMS = "items.jsonl"
USUAL = ("score", "correct")
"""The fields of an item that hold its score; the first that it has counts."""
CONTENT = ("doc_hash", "answer", "label")
"""The fields by which two items are known to be the same one; the first that an item has counts."""
NO_SCORES = ("index", "label", "prediction")


def read_run(folder: Path, metrics: Sequence[str] = ()) -> SystemScores:
    """Return the scores of the run in ``folder``, or of the items that lie there without a record.

    Raises:
        InputError: the run failed, was edited or damaged, or an item has no score.
    """
    record = read_record(folder)
    if record is None:
        return read_items(folder / ITEMS, metrics)
    if record.status != "ok":
        reason = f" ({record.error.kind}: {record.error.message})" if record.error else ""
        raise InputError(f"{folder}: its run {record.status}{reason}, so it has no scores: run it again")
    return _system(folder, record, read_beside(record, folder, ITEMS), metrics)


def item_scores(
    text: str, place: Path, task: str, seed: str = "", metrics: Sequence[str] = ()
) -> tuple[dict[Key, ItemScore], dict[str, str]]:
    """Return the scores in the text of `items.jsonl` and, by task, the field that holds them.

    Args:
        text: one JSON object a line with `index`, a score, and perhaps `task`, `cluster` and `content`.
        place: the file, for complaints.
        task: of items that name none.
        seed: of the run.
        metrics: the fields to take; without them `score` or `correct`.

    Raises:
        DataError: a line is torn, an item is there twice or has no score.
    """
    pairs = []
    fields: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{place}:{number}"
            item = _item(where, line)
            name = _field(where, item, metrics)
            key = Key(str(item.get("task", task)), str(item["index"]), seed)
            fields.setdefault(key.task, name)
            pairs.append((f"{place.name}:{number}", key, _score(where, item, name)))
    if not pairs:
        raise DataError(f"{place}: holds no item: run it again")
    return collected(pairs, str(place)), fields


def read_items(path: Path, metrics: Sequence[str] = ()) -> SystemScores:
    """Return the scores in a file of items that lies there without a record, as `balora evaluate` writes it.

    Raises:
        DataError: it cannot be read, a line is torn, an item is there twice or has no score.
    """
    try:
        text = read_regular_text(path, RECORD_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    scores, fields = item_scores(text, path, "", metrics=metrics)
    place = str(path.parent if path.name == ITEMS else path)
    return SystemScores(place, place, scores, fields)


def _system(folder: Path, record: RunRecord, text: str, metrics: Sequence[str]) -> SystemScores:
    task = record.spec.task
    scores, fields = item_scores(text, folder / ITEMS, task, metrics=metrics)
    notes = () if record.correct else (share_note(task, record.metrics),)
    return SystemScores(str(folder), str(folder), scores, fields, True, notes)


def share_note(task: str, metrics: Mapping[str, float]) -> str:
    """Return a note for a task whose own score has no value for a single item."""
    names = ", ".join(metrics) or "its score"
    return f"{task}: {names} of the whole task cannot be split by items, so the scores of single items are compared"


def _item(where: str, line: str) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not a whole item ({str(error).splitlines()[0]}): the line is torn") from None
    if not isinstance(item, dict) or not isinstance(item.get("index"), int | str):
        raise DataError(f"{where}: no item of a run (it has no 'index'): pass the folder of a run, or another table")
    return item


def _field(where: str, item: Mapping[str, Any], metrics: Sequence[str]) -> str:
    there = [name for name, value in item.items() if finite(value) is not None and name not in NO_SCORES]
    for wanted in metrics or USUAL:
        if wanted in there:
            return wanted
    if metrics:
        raise DataError(f"{where}: {unknown_name('metric', metrics[0], there)}: pass one of them with --metric")
    raise DataError(f"{where}: the item has no finite 'score' or 'correct' (it has {', '.join(map(shown, item))})")


def _score(where: str, item: Mapping[str, Any], name: str) -> ItemScore:
    value = finite(item.get(name))
    if value is None:
        raise DataError(
            f"{where}: {name} is {shown(item.get(name))}, not a finite number: leave the item out everywhere"
        )
    content = next(((kind, str(item[kind])) for kind in CONTENT if kind in item), ("", ""))
    return ItemScore(value, str(item.get("cluster", "")), content)
