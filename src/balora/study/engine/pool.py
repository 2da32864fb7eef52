"""Carry out jobs in a few warm processes of this machine, each working on one job at a time; torch-free.

With `concurrent.futures` one process that dies fails *every* job under way, without a sign of which was at fault. Here
each process has a pipe of its own, so that its death costs exactly its own job.
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
                    events += _submit(waiting, team, start)
                    yield from events  # only after submitting: no worker waits while the caller handles an event
                    events = _receive(team, start)
        finally:
            for worker in team:
                worker.stop()


def local_pool(on_testbed: bool, workers: int | None = None, devices: tuple[str, ...] = ()) -> LocalPool:
    """Return a pool for this machine's GPUs or cores, with as many ``workers`` as given, or else the usual number.

    One worker a GPU. Without one: testbed models are so small that more than one thread gains nothing, so one worker a
    core; on another model two workers share the cores.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    usual = len([one for one in devices if one != HIDDEN]) or (cores if on_testbed else min(2, cores))
    workers = workers or usual
    return LocalPool(workers, 1 if on_testbed else max(1, cores // workers), devices)


class _Worker:
    """One process and the job it has."""

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
        self.job: Job | None = None

    def submit(self, job: Job) -> None:
        self.job = job
        with suppress(OSError):  # a dead worker is noticed by its closed pipe
            self.connection.send(job)

    def receive(self) -> Event:
        """Return the event that the worker has sent, or that it died."""
        try:
            event: Event = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(timeout=5)
            event = Event("died", error=RunError(kind="WorkerDied", message=_cause(self.process.exitcode)))
        return event._replace(job=self.job)

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


def _submit(waiting: list[Job], team: list[_Worker], start: Callable[[str | None], _Worker]) -> Iterator[Event]:
    """Give every worker that has no job the next one."""
    for place, worker in enumerate(team):
        if worker.job is None and waiting:
            if not worker.process.is_alive():  # it died without a job: no run is at fault
                worker.stop()
                team[place] = worker = start(worker.device)
            worker.submit(waiting.pop())
            yield Event("started", worker.job)


def _receive(team: list[_Worker], start: Callable[[str | None], _Worker]) -> list[Event]:
    """Return what busy workers have sent within a second; replace those that died."""
    busy = {worker.connection: worker for worker in team if worker.job}
    if not busy:
        return []
    events = []
    for connection in wait(list(busy), timeout=1.0):
        worker = busy[connection]  # type: ignore[index]
        event = worker.receive()
        if event.kind != "progress":
            worker.job = None
        if event.kind == "died":
            worker.stop()
            team[team.index(worker)] = start(worker.device)
        events.append(event)
    return events or [Event("idle")]


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", perhaps because memory ran out" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}; its last output is in log.txt"
    return f"the worker process ended by itself with code {exitcode}; its last output is in log.txt"
