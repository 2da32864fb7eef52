"""What was inherited: calibration, collapse, planted flaws and forgetting of a study's arms; pure and torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from balora.report.scores import BySeed, averages, differences
from balora.settings import Family
from balora.study.folder import StudyRecord
from balora.study.statistics import Summary, compare, summarize
from balora.tasks.catalogue import find_task
from balora.training.record import RunRecord

Wanted = Literal["high", "low", "near 0", "–"]


class Trait(NamedTuple):
    """Something measured beside the score."""

    label: str
    unit: Literal["share", "nats", "directions"]
    wanted: Wanted


TRAITS: dict[str, Trait] = {
    "minority_recall": Trait("minority recall", "share", "high"),
    "worst_group": Trait("worst group", "share", "high"),
    "aligned_minus_robust": Trait("aligned − robust", "share", "near 0"),
    "memorised_noise": Trait("memorised noise", "share", "low"),
    "noise_gap": Trait("noise gap (prone − other)", "share", "near 0"),
    "forgetting": Trait("forgetting", "nats", "low"),
    "drift": Trait("drift (KL to the pre-trained model)", "nats", "low"),
    "held_out_loss_before": Trait("held-out loss before", "nats", "–"),
    "held_out_loss": Trait("held-out loss after", "nats", "low"),
    "ece": Trait("calibration error (ECE)", "share", "low"),
    "mean_entropy": Trait("mean entropy", "nats", "–"),
    "effective_rank": Trait("effective rank of the logits", "directions", "–"),
}
"""In the order of the report; docs/testbed.md defines each."""


@dataclass(frozen=True)
class Inherited:
    """One measure of one arm in one family of tasks: mean over tasks, seed by seed."""

    family: Family
    measure: str
    tasks: tuple[str, ...]
    """Those that have the measure, in any arm: the mean is over all of them."""
    arm: str
    summary: Summary
    difference: float | None
    """Mean of arm − base over the seeds that both have; none for the base."""
    low: float | None
    high: float | None
    """95 % t-interval of the difference."""


def inherited(record: StudyRecord, runs: Mapping[str, RunRecord], arms: list[str]) -> tuple[Inherited, ...]:
    """Return every measure that a run has, for the ``arms`` (the base first); descriptive, so without tests."""
    found = []
    for family in ("nlu", "nlg"):
        for measure in TRAITS:
            table = _table(record, runs, family, measure)
            tasks = [task for task in record.tasks if any(task in by_task for by_task in table.values())]
            by_seed = {arm: averages(table.get(arm, {}), tasks) if tasks else {} for arm in arms}
            found += [
                _row(family, measure, tuple(tasks), arm, by_seed[arm], None if arm == arms[0] else by_seed[arms[0]])
                for arm in arms
                if tasks
            ]
    return tuple(found)


def _table(
    record: StudyRecord, runs: Mapping[str, RunRecord], family: str, measure: str
) -> dict[str, dict[str, BySeed]]:
    """Return arm → task → seed → value, from the runs that finished and have the value."""
    table: dict[str, dict[str, BySeed]] = {}
    for entry in record.runs:
        run = runs.get(entry.id)
        if run is None or run.status != "ok" or find_task(entry.task).family != family:
            continue
        value = {**run.behaviour, **run.inheritance}.get(measure)
        if value is not None:
            table.setdefault(entry.arm, {}).setdefault(entry.task, {})[entry.seed] = value
    return table


def _row(
    family: Family, measure: str, tasks: tuple[str, ...], arm: str, values: BySeed, base: BySeed | None
) -> Inherited:
    paired = compare([] if base is None else differences(values, base), higher_is_better=None)
    summary = summarize(list(values.values()))
    return Inherited(family, measure, tasks, arm, summary, paired.mean, paired.low, paired.high)
