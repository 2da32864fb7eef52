"""Measure from outside what a program holds: the memory of its processes, and its files in memory (Linux)."""

import os
from contextlib import suppress
from pathlib import Path


def tree_memory(root: int) -> int:
    """Return the resident bytes of a process and all its descendants; memory that they share counts for each.

    In a namespace of processes whose first process is ``root``, no process can leave the tree: one whose parent has
    ended becomes a child of ``root``.
    """
    page, waiting, total, seen = os.sysconf("SC_PAGE_SIZE"), [root], 0, set[int]()
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        with suppress(OSError, IndexError, ValueError):  # it has just ended
            total += int(Path(f"/proc/{number}/statm").read_text().split()[1]) * page
        with suppress(OSError, ValueError):
            for task in os.listdir(f"/proc/{number}/task"):
                waiting += map(int, Path(f"/proc/{number}/task/{task}/children").read_text().split())
    return total


def temporary_files(first: int, folders: tuple[str, ...] = ("tmp", "dev/shm")) -> int:
    """Return how many files, and as many units of their attributes, the temporary folders of a sandbox hold.

    They are file systems of its own in memory, whose size bounds what the files contain, but not how many there are:
    an empty file takes a kilobyte of the kernel's memory. ``first`` is the sandbox's first process.
    """
    total = 0
    for folder in folders:
        with suppress(OSError):  # it has just ended
            found = os.statvfs(f"/proc/{first}/root/{folder}")
            total += found.f_files - found.f_ffree
    return total
