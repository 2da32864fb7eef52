"""What page and exports draw: the report, and finer records of the same runs that it does not hold; torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from balora.report.curves import Curves, read_curves
from balora.report.data import Report, build
from balora.report.scores import MEASURES, differences, task_scores
from balora.report.sweeps import Sweep, sweeps
from balora.study.folder import StudyRecord, read_runs, read_study_record
from balora.study.statistics import t_interval
from balora.tasks.catalogue import find_task
from balora.training.record import RunRecord


@dataclass(frozen=True)
class TaskDifference:
    """An arm against the base in the score of one task, seed by seed; descriptive, so without a test."""

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
    """Everything that can be drawn of a study."""

    report: Report
    by_task: tuple[TaskDifference, ...]
    sweeps: tuple[Sweep, ...]
    curves: Curves
    runs: tuple[RunRow, ...]


def read_dossier(folder: Path) -> Dossier:
    """Return the dossier of the study kept in ``folder``; raise :class:`InputError` where there is none."""
    record = read_study_record(folder)
    runs, faulty = read_runs(folder, record)
    return assemble(record, runs, build(record, runs, faulty), read_curves(folder, record, runs))


def assemble(record: StudyRecord, runs: Mapping[str, RunRecord], report: Report, curves: Curves) -> Dossier:
    """Return the dossier of a study's records."""
    rows = tuple(RunRow(e.arm, e.task, e.seed, e.id, runs.get(e.id)) for e in record.runs)
    return Dossier(report, _by_task(record, runs, report), sweeps(report, record, runs), curves, rows)


def _by_task(record: StudyRecord, runs: Mapping[str, RunRecord], report: Report) -> tuple[TaskDifference, ...]:
    found = []
    for suite in record.study.suites:
        table = task_scores(record.runs, runs, MEASURES[f"{suite}_avg"])
        base = table.get(report.base, {})
        for task in (task for task in record.tasks if find_task(task).family == suite):
            for arm in report.arms:
                values = differences(table.get(arm.name, {}).get(task, {}), base.get(task, {}))
                if values and arm.name != report.base:
                    low, high = t_interval(values) if len(values) > 1 else (None, None)
                    found.append(TaskDifference(arm.name, task, len(values), sum(values) / len(values), low, high))
    return tuple(found)
