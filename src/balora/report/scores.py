"""Scores of a study's arms by seed, read off its records; pure and torch-free."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from balora.settings import Family
from balora.study.folder import Entry
from balora.tasks.catalogue import find_task
from balora.training.record import RunRecord

BySeed = dict[int, float]


class Measure(NamedTuple):
    """Something that arms are compared by."""

    key: str
    label: str
    unit: str
    family: Family
    higher_is_better: bool = True

    def of(self, run: RunRecord) -> float | None:
        """Return its value in one run: the score, or the answer loss."""
        return run.score if self.higher_is_better else run.metrics.get("answer_loss")


MEASURES: dict[str, Measure] = {
    measure.key: measure
    for measure in (
        Measure("nlu_avg", "NLU Avg", "points", "nlu"),
        Measure("nlg_avg", "NLG Avg", "points", "nlg"),
        Measure("nlg_answer_loss", "NLG answer loss", "nats/token", "nlg", higher_is_better=False),
    )
}
"""Answer loss is secondary: it still tells arms apart where a model solves no item at all."""


def task_scores(
    entries: Iterable[Entry], runs: Mapping[str, RunRecord], measure: Measure
) -> dict[str, dict[str, BySeed]]:
    """Return arm → task → seed → value, from the runs that finished and have the value."""
    found: dict[str, dict[str, BySeed]] = {}
    for entry in entries:
        run = runs.get(entry.id)
        if run is None or run.status != "ok" or find_task(entry.task).family != measure.family:
            continue
        value = measure.of(run)
        if value is not None:
            found.setdefault(entry.arm, {}).setdefault(entry.task, {})[entry.seed] = value
    return found


def averages(scores: Mapping[str, BySeed], tasks: Sequence[str]) -> BySeed:
    """Return seed → mean over ``tasks``, for the seeds that have every task: a partial mean is of something else."""
    complete = [seed for seed in scores.get(tasks[0], {}) if all(seed in scores.get(task, {}) for task in tasks)]
    return {seed: fmean(scores[task][seed] for task in tasks) for seed in complete}


def differences(arm: BySeed, base: BySeed) -> list[float]:
    """Return arm − base for every seed that both have, in order of the seeds."""
    return [arm[seed] - base[seed] for seed in sorted(arm.keys() & base.keys())]
