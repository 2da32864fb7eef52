"""Put the scores of a run into its record and, row by row, into the file beside it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from balora.tasks.prepared import Prepared
from balora.tasks.scores import Evaluation, right_rows
from balora.training.record import TaskScore, packed_rows


def task_score(prepared: Prepared, evaluation: Evaluation) -> TaskScore:
    """Return what the record holds of the scores on one task."""
    right = right_rows(prepared.task, evaluation.items)
    return TaskScore(
        score=evaluation.score,
        metrics=evaluation.metrics,
        rows=len(evaluation.items),
        correct=None if right is None else packed_rows(right),
        behaviour=evaluation.behaviour,
    )


def score_notes(found: Mapping[str, Evaluation]) -> Iterator[str]:
    """Yield the notes on the scores; where there are several tasks, each with its own name before it."""
    for name, evaluation in found.items():
        yield from (f"{name}: {note}" if len(found) > 1 else note for note in evaluation.notes)


def write_scored_rows(found: Mapping[str, Evaluation], folder: Path) -> None:
    """Write every scored row to `items.jsonl`; where there are several tasks, each with the name of its own."""
    items = [
        {"task": name, **item} if len(found) > 1 else item
        for name, evaluation in found.items()
        for item in evaluation.items
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
