"""Measure the score over one grid of learning rates, on the same tasks and seeds for every method."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from balora.tasks.testbed.testbed_tasks import NLG, NLU
from calibration.runs import SEEDS, Planned, planned, records_of

GRID = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
METHODS = ("lora", "pissa", "lora+reg", "ba-lora")
PRETRAININGS = (0, 1)


def measure(tasks: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the mean score over the blocks of every task for each method and rate."""
    chosen = tuple(tasks or (*NLU, *NLG))
    cells = [
        (method, rate, task, block)
        for block in range(len(PRETRAININGS))
        for task in chosen
        for method in METHODS
        for rate in GRID
    ]
    records = records_of([_run(*cell) for cell in cells])
    scores: dict[tuple[str, float, str], list[float]] = {}
    for (method, rate, task, _), record in zip(cells, records, strict=True):
        scores.setdefault((method, rate, task), []).append(record.score or 0.0)
    return {
        "grid": GRID,
        "blocks": len(PRETRAININGS),
        "rows": [
            {"method": method, "rate": rate, **{task: fmean(scores[method, rate, task]) for task in chosen}}
            for method in METHODS
            for rate in GRID
        ],
    }


def _run(method: str, rate: float, task: str, block: int) -> Planned:
    settings = {"training.learning_rate": rate}
    return planned(task, method, settings, seed=SEEDS[block], pretraining=PRETRAININGS[block])
