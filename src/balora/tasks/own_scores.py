"""Score the predictions and answers of a task of one's own by the scores that its file names; torch-free."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from balora.tasks.answers import normalise_text
from balora.tasks.catalogue import Task
from balora.tasks.own_task import LABELS
from balora.tasks.score_registry import SCORES, Scored, score_rows

BETWEEN_LABELS = re.compile(r"[,;|\n]")
"""What separates the labels that a text lists."""
RIGHT_OR_WRONG = ("accuracy", "exact_match", "contains", "final_answer")
"""The scores that are the share of right rows."""
Item = dict[str, Any]


class OwnScores(NamedTuple):
    """The metrics of all rows, what to add to the item of each, and notes."""

    metrics: dict[str, float]
    items: list[Item]
    notes: tuple[str, ...]


def own_scores(task: Task, predictions: Sequence[Any], references: Sequence[Any]) -> OwnScores:
    """Return every score of ``task`` from its rows' predictions and references, in order; None: there was no room.

    What is added to an item: `correct` where the task's score is the share of right rows, else `score` where a row has
    one, and `scores` with those of the further scores that have one.
    """
    names = [name for name in task.metrics if name in SCORES]
    found = {name: _scored(task, name, predictions, references) for name in names}
    items: list[Item] = [{} for _ in references]
    first, *others = names
    for place, item in enumerate(items):
        values = found[first].items
        if values is not None:
            item |= {"correct": values[place] == 1} if first in RIGHT_OR_WRONG else {"score": values[place]}
        further = {name: values[place] for name in others if (values := found[name].items) is not None}
        item |= {"scores": further} if further else {}
    notes = tuple(note for scored in found.values() for note in scored.notes)
    return OwnScores({name: scored.value for name, scored in found.items()}, items, notes)


def own_label_scores(
    task: Task, predictions: Sequence[float], labels: Sequence[float]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the metrics of classes or numbers, and notes on those that are undefined."""
    found = own_scores(task, predictions, labels)
    return found.metrics, found.notes


def _scored(task: Task, name: str, predictions: Sequence[Any], references: Sequence[Any]) -> Scored:
    if name == LABELS and task.family == "nlg":
        return _of_listed_labels(name, predictions, references)
    return score_rows(name, predictions, references)


def _of_listed_labels(name: str, predictions: Sequence[str | None], references: Sequence[str]) -> Scored:
    """Score the labels that answers list, without case and in any order; a text without labels lists none."""
    given, truth = ([listed_labels(text or "") for text in texts] for texts in (predictions, references))
    numbers = {label: number for number, label in enumerate(sorted(set().union(*given, *truth)))}
    return score_rows(name, *([{numbers[label] for label in row} for row in rows] for rows in (given, truth)))


def listed_labels(text: str) -> set[str]:
    """Return the labels that a text lists, separated by commas, semicolons, bars or line ends."""
    return {label for part in BETWEEN_LABELS.split(text) if (label := normalise_text(part))}
