"""The state of a study that is being carried out, as frozen records, from its records alone; torch-free."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from balora.report.records.report import Counts, Difference, Report, build
from balora.report.records.runs import arm_names
from balora.study.engine.live_file import read_live
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
    score: float | None
    """Points of 100."""


@dataclass(frozen=True)
class Snapshot:
    """One look at a study."""

    study: str
    question: str
    base: str
    active: bool | None
    """Whether a `run` is at work; none where the file system cannot tell."""
    complete: bool
    """Every planned run has its record, and none is being repeated."""
    counts: Counts
    workers: int
    """Of the `run` that is at work, or was last; 0 where none has told."""
    models: int
    """Models of the testbed that must be pre-trained before the runs begin."""
    under_way: tuple[dict[str, Any], ...]
    """Runs that workers have: id, label, phase, step, steps, loss, seconds."""
    left_seconds: float | None
    """Estimated from the records' seconds, for so many workers (or one); none before the first run has ended."""
    latest: tuple[Ended, ...]
    arms: tuple[ArmCount, ...]
    differences: tuple[Difference, ...]
    """To the base, over the blocks that both arms have finished so far."""
    unreadable: tuple[str, ...]


class Onlooker:
    """Looks at a study's folder again and again, and reads a finished run once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ok: dict[str, RunRecord] = {}
        self._report: tuple[object, Report] | None = None

    def look(self) -> Snapshot:
        """Return how the study stands; raise :class:`InputError` where there is none."""
        active, live = is_locked(self.folder), read_live(self.folder)
        record = read_study_record(self.folder)
        runs, faulty = self._read(record)
        report = self._built(record, runs, faulty)
        under_way = () if active is False else tuple(one for one in live.under_way if one.id not in self._ok)
        lacking = report.counts.missing + report.counts.unreadable
        return Snapshot(
            study=report.study,
            question=report.question,
            base=report.base,
            active=active,
            complete=not active and lacking == 0,
            counts=report.counts,
            workers=live.workers,
            models=live.models if active is not False else 0,
            under_way=tuple(one.model_dump() for one in under_way),
            left_seconds=time_left(record.runs, runs, sum(one.seconds for one in under_way), live.workers),
            latest=_latest(live.latest, record.runs, runs),
            arms=_arm_counts(record, runs),
            differences=report.differences,
            unreadable=report.unreadable,
        )

    def _read(self, record: StudyRecord) -> tuple[dict[str, RunRecord], dict[str, str]]:
        planned = {entry.id for entry in record.runs}
        unknown = tuple(entry for entry in record.runs if entry.id not in self._ok)
        found, faulty = read_runs(self.folder, record.model_copy(update={"runs": unknown}))
        self._ok |= {id: run for id, run in found.items() if run.status == "ok"}
        return {id: run for id, run in (self._ok | found).items() if id in planned}, faulty

    def _built(self, record: StudyRecord, runs: Mapping[str, RunRecord], faulty: Mapping[str, str]) -> Report:
        """Return the report; the one before where nothing has changed."""
        state = (record, {id: run.status for id, run in runs.items()}, faulty)
        if self._report is None or self._report[0] != state:
            self._report = state, build(record, runs, faulty)
        return self._report[1]


def time_left(entries: Iterable[Entry], runs: Mapping[str, RunRecord], spent: float, workers: int) -> float | None:
    """Return the seconds until the last run without a record ends, ``spent`` of which are over for those under way.

    Σ over these runs of the mean seconds of finished runs of their task (of any task, where it has none) ÷ workers.
    """
    tasks = {entry.id: entry.task for entry in entries}
    taken: dict[str, list[float]] = {}
    for id, run in runs.items():
        if run.status == "ok":
            cost = run.cost
            taken.setdefault(tasks[id], []).append(cost.setup_seconds + cost.train_seconds + cost.eval_seconds)
    if not taken:
        return None
    usual = fmean(seconds for group in taken.values() for seconds in group)
    each = {task: fmean(group) for task, group in taken.items()}
    work = sum(each.get(task, usual) for id, task in tasks.items() if id not in runs)
    return max(0.0, work - spent) / max(1, workers)


def _latest(ids: Iterable[str], entries: Iterable[Entry], runs: Mapping[str, RunRecord]) -> tuple[Ended, ...]:
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry.id, entry)
    return tuple(
        Ended(f"{first[id].arm} · {first[id].task} · seed {first[id].seed}", runs[id].status, runs[id].score)
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
