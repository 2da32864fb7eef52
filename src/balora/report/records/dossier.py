"""Collect what page and exports draw: the report, and finer records of the same runs; torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from balora.report.records.averages import score_all
from balora.report.records.curves import Curves, read_curves
from balora.report.records.measures import BySeed, differences, scores
from balora.report.records.report import Report, build
from balora.report.records.sweeps import Sweep, sweeps
from balora.statistics import t_interval
from balora.study.design.arms import design_arms
from balora.study.store.entries import read_study
from balora.study.store.study_folder import StudyRecord
from balora.training.record import RunRecord


@dataclass(frozen=True)
class TaskDifference:
    """An arm against the arm of reference in the score of one task, block by block; descriptive, so without a test."""

    arm: str
    task: str
    n: int
    mean: float
    """Points."""
    low: float | None
    high: float | None
    """95 % t-interval; none with fewer than two seeds."""


@dataclass(frozen=True)
class RunRow:
    """One planned run of one arm, whatever became of it."""

    arm: str
    task: str
    seed: int
    id: str
    record: RunRecord | None


@dataclass(frozen=True)
class Dossier:
    """All records of a study that page, figures and exports are drawn from."""

    report: Report
    by_task: tuple[TaskDifference, ...]
    sweeps: tuple[Sweep, ...]
    curves: Curves
    runs: tuple[RunRow, ...]


def read_dossier(folder: Path) -> Dossier:
    """Return the dossier of the study in ``folder``; raise :class:`InputError` where there is none."""
    record, runs, faulty = read_study(folder)
    return assemble(record, runs, build(record, runs, faulty), read_curves(folder, record, runs))


def assemble(record: StudyRecord, runs: Mapping[str, RunRecord], report: Report, curves: Curves) -> Dossier:
    """Return the dossier of a study's records."""
    report = replace(report, unreadable=(*report.unreadable, *curves.faulty))
    rows = tuple(RunRow(e.arm, e.task, e.seed, e.id, runs.get(e.id)) for e in record.runs)
    return Dossier(report, _by_task(record, runs, report), sweeps(report, record, runs), curves, rows)


def _by_task(record: StudyRecord, runs: Mapping[str, RunRecord], report: Report) -> tuple[TaskDifference, ...]:
    compared = [arm.name for arm in report.arms if arm.name != report.against and arm.tuned is None]
    found = []
    for one in score_all(record, runs, design_arms(record.study)):
        if not one.measure.secondary:
            against = scores(one.runs.get(report.against, {}), one.measure)
            by_arm = {arm: scores(one.runs.get(arm, {}), one.measure) for arm in compared}
            found += [
                difference
                for task in one.tasks
                for arm in compared
                for difference in _difference(arm, task, by_arm[arm].get(task, {}), against.get(task, {}))
            ]
    return tuple(found)


def _difference(arm: str, task: str, values: BySeed, against: BySeed) -> list[TaskDifference]:
    """Return the difference in one task; nothing where no block has both."""
    paired = differences(values, against)
    if not paired:
        return []
    low, high = t_interval(paired) if len(paired) > 1 else (None, None)
    return [TaskDifference(arm, task, len(paired), sum(paired) / len(paired), low, high)]
