"""Let a judge rate the answers to a task of one's own, beside the answer of each row; torch-free."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

from balora.errors import TrainingError
from balora.judging.judge import Judge
from balora.judging.judge_cost import JudgeCost
from balora.judging.single_grading import Exchange, rate_exchanges

Rows = Sequence[dict[str, Any]]
METRIC = "judge"


def rate_answers(
    rows: Rows, answers: Sequence[str | None], judge: Judge
) -> tuple[list[dict[str, Any]], dict[str, float], tuple[str, ...], JudgeCost]:
    """Return an item for every row, the mean rating from 1 to 10, notes, and the judge's cost.

    A row holds `asked` (the question) and `answer` (the reference). A prompt without room in the model is rated as an
    empty answer. A rating that does not come is missing, and is no part of the mean.

    Raises:
        ConfigError: as :meth:`balora.judging.judge.Judge.ask`.
        TrainingError: no answer could be rated.
    """
    exchanges = [
        Exchange(row["asked"], answer or "", row["answer"] or None) for row, answer in zip(rows, answers, strict=True)
    ]
    judgements, cost = rate_exchanges(exchanges, judge)
    items = [
        {
            "index": row["index"], "prediction": answer, "answer": row["answer"], "score": found.value, "text": answer,
            "judgement": found.text, "missing": found.missing,
        }
        for row, answer, found in zip(rows, answers, judgements, strict=True)
    ]  # fmt: skip
    ratings = [found.value for found in judgements if found.value is not None]
    if not ratings:
        raise TrainingError(f"no answer could be judged, so there is no score: {items[0]['missing']}")
    missing = len(items) - len(ratings)
    first = next((item["missing"] for item in items if item["missing"]), "")
    note = f"{missing:,} of {len(items):,} answers could not be rated ({first}): the mean is that of the others"
    return items, {METRIC: mean(ratings)}, (note,) if missing else (), cost
