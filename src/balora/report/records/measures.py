"""Read the scores of a study's arms off its records, by task and seed; pure and torch-free."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from balora.settings import Family
from balora.study.store.study_folder import Entry
from balora.tasks.catalogue import TASKS, Task
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
    judged: float = 1.0
    """What the score of a task that a judge grades is multiplied by."""

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

    def of(self, task: str, run: RunRecord) -> float | None:
        """Return its value on ``task`` in one run: the score, or the answer loss."""
        if not self.higher_is_better:
            return run.metrics.get("answer_loss")
        return run.score if run.score is None or task not in JUDGED else run.score * self.judged

    def tasks(self, found: Sequence[Task]) -> tuple[str, ...]:
        """Return the names of those among ``found`` that it is the mean over."""
        own = [task for task in found if task.family == self.family]
        if not self.higher_is_better:
            own = [task for task in own if "answer_loss" in task.metrics]
        return tuple(task.name for task in own)


MEASURES: dict[str, Measure] = {
    measure.key: measure
    for measure in (
        Measure("nlu_avg", "NLU Avg", "points", "nlu"),
        Measure("nlg_avg", "NLG Avg", "points", "nlg"),
        Measure("nlg_avg_paper", "NLG Avg (paper)", "mixed points", "nlg", judged=0.1),
        Measure("nlg_answer_loss", "NLG answer loss", "nats/token", "nlg", higher_is_better=False),
    )
}
"""Answer loss is secondary: it still separates arms where a model solves no item at all. So is the paper's own NLG Avg,
which adds MT-Bench's 1 to 10 to four scores of 0 to 100; ours takes MT-Bench × 10."""
JUDGED = frozenset(task.name for task in TASKS.values() if task.grader == "judge")


def measures_of(metrics: Sequence[str], tasks: Sequence[str]) -> list[Measure]:
    """Return the measures of a study that is judged by ``metrics`` on ``tasks``."""
    declared = [measure for measure in MEASURES.values() if f"{measure.family}_avg" in metrics]
    return [measure for measure in declared if measure.judged == 1 or JUDGED & set(tasks)]


def finished_runs(entries: Iterable[Entry], runs: Mapping[str, RunRecord]) -> dict[Family, dict[str, ByTask]]:
    """Return family → arm → scored task → seed → run, of the runs that finished."""
    found: dict[Family, dict[str, ByTask]] = {"nlu": {}, "nlg": {}}
    for entry in entries:
        run = runs.get(entry.id)
        if run is None or run.status != "ok":
            continue
        by_task = found[run.spec.objective.family].setdefault(entry.arm, {})
        for task in run.spec.scored:
            by_task.setdefault(task, {})[entry.seed] = run.of_task(task)
    return found


def scores(by_task: ByTask, measure: Measure) -> dict[str, BySeed]:
    """Return task → seed → value, of the runs that have the value."""
    valued = {task: {seed: measure.of(task, run) for seed, run in by_seed.items()} for task, by_seed in by_task.items()}
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
