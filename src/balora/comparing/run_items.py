"""Read the item scores of a run (`run.json` with `items.jsonl`) or of an evaluation with lm-eval (`scores.json`)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from balora.comparing.score_table import ItemScore, Key, SystemScores, collected, finite
from balora.errors import DataError, InputError, shown, unknown_name
from balora.regular_files import RECORD_BYTES, read_regular_text
from balora.training.record import RunRecord, read_beside, read_record

ITEMS, EVALUATION = "items.jsonl", "scores.json"
USUAL = ("score", "verified", "correct")
"""The fields of an item that hold its score; the first that it has counts: `verified` by math-verify before
`correct` by exact match, as in the task's score."""
HIGHEST_RATING = 10.0
"""The best grade of a judge, whose items hold `ratings`: grades become shares of it, as scores of other tasks are."""
CONTENT = ("answer", "label")
"""The fields by which two items are known to be the same one; the first that an item has counts."""
NO_SCORES = ("index", "label", "prediction", "answer")


def read_run(folder: Path, metrics: Sequence[str] = (), tasks: Sequence[str] = ()) -> SystemScores:
    """Return the scores of the run in ``folder``, or of the items that lie there without a record.

    Raises:
        InputError: the run failed, was edited or damaged, or an item has no score.
    """
    record = read_record(folder)
    if record is None:
        return read_items(folder / ITEMS, metrics, tasks)
    if record.status != "ok":
        reason = f" ({record.error.kind}: {record.error.message})" if record.error else ""
        raise InputError(f"{folder}: its run {record.status}{reason}, so it has no scores: run it again")
    text, first = read_beside(record, folder, ITEMS), record.spec.scored[0]
    scores, fields = item_scores(text, folder / ITEMS, first, metrics=metrics, tasks=tasks)
    notes = tuple(share_note(task, record.of_task(task)) for task in fields if not record.of_task(task).correct)
    return SystemScores(str(folder), str(folder), scores, fields, True, notes)


def item_scores(
    text: str, place: Path, task: str, seed: str = "", metrics: Sequence[str] = (), tasks: Sequence[str] = ()
) -> tuple[dict[Key, ItemScore], dict[str, str]]:
    """Return the scores in the text of `items.jsonl` and, by task, the field that holds them.

    Args:
        text: one JSON object a line with `index`, a score, and perhaps `task` and `cluster`.
        place: the file, for complaints.
        task: of items that name none.
        seed: of the run.
        metrics: the fields to take, or metrics of lm-eval; without them `score` or `correct`.
        tasks: the tasks to take; all without any.

    Raises:
        DataError: a line is torn, an item is there twice or has no score.
    """
    pairs = []
    fields: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{place}:{number}"
            item = _item(where, line)
            key = Key(str(item.get("task", task)), str(item["index"]), seed)
            if tasks and key.task not in tasks:
                continue
            values = _values(item)
            name = fields.get(key.task) or fields.setdefault(key.task, _field(where, values, metrics))
            pairs.append((f"{place.name}:{number}", key, _score(where, item, values, name)))
    if not pairs and tasks:
        raise DataError(
            f"{place}: holds no item of {' or '.join(map(shown, tasks))}: leave --task out to see its tasks"
        )
    if not pairs:
        raise DataError(f"{place}: holds no item: run it again")
    return collected(pairs, str(place)), fields


def read_items(path: Path, metrics: Sequence[str] = (), tasks: Sequence[str] = ()) -> SystemScores:
    """Return the scores in a file of items without a run's record, as `balora evaluate --harness lm-eval` writes it.

    Raises:
        DataError: it cannot be read, a line is torn, an item is there twice or has no score.
    """
    try:
        text = read_regular_text(path, RECORD_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    scores, fields = item_scores(text, path, "", metrics=metrics, tasks=tasks)
    stated = _stated(path.with_name(EVALUATION))
    labels = {task: _label(name, stated.get(task, {})) for task, name in fields.items()}
    directions = {_direction(label, stated.get(task, {})) for task, label in labels.items()}
    place = str(path.parent if path.name == ITEMS else path)
    return SystemScores(place, place, scores, labels, directions.pop() if len(directions) == 1 else None)


def _stated(path: Path) -> dict[str, dict[str, Any]]:
    """Return what the record of an evaluation with lm-eval states about each task; nothing where there is none."""
    try:
        content = json.loads(read_regular_text(path, RECORD_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    tasks = content.get("tasks") if isinstance(content, dict) else None
    return {task: one for task, one in tasks.items() if isinstance(one, dict)} if isinstance(tasks, dict) else {}


def _label(name: str, stated: Mapping[str, Any]) -> str:
    """Return the metric that the field ``name`` holds, as lm-eval calls it where the record says so."""
    metric = stated.get("metric")
    return metric.removesuffix(",none") if name in USUAL and isinstance(metric, str) else name


def _direction(label: str, stated: Mapping[str, Any]) -> bool | None:
    known = stated.get("higher_is_better")
    found = known.get(label.partition(",")[0]) if isinstance(known, dict) else None
    return found if isinstance(found, bool) else None


def share_note(task: str, record: RunRecord) -> str:
    """Return a note for a task whose own score is no share of right items."""
    names = ", ".join(record.metrics) or "its score"
    return f"{task}: its score ({names}) is no share of right items; the scores of single items are compared"


def _item(where: str, line: str) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not a whole item ({str(error).splitlines()[0]}): the line is torn") from None
    if not isinstance(item, dict) or not isinstance(item.get("index"), int | str):
        raise DataError(f"{where}: no item of a run (it has no 'index'): pass the folder of a run, or another table")
    return item


def _values(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an item together with lm-eval's metrics, by name with and without their filter."""
    metrics = item.get("metrics")
    named = (
        {str(name).removesuffix(",none"): value for name, value in metrics.items()} if isinstance(metrics, dict) else {}
    )
    first = {name.partition(",")[0]: value for name, value in reversed(named.items())}
    grade = finite(item.get("score")) if "ratings" in item else None
    return {**first, **named, **item, **({} if grade is None else {"score": grade / HIGHEST_RATING})}


def _field(where: str, item: Mapping[str, Any], metrics: Sequence[str]) -> str:
    there = [name for name, value in item.items() if finite(value) is not None and name not in NO_SCORES]
    for wanted in metrics or USUAL:
        if wanted in there:
            return wanted
    if metrics:
        raise DataError(f"{where}: {unknown_name('metric', metrics[0], there)}: pass one of them with --metric")
    raise DataError(f"{where}: the item has no finite 'score' or 'correct' (it has {', '.join(map(shown, item))})")


def _score(where: str, item: Mapping[str, Any], values: Mapping[str, Any], name: str) -> ItemScore:
    value = finite(values.get(name))
    if value is None:
        raise DataError(
            f"{where}: {name} is {shown(values.get(name))}, not a finite number: leave the item out everywhere"
        )
    cluster, prompt = str(item.get("cluster", "")), str(item.get("prompt_hash", ""))
    if "doc_hash" in item:
        return ItemScore(value, cluster, ("document", f"{item['doc_hash']}{item.get('target_hash', '')}"), prompt)
    content = next(((kind, str(item[kind])) for kind in CONTENT if kind in item), ("", ""))
    return ItemScore(value, cluster, content, prompt)
