"""One study at a time in a folder: a lock that the parent and its workers hold together; torch-free.

Whoever is killed lets go of it, and the folder stays locked until the last worker of a killed parent has ended.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from balora.errors import OutputError

NAME = ".lock"
WAIT = 10.0
"""Seconds that the workers of a killed parent have to end."""


@contextmanager
def locked(output: Path) -> Iterator[int]:
    """Hold ``output`` for this process; yields the lock's file descriptor, which workers inherit.

    On a file system without locks the owner's name in the file stands for one: a live owner on this machine, or any on
    another, is respected.

    Raises:
        OutputError: someone else works in ``output``.
        OSError: the lock file cannot be written.
    """
    descriptor = os.open(output / NAME, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(descriptor, output)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}".encode(), 0)
        try:
            yield descriptor
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def is_locked(output: Path) -> bool | None:
    """Return whether someone works in ``output``; none where that cannot be told."""
    import fcntl

    try:
        descriptor = os.open(output / NAME, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return _lives(_owner(descriptor))
    finally:
        os.close(descriptor)


def _take(descriptor: int, output: Path) -> None:
    import fcntl

    deadline = time.monotonic() + WAIT
    while True:
        owner = _owner(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if _lives(owner) or time.monotonic() > deadline:
                raise OutputError(
                    f"{output}: another `balora study run` is working here{_named(owner)}: wait for it to end"
                ) from None
        except OSError:  # a file system without locks
            if _lives(owner) is not False:
                raise OutputError(
                    f"{output}: another `balora study run` is working here{_named(owner)}, or was killed; this file "
                    f"system has no locks to tell: wait for it to end, or delete {output / NAME} if it is gone"
                ) from None
            return
        time.sleep(0.05)


def _owner(descriptor: int) -> tuple[int, str] | None:
    """Return process and machine of who signed the lock last and has not left."""
    number, _, host = os.pread(descriptor, 300, 0).decode(errors="replace").partition(" ")
    return (int(number), host) if number.isdecimal() and host else None


def _lives(owner: tuple[int, str] | None) -> bool | None:
    """Return whether the owner is at work; none for another machine's."""
    if owner is None:
        return False
    number, host = owner
    if host != socket.gethostname():
        return None
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _named(owner: tuple[int, str] | None) -> str:
    return f" (process {owner[0]} on {owner[1]})" if owner else ""
