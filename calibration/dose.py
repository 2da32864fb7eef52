"""Dose and response: one dial turned, the others at 0; plain LoRA; what the dial is meant to move."""

from collections.abc import Iterator
from statistics import fmean, stdev
from typing import Any, NamedTuple

from balora.training.record import RunRecord
from calibration.runs import SEEDS, Planned, carried_out, planned

PRETRAININGS = (0, 1, 2)
FINE_TUNINGS = SEEDS[:3]
CUE = 0.4
"""Held fixed over the bias dial: P(label | clan) = 0.7 in fine-tuning, in no test."""


class Dial(NamedTuple):
    """One dial with its settings, and the tasks it is read on."""

    name: str
    doses: tuple[float, ...]
    tasks: tuple[str, ...]
    measures: tuple[str, ...]
    """The first one is what it is meant to move; the others are shown beside it."""
    data: dict[str, float]


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
    records = carried_out([_run(*cell) for cell in cells])
    found: dict[tuple[str, float, str, int], list[RunRecord]] = {}
    for (dial, dose, task, pretraining, _), record in zip(cells, records, strict=True):
        found.setdefault((dial.name, dose, task, pretraining), []).append(record)
    return {"rows": [row for dial in dials for row in _rows(dial, found)]}


def _cells(dial: Dial) -> Iterator[tuple[float, str, int, int]]:
    for pretraining in PRETRAININGS:
        for dose in dial.doses:
            for task in dial.tasks:
                for seed in FINE_TUNINGS:
                    yield dose, task, pretraining, seed


def _run(dial: Dial, dose: float, task: str, pretraining: int, seed: int) -> Planned:
    flaws = {"testbed.noise": 0.0, "testbed.imbalance": 0.0, "testbed.bias": 0.0, f"testbed.{dial.name}": dose}
    return planned(task, "lora", {**flaws, **dial.data}, seed=seed, pretraining=pretraining)


def _rows(dial: Dial, found: dict[tuple[str, float, str, int], list[RunRecord]]) -> Iterator[dict[str, Any]]:
    for task in dial.tasks:
        for measure in dial.measures:
            for dose in dial.doses:
                models = [[_value(r, measure) for r in found[dial.name, dose, task, p]] for p in PRETRAININGS]
                means = [fmean(values) for values in models]
                yield {
                    "dial": dial.name, "task": task, "measure": measure, "dose": dose, "mean": fmean(means),
                    "sd_pretraining": stdev(means), "sd_fine_tuning": fmean(stdev(values) for values in models),
                    "models": means,
                }  # fmt: skip


def _value(record: RunRecord, measure: str) -> float:
    return (record.score or 0.0) / 100 if measure == "score" else record.inheritance[measure]
