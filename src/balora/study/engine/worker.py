"""Carry out jobs inside a worker, one after another until the pipe to the parent process closes; torch-free."""

import errno
import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path

from balora.adapters.ranks import ranks_up_to
from balora.errors import InputError
from balora.progress import OnProgress, Progress
from balora.regular_files import open_regular
from balora.study.engine.devices import VARIABLE
from balora.study.engine.protocol import Event, Job
from balora.training.record import RunError, RunRecord
from balora.training.shared_base import sharing_base
from balora.training.spec import RunSpec
from balora.training.turns import take_turns

PROGRESS_EVERY = 0.2
"""Seconds between two progress events of one worker."""
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""Texts by which a full disk is recognised where a library wraps the system's error in one of its own."""


def train(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Carry out one run for real."""
    gc.disable()  # importing makes a million objects that all stay: collecting would take a seventh of that time
    try:
        from balora.training.run import run  # imports torch: only in the workers
    finally:
        gc.enable()
    return run(spec, folder, on_progress=on_progress, has_siblings=True)


def serve(connection: Connection, threads: int, log: Path, lock: object, device: str | None) -> None:
    """Carry out the jobs that arrive on ``connection`` until it closes; ``lock`` only needs to stay open.

    ``device`` is the one GPU that jobs see; None: those that this process sees.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)  # read when torch is imported
    if device is not None:
        os.environ[VARIABLE] = device
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    file = open_regular(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, links=False)
    os.dup2(file, sys.stdout.fileno() if sys.stdout else 1)
    os.dup2(file, sys.stderr.fileno() if sys.stderr else 2)
    os.close(file)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    from tqdm import tqdm  # type: ignore[import-untyped]

    tqdm.set_lock(threading.RLock())  # its default is a semaphore, which a killed worker would leak
    with suppress(EOFError, OSError):
        carry_out_group(connection.recv(), connection.send)
        gc.collect()
        gc.freeze()  # the libraries' million objects need not be scanned again after every run
        while True:
            carry_out_group(connection.recv(), connection.send)


def _exit_with_parent() -> None:
    """End this process as soon as the parent is gone: a resumed study must not find an old worker in its folder."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def carry_out_group(jobs: Sequence[Job], send: Callable[[tuple[int, Event]], object]) -> None:
    """Carry out ``jobs``; send each event with the place of its job among them.

    Where there are several, they take turns, step by step, on one base in memory; each ends by itself.
    """

    def of(place: int) -> Callable[[], None]:
        def report(event: Event) -> None:
            send((place, event))

        return lambda: report(carry_out(jobs[place], throttled(report)))

    works = [of(place) for place in range(len(jobs))]
    if len(works) == 1:
        works[0]()
        return
    with sharing_base():
        take_turns(works)
    gc.collect()  # a Trainer is in circles, and would hold the base while the next one is loaded


def carry_out(job: Job, on_progress: OnProgress) -> Event:
    """Carry out one job and return the event that ends it, without the job itself; never raises for a failed run."""
    try:
        with ranks_up_to(job.largest_rank):
            record = job.run(job.spec, job.folder, on_progress)
    except InputError as error:
        return Event("refused", error=RunError(kind=type(error).__name__, message=str(error)))
    except Exception as error:
        with suppress(OSError):  # the log may be on the disk that is full
            traceback.print_exc()
            sys.stderr.flush()
        kind = type(error).__name__
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            return _unwritable(kind, f"{error.filename or job.folder}: {error.strerror}")
        message = str(error).splitlines()[0] if str(error) else "no message"
        if _is_full_disk(message):
            return _unwritable(kind, f"{job.folder}: {message}")
        return Event("failed", error=RunError(kind=kind, message=message))
    if record is not None and record.error is not None and _is_full_disk(record.error.message):
        return _unwritable(record.error.kind, f"{job.folder}: {record.error.message}")
    return Event("done", record=record)


def _is_full_disk(message: str) -> bool:
    return any(text in message for text in FULL)


def _unwritable(kind: str, message: str) -> Event:
    return Event("unwritable", error=RunError(kind=kind, message=message))


def throttled(send: Callable[[Event], object]) -> OnProgress:
    """Return a callback that sends every new phase, and within a phase no more than a reader can follow."""
    phase, sent = "", 0.0

    def on_progress(progress: Progress) -> None:
        nonlocal phase, sent
        now = time.monotonic()
        if progress.phase != phase or now - sent >= PROGRESS_EVERY:
            phase, sent = progress.phase, now
            send(Event("progress", progress=progress))

    return on_progress
