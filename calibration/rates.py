"""Measure the score over a grid of learning rates, on the same tasks and seeds for every start of the adapter."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from balora.settings import Family
from balora.study.plan.rates import Merit, RatePoint, choose_rates, merits
from balora.study.plan.testbed_profiles import GRIDS
from balora.tasks.testbed.testbed_tasks import NLG, NLU
from calibration.runs import SEEDS, Planned, planned, records_of

STARTS = ("standard", "pissa", "random-matched", "minor")
PRETRAININGS = (101, 102, 103)
"""Seeds of pre-trained models that no study uses; each is a block with a fine-tuning seed of its own."""
EVALUATED = 400
"""Rows that a run of the search scores: what a rate does is far larger than the error of a score on so many."""
SUITES: dict[Family, tuple[str, ...]] = {"nlu": NLU, "nlg": NLG}
Cell = tuple[str, bool, float, str, int]
"""Start, whether with the regularizers, rate, task, block."""


def measure() -> dict[str, Any]:
    """Return the average of each start, with and without regularizers, at each rate and block, and what is chosen."""
    cells: list[Cell] = [
        (start, regularized, rate, task, block)
        for block in range(len(PRETRAININGS))
        for family, tasks in SUITES.items()
        for task in tasks
        for start in STARTS
        for regularized in (False, True)
        for rate in GRIDS[family]
    ]
    records = records_of([_run(*cell) for cell in cells])
    scores = {cell: record.score or 0.0 for cell, record in zip(cells, records, strict=True)}
    points = [
        RatePoint(
            family=family,
            start=start,
            regularized=regularized,
            rate=rate,
            seed=SEEDS[block],
            value=fmean(scores[start, regularized, rate, task, block] for task in tasks),
        )
        for family, tasks in SUITES.items()
        for start in STARTS
        for regularized in (False, True)
        for rate in GRIDS[family]
        for block in range(len(PRETRAININGS))
    ]
    return {
        "grids": GRIDS,
        "blocks": len(PRETRAININGS),
        "points": [point.model_dump() for point in points],
        "rates": choose_rates(without_blocks(points), {"nlu": "score", "nlg": "score"}),
        "lora": {task: _of_lora(scores, family, task) for family, tasks in SUITES.items() for task in tasks},
    }


def without_blocks(points: Sequence[RatePoint]) -> list[RatePoint]:
    """Return the points less what their block does to all of its family alike, so that their spread is that of a rate.

    A block is a pre-trained model together with a fine-tuning seed. Models differ by more than rates do.
    """
    groups: dict[tuple[Family, int], list[float]] = {}
    for point in points:
        groups.setdefault((point.family, point.seed), []).append(point.value or 0.0)
    means = {key: fmean(values) for key, values in groups.items()}
    whole = {family: fmean(mean for (own, _), mean in means.items() if own == family) for family, _ in means}
    effect = {(family, seed): mean - whole[family] for (family, seed), mean in means.items()}
    return [
        point.model_copy(update={"value": (point.value or 0.0) - effect[point.family, point.seed]}) for point in points
    ]


def _run(start: str, regularized: bool, rate: float, task: str, block: int) -> Planned:
    settings = {"adapter.init": start, "training.learning_rate": rate, "data.eval_rows": EVALUATED}
    method = "ba-lora" if regularized else "pissa"
    return planned(task, method, settings, seed=SEEDS[block], pretraining=PRETRAININGS[block])


def _of_lora(scores: dict[Cell, float], family: Family, task: str) -> dict[str, float]:
    """Return the score of plain LoRA on ``task`` by rate."""
    blocks = range(len(PRETRAININGS))
    return {
        f"{rate:g}": fmean(scores["standard", False, rate, task, block] for block in blocks) for rate in GRIDS[family]
    }


def merit_rows(figures: dict[str, Any], family: Family) -> list[tuple[str, list[Merit]]]:
    """Return of each start how it did at each rate."""
    points = without_blocks([RatePoint(**point) for point in figures["points"]])
    return [
        (start, merits([one for one in points if (one.family, one.start) == (family, start)], "score"))
        for start in STARTS
    ]
