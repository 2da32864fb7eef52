"""A small pool of warm worker processes, each carrying out one run at a time; torch-free.

`concurrent.futures` fails *every* run under way when one process dies and cannot say whose fault it was. Here each
worker has a pipe of its own, so that a dead one costs exactly its own run.
"""

import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Literal, NamedTuple

from balora.progress import Progress
from balora.study.engine.worker import Job, Shared, work
from balora.training.record import RunRecord

DIED = "WorkerDied"
"""The kind of error of a run whose process ended."""


class Event(NamedTuple):
    """What a worker tells about a job; `idle` (without a job) when nobody has told anything for a second."""

    kind: Literal["started", "progress", "done", "crashed", "refused", "unwritable", "idle"]
    job: Job | None = None
    progress: Progress | None = None
    record: RunRecord | None = None
    error: tuple[str, str] = ("", "")
    """Kind and message of what went wrong."""


class _Worker:
    def __init__(self, threads: int, log: Path, lock: int | None) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        shared = None if lock is None else Shared(lock)
        self.process: SpawnProcess = context.Process(target=work, args=(theirs, threads, log, shared), daemon=True)
        with _ctrl_c_held_back():
            self.process.start()
        theirs.close()
        self.job: Job | None = None

    def give(self, job: Job) -> None:
        self.job = job
        with suppress(OSError):  # a dead worker is noticed by its closed pipe
            self.connection.send(job)

    def hear(self) -> Event:
        """Return what the worker says, or that it died."""
        assert self.job is not None
        try:
            kind, payload = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(timeout=5)
            return Event("crashed", self.job, error=(DIED, _cause(self.process.exitcode)))
        if kind == "progress":
            return Event("progress", self.job, progress=payload)
        if kind == "done":
            return Event("done", self.job, record=payload)
        return Event(kind, self.job, error=payload)

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Keep Ctrl-C, which a terminal sends to every process, from a new one that cannot refuse it yet; it waits here."""
    resource_tracker.ensure_running()  # starting it in between would let Ctrl-C in
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def carry_out(
    stages: Sequence[Sequence[Job]], workers: int, threads: int, log: Path, lock: int | None = None
) -> Generator[Event]:
    """Carry out stage after stage of jobs, each in order, and yield every event; closing the iterator stops all.

    The same ``workers`` processes, of ``threads`` threads each, serve all stages. No job of a stage begins before the
    last of the stage before has ended. The processes share the open file ``lock``, until the last of them has ended.
    """
    staff: list[_Worker] = []
    try:
        for _ in range(min(workers, max(map(len, stages), default=0))):
            staff.append(_Worker(threads, log, lock))
        for stage in stages:
            waiting, told = list(reversed(stage)), list[Event]()
            while waiting or told or any(worker.job for worker in staff):
                told += _handed_out(waiting, staff, threads, log, lock)
                yield from told  # only now: no worker waits while someone looks at what it told
                told = _heard(staff, threads, log, lock)
    finally:
        for worker in staff:
            worker.stop()


def _handed_out(waiting: list[Job], staff: list[_Worker], threads: int, log: Path, lock: int | None) -> Iterator[Event]:
    """Give every worker that has nothing to do the next job."""
    for place, worker in enumerate(staff):
        if worker.job is None and waiting:
            if not worker.process.is_alive():  # it died while it had nothing to do: nobody's fault
                worker.stop()
                staff[place] = worker = _Worker(threads, log, lock)
            worker.give(waiting.pop())
            yield Event("started", worker.job)


def _heard(staff: list[_Worker], threads: int, log: Path, lock: int | None) -> list[Event]:
    """Return what busy workers tell within a second; replace those that died."""
    busy = {worker.connection: worker for worker in staff if worker.job}
    if not busy:
        return []
    events = []
    for connection in wait(list(busy), timeout=1.0):
        worker = busy[connection]  # type: ignore[index]
        event = worker.hear()
        if event.kind != "progress":
            worker.job = None
        if event.error[0] == DIED:
            worker.stop()
            staff[staff.index(worker)] = _Worker(threads, log, lock)
        events.append(event)
    return events or [Event("idle")]


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}; its last words are in log.txt"
    return f"the worker process ended by itself with code {exitcode}; its last words are in log.txt"
