"""Find the runs that collapsed, by a rule that was fixed before any result; pure and torch-free.

A run has collapsed on a task when its score is nearer to that of a guess than to the median score of all finished runs
of the task in the study. It stays in every average: whether an arm collapses is part of what the arm does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from balora.report.records.measures import finished_runs
from balora.report.records.wording import listed, number_of
from balora.study.store.study_folder import StudyRecord
from balora.tasks.guesses import guess_score
from balora.training.record import RunRecord

LEAST_ROOM = 10.0
"""Points by which the median must exceed a guess; below, none can be told from a guess, and the rule is not applied."""


@dataclass(frozen=True)
class Threshold:
    """What the rule says of one task."""

    task: str
    guess: float
    """Points that a guess scores."""
    median: float
    """Of all finished runs of the task in the study; a run that arms share counts once."""
    below: float | None
    """A run that scores fewer points has collapsed: half-way between the two. None where they are too close."""
    runs: int


@dataclass(frozen=True)
class Collapse:
    """A run that collapsed, in one arm; a run that arms share collapsed in each of them."""

    arm: str
    task: str
    seed: int
    pretraining: int | None
    """Pre-training seed of its model; None for a given model."""
    id: str
    score: float
    is_alone: bool
    """Whether another arm's run of the same task and block did not collapse: then it was not the model."""


@dataclass(frozen=True)
class Collapses:
    """The collapsed runs of a study."""

    thresholds: tuple[Threshold, ...]
    runs: tuple[Collapse, ...]
    finished: dict[str, int]
    """Of every arm: its finished runs on tasks that the rule is applied to."""

    @property
    def distinct(self) -> int:
        """How many runs collapsed; one that arms share counts once."""
        return len({(one.id, one.task) for one in self.runs})


Scores = dict[str, dict[str, dict[int, tuple[str, float]]]]
"""Task → arm → seed → id and score of the run."""


def collapses(record: StudyRecord, runs: Mapping[str, RunRecord]) -> Collapses:
    """Return the thresholds of the tasks, and the runs that lie below them, in the order of the plan."""
    scores = _scores(record, runs)
    thresholds = tuple(_threshold(record, task, by_arm) for task, by_arm in scores.items())
    below = {one.task: one.below for one in thresholds if one.below is not None}
    pretrainings = dict(zip(record.seeds, record.pretrainings, strict=False))
    found = tuple(
        Collapse(arm, task, seed, pretrainings.get(seed), id, score, not _all_below(scores[task], seed, below[task]))
        for task in below
        for arm, by_seed in scores[task].items()
        for seed, (id, score) in by_seed.items()
        if score < below[task]
    )
    arms = dict.fromkeys(entry.arm for entry in record.runs)
    finished = {arm: sum(len(scores[task].get(arm, {})) for task in below) for arm in arms}
    return Collapses(thresholds, found, finished)


def _scores(record: StudyRecord, runs: Mapping[str, RunRecord]) -> Scores:
    found: Scores = {}
    by_family = finished_runs(record.runs, runs)
    for task in record.scored_tasks:
        by_arm = by_family[record.study.find(task).family]
        for arm, by_task in by_arm.items():
            for seed, run in by_task.get(task, {}).items():
                if run.score is not None:
                    found.setdefault(task, {}).setdefault(arm, {})[seed] = (run.id, run.score)
    return found


def _threshold(record: StudyRecord, task: str, by_arm: Mapping[str, Mapping[int, tuple[str, float]]]) -> Threshold:
    distinct = dict(pair for by_seed in by_arm.values() for pair in by_seed.values())
    guess, middle = guess_score(record.study.find(task)), median(distinct.values())
    below = (guess + middle) / 2 if middle - guess >= LEAST_ROOM else None
    return Threshold(task, guess, middle, below, len(distinct))


def _all_below(by_arm: Mapping[str, Mapping[int, tuple[str, float]]], seed: int, below: float) -> bool:
    """Return whether the runs of all arms in a block collapsed, of at least two different ones."""
    there = dict(by_seed[seed] for by_seed in by_arm.values() if seed in by_seed)
    return len(there) > 1 and all(score < below for score in there.values())


def collapse_sentence(found: Collapses, noun: str) -> str:
    """Return how many runs collapsed, and in which arms and tasks; nothing where the rule is applied to no task."""
    judged = [one for one in found.thresholds if one.below is not None]
    total = sum(one.runs for one in judged)
    if not judged:
        return ""
    if not found.runs:
        return f"None of {number_of(total, 'run')} collapsed."
    tasks = dict.fromkeys(one.task for one in found.runs)
    parts = [f"{task} ({len({one.id for one in found.runs if one.task == task})})" for task in tasks]
    together = len({(one.id, one.task) for one in found.runs if not one.is_alone})
    model = (
        f" With {together} of them every arm of the {noun} collapsed, so that it was not the arm." if together else ""
    )
    return f"{found.distinct} of {number_of(total, 'run')} collapsed: {listed(parts)}.{model}"
