"""What happens inside a worker process: it carries out one job after another until its pipe closes; torch-free."""

import errno
import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import parent_process, reduction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from balora.adapters.ranks import ranks_up_to
from balora.errors import InputError
from balora.progress import OnProgress, Progress
from balora.training.record import RunRecord
from balora.training.spec import RunSpec

RunFunction = Callable[[RunSpec, Path, OnProgress], RunRecord | None]
"""Carries out one run in a folder (or only gets its model ready, and returns none). Importable by name, because workers
are fresh processes."""


TELL_EVERY = 0.2
"""Seconds between two signs of life of one worker."""
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""What a full disk is called by libraries that wrap the system's error in one of their own."""


class Job(NamedTuple):
    """One piece of work for a worker."""

    id: str
    spec: RunSpec
    folder: Path
    run: RunFunction
    largest_rank: int = 0
    """Of the adapters in the whole plan: what their starts have in common is computed for it, once."""


class Shared:
    """An open file descriptor that a new process inherits when this is among its arguments."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[[Any], "Shared"], tuple[Any]]:
        return _received, (reduction.DupFd(self.descriptor),)


def _received(inherited: Any) -> Shared:
    return Shared(inherited.detach())


def work(connection: Connection, threads: int, log: Path, lock: Shared | None) -> None:
    """Carry out jobs until the pipe closes; ``lock`` is only held."""
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
        with ranks_up_to(job.largest_rank):
            record = job.run(job.spec, job.folder, _teller(connection))
    except InputError as error:
        return "refused", (type(error).__name__, str(error))
    except Exception as error:
        with suppress(OSError):  # the log may be on the disk that is full
            traceback.print_exc()
            sys.stderr.flush()
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            return "unwritable", (type(error).__name__, f"{error.filename or job.folder}: {error.strerror}")
        return _failure(job, type(error).__name__, str(error).splitlines()[0] if str(error) else "no message")
    if record is not None and record.error is not None:
        kind, failure = _failure(job, record.error.kind, record.error.message)
        return (kind, failure) if kind == "unwritable" else ("done", record)
    return "done", record


def _failure(job: Job, kind: str, message: str) -> tuple[str, tuple[str, str]]:
    """Return what a failed run has to say; that the disk is full is no fault of the run."""
    if any(words in message for words in FULL):
        return "unwritable", (kind, f"{job.folder}: {message}")
    return "crashed", (kind, message)


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
