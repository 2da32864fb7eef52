"""Compute the official metrics, and the means that make one number of them; torch-free."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from balora.errors import InputError
from balora.tasks.catalogue import Task

Numbers = Sequence[float]
SHARES = {"accuracy": "correct", "exact_match": "correct", "pass_at_1": "correct", "math_verify": "verified",
          "contains": "correct", "final_answer": "correct"}  # fmt: skip
"""The metrics that are the share of right rows, and nothing else, with the field of an item that holds the verdict."""


class Evaluation(NamedTuple):
    """The metrics and the score of a model on a task."""

    metrics: dict[str, float]
    """Every metric of the task in its own unit: shares and correlations from -1 to 1, losses in nats per token."""
    score: float
    """What NLU Avg or NLG Avg takes: the mean of the task's score metrics, in points of 100."""
    items: list[dict[str, Any]]
    """One per evaluation row, in the file's order: `index`, `prediction`, `label` or `answer`, `correct` or `score`;
    `verified` where math-verify compares answers."""
    notes: tuple[str, ...] = ()
    """Metrics that were undefined, rows that could not be scored."""
    behaviour: dict[str, float] = {}
    """How it answers (:class:`balora.tasks.behaviour.Behaviour`), by measure; nothing for regression."""


def nlu_metrics(task: Task, predictions: Numbers, labels: Numbers) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the task's metrics (by scikit-learn and scipy), and a note for each that is undefined and counts as 0."""
    results = {name: METRICS[name](predictions, labels) for name in task.metrics}
    reason = constant_values(predictions, labels)
    notes = tuple(
        f"{name} is undefined{reason} and counts as 0" for name, value in results.items() if math.isnan(value)
    )
    return {name: 0.0 if math.isnan(value) else value for name, value in results.items()}, notes


def task_score(task: Task, metrics: Mapping[str, float]) -> float:
    """Return the mean of the task's score metrics, in points of 100."""
    return task.scale * sum(metrics[name] for name in task.score) / len(task.score)


def right_rows(task: Task, items: Sequence[Mapping[str, Any]]) -> list[bool] | None:
    """Return which rows were right where the task's score is 100 times their share; None for any other score."""
    if len(task.score) != 1 or task.score[0] not in SHARES:
        return None
    return [bool(item[SHARES[task.score[0]]]) for item in items]


def suite_average(scores: Mapping[str, float]) -> float:
    """Return NLU Avg or NLG Avg: the plain mean over the suite's tasks, each with the same weight."""
    if not scores:
        raise InputError("the average over a suite needs at least one task's score, got none")
    return sum(scores.values()) / len(scores)


def constant_values(predictions: Numbers, labels: Numbers) -> str:
    """Return, in brackets, which of the two is the same in all rows; nothing where neither is."""
    for what, values in (("labels", labels), ("predictions", predictions)):
        if len(set(values)) == 1:
            return f" (all {len(values)} {what} are {values[0]:g})"
    return ""


def _matthews(predictions: Numbers, labels: Numbers) -> float:
    from sklearn.metrics import matthews_corrcoef

    if constant_values(predictions, labels):
        return math.nan
    return float(matthews_corrcoef(labels, predictions))


def _accuracy(predictions: Numbers, labels: Numbers) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions))


def _f1(predictions: Numbers, labels: Numbers) -> float:
    """F1 of class 1, the paraphrases (MRPC) and duplicates (QQP); undefined where nothing is of it or called it."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, pos_label=1, average="binary", zero_division=math.nan))


def _pearson(predictions: Numbers, labels: Numbers) -> float:
    from scipy.stats import pearsonr

    return _correlation(pearsonr, predictions, labels)


def _spearman(predictions: Numbers, labels: Numbers) -> float:
    from scipy.stats import spearmanr

    return _correlation(spearmanr, predictions, labels)


def _correlation(function: Callable[..., Any], predictions: Numbers, labels: Numbers) -> float:
    if constant_values(predictions, labels):
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nearly constant predictions: the value is what it is
        return float(function(predictions, labels).statistic)


METRICS: dict[str, Callable[[Numbers, Numbers], float]] = {
    "matthews_correlation": _matthews,
    "accuracy": _accuracy,
    "f1": _f1,
    "pearson": _pearson,
    "spearman": _spearman,
}
