"""List the scores that a task of one's own may name, as data, and compute those that need only its rows; torch-free."""

import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

from balora.errors import ConfigError, InputError, unknown_name
from balora.settings import Family
from balora.tasks.label_scores import macro_f1, micro_f1, set_f1
from balora.tasks.scores import METRICS, constant_values
from balora.tasks.text_scores import (
    corpus_chrf,
    has_final_answer,
    has_rouge_tokens,
    rouge_l,
    same_final_answer,
    sentence_chrf,
    text_contains,
    text_equals,
)

Needs = Literal["label", "labels", "number", "text", "tests", "question"]
"""What a row holds for a score: the index of its class, those of its labels, a number, a text, tests, or a question."""
Kind = Literal["rows", "sandbox", "judge"]
"""What computes a score: this module from the rows, the sandbox by running programs, or a judge."""


class Score(NamedTuple):
    """One score of a task."""

    family: Family
    needs: Needs
    meaning: str
    item: Callable[[Any, Any], float] | None = None
    """The score of one row, from its prediction and its reference, in 0 to 1; None where one row has none."""
    whole: Callable[[Sequence[Any], Sequence[Any]], float] | None = None
    """The score of all rows, NaN where it is undefined; None: the mean over the rows."""
    range: tuple[float, float] = (0.0, 1.0)
    higher_is_better: bool = True
    kind: Kind = "rows"
    package: str | None = None
    """The package of the extra `text-scores` that computes it."""
    usable: Callable[[Any], bool] | None = None
    """Whether any prediction can be right against a reference; None: always."""
    otherwise: str = ""
    """What a note says of the references that are not usable."""


class Scored(NamedTuple):
    """A score of all rows, and of each."""

    value: float
    items: list[float] | None
    """One per row, in order, in 0 to 1; None where the score has no value for one row."""
    notes: tuple[str, ...] = ()


def _equal(prediction: int, label: int) -> float:
    return float(prediction == label)


UNREAD = "have no final answer that can be read with certainty: no answer to them is right"
NO_TOKENS = "have no letter a to z and no digit, and rouge_l reads nothing else: they count as 0; use chrf"

SCORES: dict[str, Score] = {
    "accuracy": Score("nlu", "label", "the share of right classes", _equal),
    "macro_f1": Score("nlu", "label", "the mean of F1 over the classes, each with the same weight", whole=macro_f1),
    "matthews_correlation": Score(
        "nlu", "label", "the correlation of predicted and true classes", whole=METRICS["matthews_correlation"],
        range=(-1.0, 1.0),
    ),
    "pearson": Score(
        "nlu", "number", "the linear correlation of predicted and true numbers", whole=METRICS["pearson"],
        range=(-1.0, 1.0),
    ),
    "spearman": Score(
        "nlu", "number", "the correlation of their ranks", whole=METRICS["spearman"], range=(-1.0, 1.0)
    ),
    "micro_f1": Score("nlu", "labels", "F1 over all pairs of text and label at once", set_f1, micro_f1),
    "exact_match": Score("nlg", "text", "the share of texts equal to their reference", text_equals),
    "contains": Score("nlg", "text", "the share of texts in which their reference stands", text_contains),
    "final_answer": Score(
        "nlg", "text", "the share of texts with the same final answer", same_final_answer,
        usable=has_final_answer, otherwise=UNREAD,
    ),
    "rouge_l": Score(
        "nlg", "text", "the mean of ROUGE-L, F1 of the longest common subsequence of words", rouge_l,
        package="rouge_score", usable=has_rouge_tokens, otherwise=NO_TOKENS,
    ),
    "chrf": Score(
        "nlg", "text", "chrF2 of all texts together; an item has the chrF2 of its own text", sentence_chrf,
        corpus_chrf, package="sacrebleu",
    ),
    "pass_at_1": Score("nlg", "tests", "the share of programs that pass their tests", kind="sandbox"),
    "judge": Score("nlg", "question", "the mean grade that a judge gives", range=(1.0, 10.0), kind="judge"),
}  # fmt: skip


def find_score(name: str, family: Family | None = None) -> Score:
    """Return the score called ``name``.

    Raises:
        ConfigError: there is none (with the nearest match), it is of the other ``family``, or its package is missing.
    """
    if name not in SCORES:
        raise ConfigError(unknown_name("score", name, [known for known in SCORES if _is_of(known, family)]))
    score = SCORES[name]
    if not _is_of(name, family):
        fitting = ", ".join(known for known in SCORES if _is_of(known, family))
        raise ConfigError(
            f"score {name!r} is for {score.family} tasks, and the task is {family}: choose from {fitting}"
        )
    if score.package is not None and find_spec(score.package) is None:
        package = score.package.replace("_", "-")
        raise ConfigError(
            f"score {name!r} needs the package {package}, which is not installed: pip install 'balora[text-scores]'"
        )
    return score


def _is_of(name: str, family: Family | None) -> bool:
    return family is None or SCORES[name].family == family


def score_rows(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> Scored:
    """Return the score called ``name`` of all rows and of each; an undefined score counts as 0, with a note.

    Predictions and references are what :attr:`Score.needs` says. A text that could not be generated is None, and
    counts as an empty one.

    Raises:
        ConfigError: as :func:`find_score`.
        InputError: the score is computed elsewhere (:attr:`Score.kind`), or there is no row.
    """
    score = find_score(name)
    if score.item is None and score.whole is None:
        raise InputError(f"score {name!r} is not computed from texts alone: it needs a {score.kind}")
    if len(references) == 0:
        raise InputError(f"score {name!r} needs at least one row, got none")
    if score.needs == "text":
        predictions = ["" if prediction is None else prediction for prediction in predictions]
    items = None
    if score.item is not None:
        items = [score.item(*pair) for pair in zip(predictions, references, strict=True)]
    value = score.whole(predictions, references) if score.whole else math.fsum(items or ()) / len(references)
    notes = _unusable(name, score, references)
    if math.isnan(value):
        return Scored(
            0.0, items, (*notes, f"{name} is undefined{_reason(score, predictions, references)} and counts as 0")
        )
    return Scored(value, items, notes)


def _unusable(name: str, score: Score, references: Sequence[Any]) -> tuple[str, ...]:
    count = sum(not score.usable(reference) for reference in references) if score.usable else 0
    return (f"{name}: {count:,} of {len(references):,} references {score.otherwise}",) if count else ()


def _reason(score: Score, predictions: Sequence[Any], references: Sequence[Any]) -> str:
    if score.needs == "labels":
        return " (no row has a label, and none is predicted)"
    return constant_values(predictions, references)
