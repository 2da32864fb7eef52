"""Measure what the regularizers change at 1, 10 and 100 times their published weights, against weights of 0."""

from dataclasses import asdict
from statistics import fmean
from typing import Any

from balora.objective.config import TERMS, ObjectiveConfig
from balora.settings import Family
from balora.statistics import compare
from balora.study.plan.testbed_profiles import SHIPPED, TESTBED_PROFILES
from balora.tasks.catalogue import find_task
from balora.training.record import RunRecord
from calibration.runs import SEEDS, Planned, planned, records_of

FACTORS = (0, 1, 10, 100)
BLOCKS = 8
FAMILIES: tuple[Family, ...] = ("nlu", "nlg")
MEASURES = ("score", "minority_recall", "aligned_minus_robust", "memorised_noise", "forgetting", "drift")


def measure() -> dict[str, Any]:
    """Return, for each family and factor, the averages and the paired differences to factor 0."""
    tasks = TESTBED_PROFILES["quick"].tasks or ()
    cells = [(block, task, factor) for block in range(BLOCKS) for task in tasks for factor in FACTORS]
    records = dict(zip(cells, records_of([_run(*cell) for cell in cells]), strict=True))
    rows = []
    for family in FAMILIES:
        own = [task for task in tasks if find_task(task).family == family]
        for measure in MEASURES:
            by_factor = {
                factor: [_average([records[block, task, factor] for task in own], measure) for block in range(BLOCKS)]
                for factor in FACTORS
            }
            for factor, values in by_factor.items():
                differences = [one - none for one, none in zip(values, by_factor[0], strict=True)]
                rows.append(
                    {"family": family, "measure": measure, "factor": factor, "mean": fmean(values),
                     "paired": asdict(compare(differences, higher_is_better=None)) if factor else None}
                )  # fmt: skip
    return {"blocks": BLOCKS, "tasks": tasks, "rows": rows}


def _run(block: int, task: str, factor: int) -> Planned:
    preset = ObjectiveConfig.preset("ba-lora", family=find_task(task).family)
    weights = {f"objective.{term}.weight": factor * getattr(preset, term).weight for term in TERMS}
    return planned(task, "ba-lora", weights, seed=SEEDS[block], pretraining=block % SHIPPED)


def _average(records: list[RunRecord], measure: str) -> float:
    """Return the mean over the tasks that have the measure."""
    if measure == "score":
        return fmean(record.score or 0.0 for record in records)
    return fmean(record.inheritance[measure] for record in records if measure in record.inheritance)
