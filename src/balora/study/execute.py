"""Carrying a plan out: what is finished is skipped, what is torn is done again, what fails is recorded; torch-free."""

import os
import shutil
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from balora.errors import InputError, OutputError
from balora.study.folder import describe, opened, read_runs, writing
from balora.study.models import PlannedModel, missing_models, pretrain
from balora.study.plan import Plan, PlannedRun
from balora.study.workers import Event, Job, RunFunction, carry_out
from balora.training.progress import OnProgress, Progress
from balora.training.record import RunError, RunRecord, read_record, write_record
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


Work = PlannedRun | PlannedModel


class Watcher(Protocol):
    """Someone who looks on."""

    def pretraining(self, models: Sequence[PlannedModel], workers: int) -> None:
        """Before the runs, ``models`` have to be pre-trained."""

    def began(self, todo: Sequence[PlannedRun], skipped: int, left: int, workers: int) -> None:
        """Work begins on the runs ``todo``."""

    def started(self, work: Work) -> None:
        """A worker took it."""

    def told(self, work: Work, progress: Progress) -> None:
        """A sign of life."""

    def pretrained(self, model: PlannedModel) -> None:
        """The model is there."""

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
    reuse: Sequence[Path] = (),
) -> Outcome:
    """Carry out what of ``plan`` is not yet in ``output``; models that are missing are pre-trained first.

    What a study in one of the folders ``reuse`` has finished is copied: a run's id says all that it depends on.
    On the testbed each worker has one thread: tiny models gain nothing from more. Otherwise they share the cores.

    Raises:
        OutputError: the folder holds something else, is in use, or cannot be written.
        InputError: a run refused its input, or a model could not be pre-trained; runs finished by then are kept.
        KeyboardInterrupt: passed on, after the runs under way were stopped and their folders removed.
    """
    record = describe(plan, command)
    with opened(output, record):
        take_over(reuse, output, plan.distinct)
        found, _ = read_runs(output, record)
        done = {id for id, run_record in found.items() if run_record.status == "ok"}
        left = set() if retry_failed else set(found) - done
        todo = [planned for planned in plan.distinct if planned.id not in done | left]
        models = missing_models(todo)
        with writing(output):
            for planned in todo:
                _remove(output / planned.folder)
        if models:
            watcher.pretraining(models, min(workers, len(models)))
        else:
            watcher.began(todo, len(done), len(left), workers)
        stages = [
            [Job(model.id, model.spec, output, pretrain) for model in models],
            [Job(one.id, one.spec, output / one.folder, run) for one in todo],
        ]
        threads = 1 if plan.choices.on_testbed else max(1, usable_cores() // workers)
        events = carry_out(stages, workers, threads, output / "log.txt")
        try:
            _follow_models(events, models, watcher)
            if models:
                watcher.began(todo, len(done), len(left), workers)
            ok = _follow_runs(events, todo, plan, output, watcher)
        finally:
            events.close()
        return Outcome(len(plan.distinct), len(done), ok, len(todo) - ok, len(left))


def take_over(others: Sequence[Path], output: Path, runs: Sequence[PlannedRun]) -> None:
    """Copy what ``others`` have finished of ``runs`` and ``output`` has not."""
    for planned in runs:
        for source in (other / planned.folder for other in others):
            if not (output / planned.folder / "run.json").exists() and _is_finished(source, planned.id):
                partial = output / "runs" / f".{planned.id}"
                with writing(output):
                    _remove(partial)
                    _remove(output / planned.folder)
                    shutil.copytree(source, partial)
                    partial.rename(output / planned.folder)


def _is_finished(folder: Path, id: str) -> bool:
    try:
        record = read_record(folder)
    except InputError:
        return False
    return record is not None and record.id == id and record.status == "ok"


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _follow_models(events: Generator[Event], models: Sequence[PlannedModel], watcher: Watcher) -> None:
    """Pass on what is told until the last model is there."""
    missing = {model.id: model for model in models}
    while missing:
        event = next(events)
        if event.job is None:
            watcher.idle()
            continue
        model = missing[event.job.id]
        if event.kind == "started":
            watcher.started(model)
        elif event.progress is not None:
            watcher.told(model, event.progress)
        elif event.kind == "done":
            watcher.pretrained(missing.pop(model.id))
        else:
            raise InputError(f"{model.label}: {event.error[1]} (no run was begun)")


def _follow_runs(
    events: Generator[Event], todo: Sequence[PlannedRun], plan: Plan, output: Path, watcher: Watcher
) -> int:
    """Pass on what is told until the last run has ended; return how many went well."""
    planned = {one.id: one for one in todo}
    under_way: set[str] = set()
    ok = 0
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
        events.close()
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
