"""Carry out jobs in a few warm processes of this machine, each working on one job, or one group, at a time; torch-free.

With `concurrent.futures` one process that dies fails *every* job under way, without a sign of which was at fault. Here
each process has a pipe of its own, so that its death costs exactly its own job, or what is left of its group.
"""

import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context, reduction, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

from balora.study.engine.devices import HIDDEN
from balora.study.engine.grouping import next_group
from balora.study.engine.protocol import Event, Job
from balora.study.engine.worker import serve
from balora.training.record import RunError


class LocalPool(NamedTuple):
    """A pool of processes on this machine."""

    workers: int = 1
    threads: int = 1
    """Threads of each worker."""
    devices: tuple[str, ...] = ()
    """GPUs of the workers, one each, by turns where there are more workers; none: they see what this process sees."""
    together: int = 1
    """How many runs a worker carries out together, if they can share a base (:mod:`balora.study.engine.grouping`)."""

    def carry_out(self, stages: Sequence[Sequence[Job]], output: Path, lock: int | None = None) -> Generator[Event]:
        """See :meth:`balora.study.engine.protocol.Pool.carry_out`; the same processes serve all stages."""
        start = partial(_Worker, self.threads, output / "log.txt", lock)
        team: list[_Worker] = []
        try:
            for place in range(min(self.workers, max(map(len, stages), default=0))):
                team.append(start(self.devices[place % len(self.devices)] if self.devices else None))
            for stage in stages:
                waiting, events = list(reversed(stage)), list[Event]()
                while waiting or events:  # `events` is empty only when no worker has a job
                    events += _submit(waiting, team, start, self.together)
                    yield from events  # only after submitting: no worker waits while the caller handles an event
                    events = _receive(team, start)
        finally:
            for worker in team:
                worker.stop()


def local_pool(
    on_testbed: bool, workers: int | None = None, devices: tuple[str, ...] = (), together: int = 1
) -> LocalPool:
    """Return a pool for this machine's GPUs or cores, with as many ``workers`` as given, or else the usual number.

    One worker a GPU. Without one: testbed models are so small that more than one thread gains nothing, so one worker a
    core; on another model two workers share the cores.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    usual = len([one for one in devices if one != HIDDEN]) or (cores if on_testbed else min(2, cores))
    workers = workers or usual
    return LocalPool(workers, 1 if on_testbed else max(1, cores // workers), devices, together)


class _Worker:
    """One process and the jobs that it has: one, or some that go together."""

    def __init__(self, threads: int, log: Path, lock: int | None, device: str | None) -> None:
        context, self.device = get_context("spawn"), device
        self.connection, theirs = context.Pipe()
        shared = None if lock is None else _InheritedFile(lock)
        self.process: SpawnProcess = context.Process(
            target=serve, args=(theirs, threads, log, shared, device), daemon=True
        )
        with _ctrl_c_blocked():
            self.process.start()
        theirs.close()
        self.jobs: dict[int, Job] = {}
        """Those that have not ended, by their places in the group."""

    def submit(self, jobs: Sequence[Job]) -> None:
        self.jobs = dict(enumerate(jobs))
        with suppress(OSError):  # a dead worker is noticed by its closed pipe
            self.connection.send(jobs)

    def receive(self) -> list[Event]:
        """Return the event that the worker has sent, or that it died, for each of its jobs that had not ended."""
        place: int
        event: Event
        try:
            place, event = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(timeout=5)
            jobs, self.jobs = self.jobs, {}
            cause = _cause(self.process.exitcode) + (
                f" ({len(jobs)} runs were under way in it)" if len(jobs) > 1 else ""
            )
            died = Event("died", error=RunError(kind="WorkerDied", message=cause))
            return [died._replace(job=job) for job in jobs.values()]
        job = self.jobs[place] if event.kind == "progress" else self.jobs.pop(place)
        return [event._replace(job=job)]

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()


class _InheritedFile:
    """An open file descriptor that a new process inherits when this is among its arguments."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[[Any], "_InheritedFile"], tuple[Any]]:
        return _inherit, (reduction.DupFd(self.descriptor),)


def _inherit(duplicate: Any) -> _InheritedFile:
    return _InheritedFile(duplicate.detach())


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Hold back Ctrl-C, which a terminal sends to every process, until a new process ignores it; it is pending here."""
    resource_tracker.ensure_running()  # starting it in between would let Ctrl-C in
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _submit(
    waiting: list[Job], team: list[_Worker], start: Callable[[str | None], _Worker], together: int
) -> Iterator[Event]:
    """Give every worker that has no job the next one, or the next ones that go together."""
    for place, worker in enumerate(team):
        if not worker.jobs and waiting:
            if not worker.process.is_alive():  # it died without a job: no run is at fault
                worker.stop()
                team[place] = worker = start(worker.device)
            worker.submit(group := next_group(waiting, together))
            yield from (Event("started", job) for job in group)


def _receive(team: list[_Worker], start: Callable[[str | None], _Worker]) -> list[Event]:
    """Return what busy workers have sent within a second; replace those that died."""
    busy = {worker.connection: worker for worker in team if worker.jobs}
    if not busy:
        return []
    events: list[Event] = []
    for connection in wait(list(busy), timeout=1.0):
        worker = busy[connection]  # type: ignore[index]
        received = worker.receive()
        if received[0].kind == "died":
            worker.stop()
            team[team.index(worker)] = start(worker.device)
        events += received
    return events or [Event("idle")]


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", perhaps because memory ran out" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}; its last output is in log.txt"
    return f"the worker process ended by itself with code {exitcode}; its last output is in log.txt"
