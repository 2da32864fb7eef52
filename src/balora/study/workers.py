"""A small pool of warm worker processes, each carrying out one run at a time; torch-free.

`concurrent.futures` fails *every* run under way when one process dies and cannot say whose fault it was. Here each
worker has a pipe of its own, so that a dead one costs exactly its own run.
"""

import errno
import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Literal, NamedTuple

from balora.errors import InputError
from balora.training.progress import OnProgress, Progress
from balora.training.record import RunRecord
from balora.training.spec import RunSpec

RunFunction = Callable[[RunSpec, Path, OnProgress], RunRecord | None]
"""Carries out one run in a folder (or only gets its model ready, and returns none). Importable by name, because workers
are fresh processes."""

TELL_EVERY = 0.2
"""Seconds between two signs of life of one worker."""
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


class Job(NamedTuple):
    """One piece of work for a worker."""

    id: str
    spec: RunSpec
    folder: Path
    run: RunFunction


class Event(NamedTuple):
    """What a worker tells about a job; `idle` (without a job) when nobody has told anything for a second."""

    kind: Literal["started", "progress", "done", "crashed", "refused", "unwritable", "idle"]
    job: Job | None = None
    progress: Progress | None = None
    record: RunRecord | None = None
    error: tuple[str, str] = ("", "")
    """Kind and message of what went wrong."""


class _Worker:
    def __init__(self, threads: int, log: Path) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(theirs, threads, log), daemon=True)
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
            return Event("crashed", self.job, error=("WorkerDied", _cause(self.process.exitcode)))
        if kind == "progress":
            return Event("progress", self.job, progress=payload)
        if kind == "done":
            return Event("done", self.job, record=payload)
        return Event(kind, self.job, error=payload)

    def stop(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()


def carry_out(stages: Sequence[Sequence[Job]], workers: int, threads: int, log: Path) -> Generator[Event]:
    """Carry out stage after stage of jobs, each in order, and yield every event; closing the iterator stops all.

    The same ``workers`` processes, of ``threads`` threads each, serve all stages. No job of a stage begins before the
    last of the stage before has ended.
    """
    staff: list[_Worker] = []
    try:
        staff += [_Worker(threads, log) for _ in range(min(workers, max(map(len, stages), default=0)))]
        for stage in stages:
            waiting = list(reversed(stage))
            while waiting or any(worker.job for worker in staff):
                for worker in staff:
                    if worker.job is None and waiting:
                        worker.give(waiting.pop())
                        yield Event("started", worker.job)
                yield from _heard(staff, threads, log)
    finally:
        for worker in staff:
            worker.stop()


def _heard(staff: list[_Worker], threads: int, log: Path) -> Iterator[Event]:
    """Yield what busy workers tell within a second; replace those that died."""
    busy = {worker.connection: worker for worker in staff if worker.job}
    heard = [busy[connection] for connection in wait(list(busy), timeout=1.0)]  # type: ignore[index]
    if not heard:
        yield Event("idle")
    for worker in heard:
        event = worker.hear()
        if event.kind != "progress":
            worker.job = None
        if event.error[0] == "WorkerDied":
            worker.stop()
            staff[staff.index(worker)] = _Worker(threads, log)
        yield event


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}; its last words are in log.txt"
    return f"the worker process ended by itself with code {exitcode}; its last words are in log.txt"


def _work(connection: Connection, threads: int, log: Path) -> None:
    """Carry out jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)  # read when torch is imported
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with log.open("a", encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stdout.fileno() if sys.stdout else 1)
        os.dup2(file.fileno(), sys.stderr.fileno() if sys.stderr else 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from tqdm import tqdm  # type: ignore[import-untyped]

    tqdm.set_lock(threading.RLock())  # its own is a semaphore, which a worker that is killed would leave behind
    with suppress(EOFError, OSError):
        connection.send(_answer(connection.recv(), connection))
        gc.collect()
        gc.freeze()  # a million objects of the libraries: no need to look through them again after every run
        while True:
            connection.send(_answer(connection.recv(), connection))


def _end_with_parent() -> None:
    """End this process as soon as the parent is gone: a resumed study must find no stranger at work."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _answer(job: Job, connection: Connection) -> tuple[str, object]:
    try:
        return "done", job.run(job.spec, job.folder, _teller(connection))
    except InputError as error:
        return "refused", (type(error).__name__, str(error))
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            return "unwritable", (type(error).__name__, f"{error.filename or job.folder}: {error.strerror}")
        return "crashed", (type(error).__name__, str(error).splitlines()[0] if str(error) else "no message")


def _teller(connection: Connection) -> OnProgress:
    """Return a callback that passes on every new phase, and of the rest what the eye can follow."""
    last: tuple[str, float] = ("", 0.0)

    def tell(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if progress.phase != last[0] or now - last[1] >= TELL_EVERY:
            last = (progress.phase, now)
            connection.send(("progress", progress))

    return tell
