"""Carry out a plan: skip what is finished, repeat what is torn, record what fails; torch-free."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from balora.errors import InputError, OutputError, TrainingError
from balora.study.engine.live_file import LiveFile
from balora.study.engine.pretraining import PlannedModel, missing_models, pretrain
from balora.study.engine.protocol import Event, Job, Pool, RunFunction
from balora.study.engine.watcher import Watcher
from balora.study.engine.worker import train
from balora.study.plan.plan import Plan, PlannedRun, early_warning
from balora.study.store.lock import LostLockError, check_held
from balora.study.store.run_folders import check_reuse, remove_unfinished, take_stock
from balora.study.store.study_folder import describe, opened, writing
from balora.training.record import RunError, RunRecord, write_record

AGAIN = "run the study again"


class Outcome(NamedTuple):
    """How many runs there are, and what became of them."""

    planned: int
    skipped: int
    """Finished before; not repeated."""
    ok: int
    failed: int
    """Failed now."""
    failed_before: int
    """Failed before and not repeated; `--retry-failed` runs them again."""


def execute(
    plan: Plan,
    output: Path,
    watcher: Watcher,
    *,
    command: str,
    pool: Pool,
    run: RunFunction = train,
    retry_failed: bool = False,
    reuse: Sequence[Path] = (),
    only: Collection[str] | None = None,
) -> Outcome:
    """Carry out the runs of ``plan`` that are not yet finished in ``output``, after pre-training the models they need.

    Args:
        plan: every run of the study, in order.
        output: the study's folder; a record there that cannot be used is moved to `runs/.aside`, and its run repeated.
        watcher: is called back as the work goes on.
        command: repeats the study; goes into its record.
        pool: executes the jobs.
        run: carries out one run.
        retry_failed: whether to repeat runs that failed before.
        reuse: folders of other studies, whose finished runs are copied: a run's id depends on all that decides it.
        only: ids of the runs to carry out, where others carry out the rest; None: all.

    Raises:
        OutputError: the folder holds something else, is in use, cannot be written, or lost its lock file meanwhile.
        InputError: a folder of ``reuse`` holds no study; a run refused its input, or a model could not be pre-trained;
            runs finished by then remain.
        TrainingError: the pool failed; runs finished by then remain.
        KeyboardInterrupt: passed on, after the runs under way were stopped and their folders removed.
    """
    record = describe(plan, command)
    check_reuse(reuse, output)
    with opened(output, record, watcher.message) as lock:
        if warning := early_warning(plan):
            watcher.message(f"warning: {warning}")
        known = take_stock(output, record, plan, reuse, watcher.message)
        done = {id for id, run_record in known.items() if run_record.status == "ok"}
        failed_before = set() if retry_failed else set(known) - done
        mine = [one for one in plan.distinct if only is None or one.id in only]
        todo = [one for one in mine if one.id not in done | failed_before]
        models = missing_models(todo)
        with writing(output):
            for one in todo:
                if remove_unfinished(output / one.folder, one.id):
                    raise OutputError(f"{output / one.folder}: was finished by another process meanwhile: {AGAIN}")
        unfinished = {one.id: one for one in todo}
        ok = 0
        live = LiveFile(watcher, output)
        events = pool.carry_out(_stages(plan, models, todo, output, run), output, lock)
        held = partial(check_held, lock, output)
        try:
            if models:
                live.pretraining_started(models, min(pool.workers, len(models)))
            for model, event in _ends(events, models, live, held):
                _check_model(model, event, live)
                live.model_finished(model)
            live.runs_started(todo, len(done), len(failed_before), pool.workers)
            for one, event in _ends(events, todo, live, held):
                run_record = _record_of(event, one, plan, output)
                del unfinished[one.id]
                ok += run_record.status == "ok"
                live.run_finished(one, run_record)
        except LostLockError:
            unfinished.clear()  # their folders may be another process's by now
            raise
        finally:
            try:
                events.close()  # from here on no job is under way
            finally:
                _remove_unfinished(output, unfinished.values())
                live.close()
        skipped, lost = (sum(one.id in ids for one in mine) for ids in (done, failed_before))
        return Outcome(len(mine), skipped, ok, len(todo) - ok, lost)


def _stages(
    plan: Plan, models: Sequence[PlannedModel], todo: Sequence[PlannedRun], output: Path, run: RunFunction
) -> list[list[Job]]:
    """Return the jobs: first the models, then the runs."""
    adapters = [one.spec.adapter for one in plan.distinct if one.spec.adapter is not None]
    largest = max((adapter.rank for adapter in adapters if adapter.in_offset_form), default=0)
    return [
        [Job(model.id, model.spec, output, pretrain) for model in models],
        [Job(one.id, one.spec, output / one.folder, run, largest) for one in todo],
    ]


W = TypeVar("W", PlannedModel, PlannedRun)


def _ends(
    events: Generator[Event], work: Iterable[W], watcher: Watcher, held: Callable[[], None]
) -> Iterator[tuple[W, Event]]:
    """Yield each of ``work`` with the event that ends it; pass starts and progress on to the watcher.

    ``held`` is called at each event, and raises where the study's folder may be another process's by now.

    Raises:
        TrainingError: the pool failed, or stopped before all of ``work`` had ended.
    """
    under_way = {one.id: one for one in work}
    while under_way:
        try:
            event = next(events, None)
        except OSError as error:
            reason = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
            raise TrainingError(f"the pool failed ({reason}); finished runs remain: {AGAIN}") from error
        held()
        if event is None:
            raise TrainingError(f"the pool stopped before {len(under_way)} of its jobs had ended: {AGAIN}")
        if event.job is None:
            watcher.idle()
        elif event.job.id not in under_way:
            continue  # a pool may deliver the end of a job twice
        elif event.kind == "started":
            watcher.job_started(under_way[event.job.id])
        elif event.progress is not None:
            watcher.job_progress(under_way[event.job.id], event.progress)
        else:
            yield under_way.pop(event.job.id), event


def _check_model(model: PlannedModel, event: Event, watcher: Watcher) -> None:
    """Raise :class:`InputError` if a model could not be pre-trained; a worker that died is no reason to stop."""
    if event.error is None:
        return
    if event.kind != "died":
        raise InputError(f"{model.label}: {event.error.message} (no run was started)")
    watcher.message(f"{model.label}: {event.error.message}; the first run that needs this model tries again")


def _record_of(event: Event, one: PlannedRun, plan: Plan, output: Path) -> RunRecord:
    """Return the record of a run that has ended; write it here if the run could not write it itself."""
    error, record = event.error, event.record
    if error is None and record is not None:
        if record.id == one.id:
            return record
        error = RunError(
            kind="WrongIdentity",
            message=f"the run's id is {record.id}, but the plan has {one.id}: model, data or code changed meanwhile",
        )
    if error is None:
        error = RunError(
            kind="NoRecord", message=f"the pool reported {event.kind!r} with neither a record nor an error"
        )
    if event.kind == "refused":
        raise InputError(f"arm {one.arm!r} on {one.task}: {error.message}")
    if event.kind == "unwritable":
        raise OutputError(f"{error.message}: free space or choose another --output; finished runs remain")
    record = RunRecord(id=one.id, spec=one.spec, status="failed", error=error, fingerprints=plan.fingerprints[one.task])
    with writing(output):
        # a run that has finished counts, whatever came after: its worker died, or another process had carried it out
        return remove_unfinished(output / one.folder, one.id) or write_record(record, output / one.folder)


def _remove_unfinished(output: Path, runs: Iterable[PlannedRun]) -> None:
    """Remove what stopped runs have left, but not a run that had just ended and whose event was not yet received."""
    for one in runs:
        with suppress(OSError):  # the next `study run` removes it
            remove_unfinished(output / one.folder, one.id)
