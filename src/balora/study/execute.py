"""Carrying a plan out: what is finished is skipped, what is torn is done again, what fails is recorded; torch-free."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from balora.errors import InputError, OutputError
from balora.study.folder import describe, opened, read_runs, writing
from balora.study.plan import Plan, PlannedRun
from balora.study.workers import Event, Job, RunFunction, carry_out
from balora.training.progress import OnProgress, Progress
from balora.training.record import RunError, RunRecord, write_record
from balora.training.spec import RunSpec


class Outcome(NamedTuple):
    """How many runs there are, and what became of them."""

    planned: int
    skipped: int
    """Finished before; not repeated."""
    ok: int
    failed: int
    """Failed now."""
    left: int
    """Failed before and left alone; `--retry-failed` runs them again."""


class Watcher(Protocol):
    """Someone who looks on."""

    def began(self, todo: Sequence[PlannedRun], skipped: int, left: int, workers: int) -> None:
        """Work begins on ``todo``."""

    def started(self, run: PlannedRun) -> None:
        """A worker took the run."""

    def told(self, run: PlannedRun, progress: Progress) -> None:
        """A run gave a sign of life."""

    def ended(self, run: PlannedRun, record: RunRecord) -> None:
        """A run left its record."""

    def idle(self) -> None:
        """Nothing was told for a second."""


def train(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Carry out one run for real."""
    from balora.training.run import run  # imports torch: only in the workers

    return run(spec, folder, on_progress=on_progress)


def execute(
    plan: Plan,
    output: Path,
    watcher: Watcher,
    *,
    command: str,
    run: RunFunction = train,
    workers: int = 1,
    retry_failed: bool = False,
) -> Outcome:
    """Carry out what of ``plan`` is not yet in ``output``.

    Raises:
        OutputError: the folder holds something else, is in use, or cannot be written.
        InputError: a run refused its input; runs finished by then are kept.
        KeyboardInterrupt: passed on, after the runs under way were stopped and their folders removed.
    """
    record = describe(plan, command)
    with opened(output, record):
        found, _ = read_runs(output, record)
        done = {id for id, run_record in found.items() if run_record.status == "ok"}
        left = set() if retry_failed else set(found) - done
        todo = [planned for planned in plan.distinct if planned.id not in done | left]
        with writing(output):
            for planned in todo:
                _remove(output / planned.folder)
        watcher.began(todo, len(done), len(left), workers)
        ok = _carry_out(todo, plan, output, watcher, run, workers)
        return Outcome(len(plan.distinct), len(done), ok, len(todo) - ok, len(left))


def _carry_out(
    todo: Sequence[PlannedRun], plan: Plan, output: Path, watcher: Watcher, run: RunFunction, workers: int
) -> int:
    planned = {one.id: one for one in todo}
    under_way: set[str] = set()
    ok = 0
    events = carry_out([Job(one.id, one.spec, output / one.folder) for one in todo], run, workers, output / "log.txt")
    try:
        for event in events:
            if event.job is None:
                watcher.idle()
                continue
            one = planned[event.job.id]
            if event.kind == "started":
                under_way.add(one.id)
                watcher.started(one)
            elif event.progress is not None:
                watcher.told(one, event.progress)
            else:
                record = _record_of(event, one, plan, output)
                under_way.discard(one.id)
                ok += record.status == "ok"
                watcher.ended(one, record)
    finally:
        events.close()  # type: ignore[attr-defined]
        for id in under_way:
            _remove(output / planned[id].folder)
    return ok


def _record_of(event: Event, one: PlannedRun, plan: Plan, output: Path) -> RunRecord:
    """Return the run's record, written here where the run could not write it itself."""
    kind, message = event.error
    if event.kind == "refused":
        raise InputError(f"arm {one.arm!r} on {one.task}: {message}")
    if event.kind == "unwritable":
        raise OutputError(f"{message}: free space or choose another --output; finished runs are kept")
    if event.record is not None and event.record.id == one.id:
        return event.record
    if event.record is not None:
        kind, message = (
            "WrongIdentity",
            f"the run calls itself {event.record.id}, the plan {one.id}: inputs changed meanwhile",
        )
    record = RunRecord(
        id=one.id,
        spec=one.spec,
        status="failed",
        error=RunError(kind=kind, message=message),
        fingerprints=plan.fingerprints[one.task],
    )
    with writing(output):
        _remove(output / one.folder)
        write_record(record, output / one.folder)
    return record


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)
