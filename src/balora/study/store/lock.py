"""Lock a study's folder, so that one `study run` at a time works in it; torch-free.

The parent and its workers hold the lock together: after a kill of the parent, the folder stays locked until the last
worker has ended.
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
    """Lock ``output`` for this process; yields the lock's file descriptor, which workers inherit.

    On a file system without locks, the process number in the lock file decides: the folder counts as locked if that
    process is alive on this machine, or is on another machine.

    Raises:
        OutputError: another `study run` works in ``output``.
        OSError: the lock file cannot be written.
    """
    descriptor = os.open(output / NAME, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _acquire(descriptor, output)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}".encode(), 0)
        try:
            yield descriptor
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def is_locked(output: Path) -> bool | None:
    """Return whether a `study run` works in ``output``; None if the file system cannot show it."""
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
        return _is_alive(_owner(descriptor))
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, output: Path) -> None:
    import fcntl

    deadline = time.monotonic() + WAIT
    while True:
        owner = _owner(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if _is_alive(owner) or time.monotonic() > deadline:
                raise OutputError(
                    f"{output}: another `balora study run` is working here{_text(owner)}: wait for it to end"
                ) from None
        except OSError:  # a file system without locks
            if _is_alive(owner) is not False:
                raise OutputError(
                    f"{output}: another `balora study run` is working here{_text(owner)}, or was killed; this file "
                    f"system has no locks to show which: wait for it to end, or delete {output / NAME} if it is gone"
                ) from None
            return
        time.sleep(0.05)


def _owner(descriptor: int) -> tuple[int, str] | None:
    """Return process number and machine of the last owner, unless it has released the lock."""
    number, _, host = os.pread(descriptor, 300, 0).decode(errors="replace").partition(" ")
    return (int(number), host) if number.isdecimal() and host else None


def _is_alive(owner: tuple[int, str] | None) -> bool | None:
    """Return whether the owner is running; None if it is on another machine."""
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


def _text(owner: tuple[int, str] | None) -> str:
    return f" (process {owner[0]} on {owner[1]})" if owner else ""
