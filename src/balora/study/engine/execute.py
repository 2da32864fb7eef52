"""Carrying a plan out: what is finished is skipped, what is torn is done again, what fails is recorded; torch-free."""

import gc
import os
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from balora.errors import InputError, OutputError
from balora.progress import OnProgress
from balora.study.engine.live_file import Beacon
from balora.study.engine.pool import DIED, Event, carry_out
from balora.study.engine.pretraining import PlannedModel, missing_models, pretrain
from balora.study.engine.watcher import Watcher
from balora.study.engine.worker import Job, RunFunction
from balora.study.plan.plan import Plan, PlannedRun
from balora.study.store.run_folders import finished, remove, set_aside, take_over, tidy, unlike_itself
from balora.study.store.study_folder import StudyRecord, describe, opened, read_runs, writing
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


def train(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Carry out one run for real."""
    gc.disable()  # the libraries' million objects are all to stay: a seventh of their import would go into that
    try:
        from balora.training.run import run  # imports torch: only in the workers
    finally:
        gc.enable()
    return run(spec, folder, on_progress=on_progress, has_siblings=True)


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
    A record that cannot be used is moved to `runs/.aside`, and its run repeated.
    On the testbed each worker has one thread: tiny models gain nothing from more. Otherwise they share the cores.

    Raises:
        OutputError: the folder holds something else, is in use, or cannot be written.
        InputError: a run refused its input, or a model could not be pre-trained; runs finished by then are kept.
        KeyboardInterrupt: passed on, after the runs under way were stopped and their folders removed.
    """
    record = describe(plan, command)
    with opened(output, record) as lock:
        if warning := early_warning(plan):
            watcher.noted(f"warning: {warning}")
        known = _take_stock(output, record, plan, reuse, watcher)
        done = {id for id, run_record in known.items() if run_record.status == "ok"}
        left = set() if retry_failed else set(known) - done
        todo = [planned for planned in plan.distinct if planned.id not in done | left]
        models = missing_models(todo)
        with writing(output):
            for planned in todo:
                remove(output / planned.folder)
        adapters = [one.spec.adapter for one in plan.distinct if one.spec.adapter is not None]
        largest = max((adapter.rank for adapter in adapters if adapter.init == "pissa"), default=0)
        stages = [
            [Job(model.id, model.spec, output, pretrain) for model in models],
            [Job(one.id, one.spec, output / one.folder, run, largest) for one in todo],
        ]
        threads = 1 if plan.choices.on_testbed else max(1, usable_cores() // workers)
        beacon = Beacon(watcher, output)
        if models:
            beacon.pretraining(models, min(workers, len(models)))
        else:
            beacon.began(todo, len(done), len(left), workers)
        events = carry_out(stages, workers, threads, output / "log.txt", lock)
        try:
            _follow_models(events, models, beacon)
            if models:
                beacon.began(todo, len(done), len(left), workers)
            ok = _follow_runs(events, todo, plan, output, beacon)
        finally:
            events.close()
            beacon.close()
        return Outcome(len(plan.distinct), len(done), ok, len(todo) - ok, len(left))


def early_warning(plan: Plan) -> str | None:
    """Return why this many blocks cannot confirm anything about the study's family of arms; none where they can."""
    from balora.statistics import design_warning  # imports numpy: not for those who only plan

    against = plan.study.against or plan.study.base_name
    arms = {arm.tuned or arm.name for arm in plan.arms} - {against}
    family = plan.study.family or tuple(arms)
    return design_warning(len(plan.blocks), len(family) * len(plan.study.metrics))


def _take_stock(
    output: Path, record: StudyRecord, plan: Plan, reuse: Sequence[Path], watcher: Watcher
) -> dict[str, RunRecord]:
    """Return the records that count, by id: what is faulty is set aside, what others have finished is copied."""
    tidy(output)
    known, faulty = read_runs(output, record)
    for id, one in known.items():
        why = unlike_itself(one, output / "runs" / id)
        faulty |= {id: why} if why else {}
    for id, why in faulty.items():
        known.pop(id, None)
        watcher.noted(f"set aside, to be run again: {why}; now in {set_aside(output, id)}")
    wanted = [one for one in plan.distinct if one.id not in known or known[one.id].status != "ok"]
    return known | take_over(reuse, output, wanted)


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
        elif event.error[0] == DIED:
            watcher.noted(f"{model.label}: {event.error[1]}; the first run that needs this model tries again")
            watcher.pretrained(missing.pop(model.id))
        else:
            raise InputError(f"{model.label}: {event.error[1]} (no run was begun)")


def _follow_runs(
    events: Generator[Event], todo: Sequence[PlannedRun], plan: Plan, output: Path, watcher: Watcher
) -> int:
    """Pass on what is told until the last run has ended; return how many went well."""
    planned = {one.id: one for one in todo}
    ended: set[str] = set()
    ok = 0
    try:
        for event in events:
            if event.job is None:
                watcher.idle()
                continue
            one = planned[event.job.id]
            if event.kind == "started":
                watcher.started(one)
            elif event.progress is not None:
                watcher.told(one, event.progress)
            else:
                record = _record_of(event, one, plan, output)
                ended.add(one.id)
                ok += record.status == "ok"
                watcher.ended(one, record)
    finally:
        events.close()  # the workers are gone from here on
        _abandon(output, [one for one in todo if one.id not in ended])
    return ok


def _abandon(output: Path, runs: Iterable[PlannedRun]) -> None:
    """Leave nothing of runs that were stopped, unless one had just ended and only its word was not heard."""
    for one in runs:
        if finished(output / one.folder, one.id) is None:
            with suppress(OSError):  # then the next `run` removes it
                remove(output / one.folder)


def _record_of(event: Event, one: PlannedRun, plan: Plan, output: Path) -> RunRecord:
    """Return the run's record, written here where the run could not write it itself."""
    kind, message = event.error
    if event.kind == "refused":
        raise InputError(f"arm {one.arm!r} on {one.task}: {message}")
    if event.kind == "unwritable":
        raise OutputError(f"{message}: free space or choose another --output; finished runs are kept")
    if event.record is not None and event.record.id == one.id:
        return event.record
    if kind == DIED and (whole := finished(output / one.folder, one.id)):
        return whole  # it died after its work was done
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
        remove(output / one.folder)
        return write_record(record, output / one.folder)
