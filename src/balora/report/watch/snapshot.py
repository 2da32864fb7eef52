"""Read how a study stands while it is carried out, from its records alone; torch-free."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from balora.progress import time_left
from balora.report.records.report import Report, build
from balora.report.records.runs import arm_names
from balora.report.tables.answer import differences
from balora.report.tables.table import Table, count, words
from balora.study.engine.live_file import read_live
from balora.study.store.entries import check_entries, check_plan
from balora.study.store.lock import is_locked
from balora.study.store.study_folder import Entry, StudyRecord, read_runs, read_study_record
from balora.training.record import RunRecord


@dataclass(frozen=True)
class ArmCount:
    """What became of one arm's planned runs; a run that arms share counts for each of them."""

    arm: str
    planned: int
    ok: int
    failed: int


@dataclass(frozen=True)
class Ended:
    """A run that ended a moment ago."""

    label: str
    status: str
    scores: dict[str, float]
    """By scored task, in points of 100."""


@dataclass(frozen=True)
class Snapshot:
    """The state of a study at one moment."""

    report: Report
    """Of the runs that have ended so far."""
    active: bool | None
    """Whether a `study run` is active; None where the file system cannot show it."""
    complete: bool
    """Every planned run has its record, and none is being repeated."""
    workers: int
    """Workers of the `study run` that is active, or was last; 0 where none has left its number."""
    models: int
    """Models of the testbed that must be pre-trained before the runs begin."""
    under_way: tuple[dict[str, Any], ...]
    """Runs that workers have: id, label, phase, step, steps, loss, seconds."""
    left_seconds: float | None
    """Estimated from the records' seconds, for so many workers (or one); None before the first run has ended."""
    latest: tuple[Ended, ...]
    arms: tuple[ArmCount, ...]

    def tables(self) -> tuple[Table, ...]:
        """Return the runs of each arm, and the differences of the report once a block has both of two arms."""
        rows = tuple((words(arm.arm), count(arm.planned), count(arm.ok), count(arm.failed)) for arm in self.arms)
        progress = Table("progress", "Runs of each arm", ("arm", "planned", "finished", "failed"), rows)
        if not any(one.paired.n for one in self.report.differences):
            return (progress,)
        compared = differences(self.report)
        early = f"{compared.caption}: early ones, which move until the study is complete"
        return progress, compared if self.complete else replace(compared, caption=early)

    def content(self) -> dict[str, Any]:
        """Return what is printed as JSON: the state, with that part of the report that moves."""
        state = {name: value for name, value in vars(self).items() if name != "report"}
        shown = ("study", "question", "base", "against", "noun", "counts", "differences", "unreadable")
        return {name: getattr(self.report, name) for name in shown} | state


class Observer:
    """Reads a study's folder again and again, and each finished run once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ok: dict[str, RunRecord] = {}
        self._report: tuple[object, Report] | None = None
        self._checked = ""

    def read(self) -> Snapshot:
        """Return how the study stands; raise :class:`InputError` where there is none."""
        active, live = is_locked(self.folder), read_live(self.folder)
        record = read_study_record(self.folder)
        if record.digest != self._checked:
            check_plan(record, self.folder)
            self._checked = record.digest
        runs, faulty = self._read(record)
        report = self._built(record, runs, faulty)
        under_way = () if active is False else tuple(one for one in live.under_way if one.id not in self._ok)
        lacking = report.counts.missing + report.counts.unreadable
        return Snapshot(
            report=report,
            active=active,
            complete=not active and lacking == 0,
            workers=live.workers,
            models=live.models if active is not False else 0,
            under_way=tuple(one.model_dump() for one in under_way),
            left_seconds=seconds_left(record.runs, runs, sum(one.seconds for one in under_way), live.workers),
            latest=_latest(live.latest, record.runs, runs),
            arms=_arm_counts(record, runs),
        )

    def _read(self, record: StudyRecord) -> tuple[dict[str, RunRecord], dict[str, str]]:
        planned = {entry.id for entry in record.runs}
        unknown = tuple(entry for entry in record.runs if entry.id not in self._ok)
        found, faulty = read_runs(self.folder, record.model_copy(update={"runs": unknown}))
        check_entries(record, found, self.folder)
        self._ok |= {id: run for id, run in found.items() if run.status == "ok"}
        return {id: run for id, run in (self._ok | found).items() if id in planned}, faulty

    def _built(self, record: StudyRecord, runs: Mapping[str, RunRecord], faulty: Mapping[str, str]) -> Report:
        """Return the report; the one before where nothing has changed."""
        state = (record, {id: run.status for id, run in runs.items()}, faulty)
        if self._report is None or self._report[0] != state:
            self._report = state, build(record, runs, faulty)
        return self._report[1]


def seconds_left(entries: Iterable[Entry], runs: Mapping[str, RunRecord], spent: float, workers: int) -> float | None:
    """Return the seconds until the last run without a record ends, ``spent`` of which are over for those under way."""
    tasks = {entry.id: entry.task for entry in entries}
    taken: dict[str, list[float]] = {}
    for id, run in runs.items():
        if run.status == "ok":
            cost = run.cost
            taken.setdefault(tasks[id], []).append(cost.setup_seconds + cost.train_seconds + cost.eval_seconds)
    return time_left(Counter(task for id, task in tasks.items() if id not in runs), taken, spent, workers)


def _latest(ids: Iterable[str], entries: Iterable[Entry], runs: Mapping[str, RunRecord]) -> tuple[Ended, ...]:
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry.id, entry)
    return tuple(
        Ended(f"{first[id].arm} · {first[id].task} · seed {first[id].seed}", runs[id].status, runs[id].scores)
        for id in ids
        if id in first and id in runs
    )


def _arm_counts(record: StudyRecord, runs: Mapping[str, RunRecord]) -> tuple[ArmCount, ...]:
    statuses: dict[str, list[str | None]] = {arm: [] for arm in arm_names(record)}
    for entry in record.runs:
        statuses[entry.arm].append(runs[entry.id].status if entry.id in runs else None)
    return tuple(
        ArmCount(arm, len(group), group.count("ok"), sum(status not in (None, "ok") for status in group))
        for arm, group in statuses.items()
    )
