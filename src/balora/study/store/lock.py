"""Lock a study's folder, so that one `study run` at a time works in it; torch-free.

The parent and its workers hold the lock together: after a kill of the parent, the folder stays locked until the last
worker has ended.
"""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from balora.errors import OutputError
from balora.processes import Mark, is_alive, own_mark, read_mark
from balora.regular_files import open_regular

NAME = ".lock"
WAIT = 10.0
"""Seconds that the workers of a killed parent have to end."""
OWNER_BYTES = 1000
"""A lock file holds one line with its owner; what holds more is no lock file."""


class LostLockError(OutputError):
    """The lock file was removed or replaced while a `study run` held the lock."""


class Owner(NamedTuple):
    """The process that holds a lock, or held it last and was killed."""

    number: int
    host: str
    mark: Mark | None
    """None in a lock file of an earlier version."""

    def __str__(self) -> str:
        return f"{self.number} {self.host} {self.mark}"

    def is_alive(self) -> bool | None:
        """Return whether it is running; None where that cannot be judged from here."""
        return None if self.mark is None else is_alive(self.mark)


@contextmanager
def locked(output: Path) -> Iterator[int]:
    """Lock ``output`` for this process; yields the lock's file descriptor, which workers inherit.

    On a file system without locks, the owner named in the lock file decides: the folder counts as locked unless that
    process is known to be dead.

    Raises:
        OutputError: another `study run` works in ``output``, or its lock file holds something else.
        OSError: the lock file cannot be written, or is no regular file.
    """
    descriptor = _acquire(output)
    try:
        _write(descriptor, own_line())
        try:
            yield descriptor
        finally:
            _write(descriptor, "")
    finally:
        os.close(descriptor)


def check_held(descriptor: int, output: Path) -> None:
    """Raise :class:`LostLockError` if another process could have locked ``output`` by now: its lock file is another."""
    if not _is_at(descriptor, output / NAME):
        raise LostLockError(
            f"{output / NAME}: was removed or replaced while this `balora study run` worked, so another one may have "
            "begun here: stopped; finished runs remain, and the same command continues"
        )


def is_locked(output: Path) -> bool | None:
    """Return whether a `study run` works in ``output``; None if the file system cannot show it."""
    import fcntl

    try:
        descriptor = open_regular(output / NAME, links=False)
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
        owner = _owner(descriptor)
        return False if owner is None else owner.is_alive()
    finally:
        os.close(descriptor)


def own_line() -> str:
    """Return the line by which a lock names this process."""
    return str(Owner(os.getpid(), _host(), own_mark()))


def _host() -> str:
    """Return the name of this machine as one word, which a lock file can hold whatever the name is."""
    return re.sub(r"[^\x21-\x7e]", "_", socket.gethostname())[:255] or "unnamed"


def _acquire(output: Path) -> int:
    """Return a descriptor of the lock file, locked; wait a while for the workers of a killed owner."""
    deadline = time.monotonic() + WAIT
    while True:
        descriptor = open_regular(output / NAME, os.O_RDWR | os.O_CREAT, links=False)
        try:
            if _is_taken(descriptor, output, time.monotonic() > deadline) and _is_at(descriptor, output / NAME):
                _refuse_foreign(descriptor, output)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(0.05)


def _is_taken(descriptor: int, output: Path, too_late: bool) -> bool:
    """Try to lock; return whether it succeeded, or raise :class:`OutputError` where waiting longer is in vain."""
    import fcntl

    owner = _owner(descriptor)
    here = f"{output}: another `balora study run` is working here{_text(owner)}"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if too_late or (owner is not None and owner.is_alive()):
            raise OutputError(f"{here}: wait for it to end") from None
        return False
    except OSError:  # a file system without locks
        if owner is None or owner.is_alive() is False:
            return True
        if owner.is_alive():
            raise OutputError(f"{here}: wait for it to end") from None
        raise OutputError(
            f"{here}, or was killed; this file system has no locks to show which: wait for it to end, or go on in a "
            f"new --output with --reuse {output}"
        ) from None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether ``path`` is the open file, and not another that took its place."""
    with suppress(OSError):
        there, held = path.lstat(), os.fstat(descriptor)
        return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
    return False


def _refuse_foreign(descriptor: int, output: Path) -> None:
    """Raise :class:`OutputError` where the file holds what no `study run` wrote: it may be a link to another."""
    content = os.pread(descriptor, OWNER_BYTES + 1, 0)
    if content and read_owner(content) is None:
        raise OutputError(
            f"{output / NAME}: holds something that no `balora study run` wrote, and none is working here: "
            "move it away or choose another --output"
        )


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _owner(descriptor: int) -> Owner | None:
    """Return the last owner, unless it has released the lock."""
    return read_owner(os.pread(descriptor, OWNER_BYTES + 1, 0))


def read_owner(content: bytes) -> Owner | None:
    """Return the process that a lock's line names; None if it is no such line."""
    found = re.fullmatch(r"(\d{1,10}) (\S{1,255})(?: (\S{1,99}))?", content.decode(errors="replace"))
    return Owner(int(found[1]), found[2], read_mark(found[3] or "")) if found else None


def _text(owner: Owner | None) -> str:
    return f" (process {owner.number} on {owner.host})" if owner else ""
