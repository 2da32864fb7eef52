"""Name a process so that others can judge whether it still runs: also after a reboot, and from another container.

A process number alone says nothing on another machine, in another container or after a reboot. A mark therefore holds
the number, the place where the number counts (boot and namespace of process numbers) and when the process started.
"""

import hashlib
import os
import re
import socket
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Mark(NamedTuple):
    """One process, wherever it runs."""

    number: int
    place: str
    """Digest of the boot and of the namespace in which ``number`` counts; `unknown` where the system shows neither."""
    start: int
    """When it started, in ticks since the boot; 0 where the system does not show it."""

    def __str__(self) -> str:
        return f"{self.number}-{self.place}-{self.start}"


ENDED = "ZX"
"""States of a process that has ended and that its parent has not yet asked for."""
WRITTEN = r"(\d{1,10})-([0-9a-f]{8}|unknown)-(\d{1,20})"
"""How a mark is written, as a regular expression with one group for each field."""


def own_mark() -> Mark:
    """Return the mark of this process."""
    _, start = _status(os.getpid()) or ("", 0)
    return Mark(os.getpid(), _place(), start)


def read_mark(text: str) -> Mark | None:
    """Return the mark that ``text`` consists of, or None."""
    found = re.fullmatch(WRITTEN, text)
    return Mark(int(found[1]), found[2], int(found[3])) if found else None


def is_alive(mark: Mark) -> bool | None:
    """Return whether the process of ``mark`` is running; None where that cannot be judged from here."""
    if mark.place == "unknown" or mark.place != _place():
        return None  # another machine, another container, or an earlier boot
    if not has_number(mark.number):
        return False
    status = _status(mark.number)
    return status is None or (status[0] not in ENDED and mark.start in (0, status[1]))


def has_number(number: int) -> bool:
    """Return whether some process has this number here."""
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's process
        return True
    return True


@cache
def _place() -> str:
    words = [socket.gethostname()]
    if sys.platform == "linux":  # elsewhere processes have no containers, and the name of the machine must do
        try:
            words = [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]
        except OSError:
            return "unknown"
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:8]


def _status(number: int) -> tuple[str, int] | None:
    """Return the state of a process, as one letter, and its start; None where the system does not show them."""
    with suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{number}/stat").read_text(errors="replace")
        fields = text.rpartition(")")[2].split()  # from the third on: the name before may hold spaces and brackets
        return fields[0], int(fields[19])
    return None
