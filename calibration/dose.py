"""Measure how plain LoRA responds to each dial of the testbed, turned alone: does the intended measure move?"""

from collections.abc import Iterator
from statistics import fmean, stdev
from typing import Any, NamedTuple

from balora.training.record import RunRecord
from calibration.runs import SEEDS, Planned, planned, records_of

PRETRAININGS = (0, 1, 2)
FINE_TUNINGS = SEEDS[:3]
CUE = 0.4
"""Fixed at every dose of the bias dial: P(label | clan) = 0.7 in the fine-tuning data, and in no test data."""


Grouped = dict[tuple[str, float, str, int], list[RunRecord]]
"""Records by dial, dose, task and pre-training seed."""


class Dial(NamedTuple):
    """One dial, its doses, and the tasks and measures on which its effect is measured."""

    name: str
    doses: tuple[float, ...]
    tasks: tuple[str, ...]
    measures: tuple[str, ...]
    """The dial is meant to move the first one; the others are shown beside it."""
    data: dict[str, float]
    """Settings of the fine-tuning data at every dose."""


DIALS = (
    Dial("noise", (0.0, 0.15, 0.3, 0.45, 0.6), ("facts", "code"), ("memorised_noise", "score"), {}),
    Dial("imbalance", (0.0, 0.6, 0.8, 0.9, 0.97), ("facts", "code"), ("minority_recall", "score"), {}),
    Dial(
        "bias", (0.0, 0.2, 0.4, 0.6, 0.9), ("paraphrase", "sentiment", "acceptability"),
        ("aligned_minus_robust", "score"), {"data.cue": CUE},
    ),
)  # fmt: skip


def measure(names: list[str] | None = None) -> dict[str, Any]:
    """Return every dial's response by task, dose and measure: mean and spread over pre-trainings and fine-tunings."""
    dials = [dial for dial in DIALS if not names or dial.name in names]
    cells = [(dial, *cell) for dial in dials for cell in _cells(dial)]
    records = records_of([_run(*cell) for cell in cells])
    grouped: Grouped = {}
    for (dial, dose, task, pretraining, _), record in zip(cells, records, strict=True):
        grouped.setdefault((dial.name, dose, task, pretraining), []).append(record)
    return {"rows": [row for dial in dials for row in _rows(dial, grouped)]}


def _cells(dial: Dial) -> Iterator[tuple[float, str, int, int]]:
    for pretraining in PRETRAININGS:
        for dose in dial.doses:
            for task in dial.tasks:
                for seed in FINE_TUNINGS:
                    yield dose, task, pretraining, seed


def _run(dial: Dial, dose: float, task: str, pretraining: int, seed: int) -> Planned:
    flaws = {"testbed.noise": 0.0, "testbed.imbalance": 0.0, "testbed.bias": 0.0, f"testbed.{dial.name}": dose}
    return planned(task, "lora", {**flaws, **dial.data}, seed=seed, pretraining=pretraining)


def _rows(dial: Dial, grouped: Grouped) -> Iterator[dict[str, Any]]:
    for task in dial.tasks:
        for measure in dial.measures:
            for dose in dial.doses:
                models = [[_value(r, measure) for r in grouped[dial.name, dose, task, p]] for p in PRETRAININGS]
                means = [fmean(values) for values in models]
                yield {
                    "dial": dial.name, "task": task, "measure": measure, "dose": dose, "mean": fmean(means),
                    "sd_pretraining": stdev(means), "sd_fine_tuning": fmean(stdev(values) for values in models),
                    "models": means,
                }  # fmt: skip


def _value(record: RunRecord, measure: str) -> float:
    return (record.score or 0.0) / 100 if measure == "score" else record.inheritance[measure]
