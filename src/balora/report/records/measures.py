"""Read the scores of a study's arms off its records, by task and seed; pure and torch-free."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from balora.settings import Family
from balora.study.store.study_folder import Entry
from balora.tasks.catalogue import find_task
from balora.training.record import RunRecord

BySeed = dict[int, float]
ByTask = dict[str, dict[int, RunRecord]]
"""Task → seed → finished run."""


class Measure(NamedTuple):
    """Something that arms are compared by."""

    key: str
    label: str
    unit: str
    family: Family
    higher_is_better: bool = True

    @property
    def secondary(self) -> bool:
        """Whether it is shown beside the declared metrics, and so in no family of comparisons."""
        return self.key not in (f"{self.family}_avg", "avg")

    def margin(self, points: float) -> float:
        """Return the smallest difference that matters, where it is ``points`` of 100 in a score.

        For the answer loss a hundredth of that in nats: as 1 point is 1 % of all items, 0.01 nats/token makes each
        token of the reference answers about 1 % more or less probable.
        """
        return points / 100 if self.unit == "nats/token" else points

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
"""Answer loss is secondary: it still separates arms where a model solves no item at all."""


def finished_runs(entries: Iterable[Entry], runs: Mapping[str, RunRecord]) -> dict[Family, dict[str, ByTask]]:
    """Return family → arm → task → seed → run, of the runs that finished."""
    found: dict[Family, dict[str, ByTask]] = {"nlu": {}, "nlg": {}}
    families: dict[str, Family] = {}
    for entry in entries:
        run = runs.get(entry.id)
        if run is None or run.status != "ok":
            continue
        family = families.get(entry.task) or families.setdefault(entry.task, find_task(entry.task).family)
        found[family].setdefault(entry.arm, {}).setdefault(entry.task, {})[entry.seed] = run
    return found


def scores(by_task: ByTask, measure: Measure) -> dict[str, BySeed]:
    """Return task → seed → value, of the runs that have the value."""
    valued = {task: {seed: measure.of(run) for seed, run in by_seed.items()} for task, by_seed in by_task.items()}
    known = {task: {seed: x for seed, x in values.items() if x is not None} for task, values in valued.items()}
    return {task: values for task, values in known.items() if values}


def averages(scores: Mapping[str, BySeed], tasks: Sequence[str]) -> BySeed:
    """Return seed → mean over ``tasks``, for the seeds that have every task: a partial mean is of something else."""
    if not tasks:
        return {}
    complete = [seed for seed in scores.get(tasks[0], {}) if all(seed in scores.get(task, {}) for task in tasks)]
    return {seed: fmean(scores[task][seed] for task in tasks) for seed in complete}


def differences(arm: BySeed, base: BySeed) -> list[float]:
    """Return arm − base for every seed that both have, in order of the seeds."""
    return [arm[seed] - base[seed] for seed in shared(arm, base)]


def shared(arm: BySeed, base: BySeed) -> list[int]:
    """Return the seeds that both have, in order."""
    return sorted(arm.keys() & base.keys())
