"""Write files and output folders atomically, refuse folders that hold something else, and find the user's cache."""

import atexit
import logging
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

from balora.errors import OutputError
from balora.processes import WRITTEN, has_number, is_alive, own_mark, read_mark

logger = logging.getLogger(__name__)

PARTIAL = ".partial-"
"""Prefix of the names of unfinished files and folders, which a killed process may leave behind."""
STALE = 3600.0
"""Seconds after which unfinished work in a cache is taken for that of a killed process."""
CACHE_VARIABLE = "BALORA_CACHE"


def write_atomic(path: Path, content: str | bytes, *, durable: bool = False) -> None:
    """Write a file in one step: whenever the process is killed, the file is either the old one or the whole new one.

    Args:
        path: the file; its folder must exist.
        content: bytes, or text that is written as UTF-8.
        durable: flush the content to the disk first and the folder's entry after it, so that after a power failure
            the file is there and whole.

    Raises:
        OSError: it cannot be written; nothing new is left behind.
    """
    with written_whole(path) as partial, partial.open("xb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    if durable:
        _flush_folder(path.parent)


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield where to write a file, which gets the name ``path`` in one step at the end, or is removed on any error.

    Raises:
        OSError: it cannot be written; nothing new is left behind.
    """
    unique = f"{own_mark()}-{secrets.token_hex(4)}"  # threads of one process may write the same file
    partial = path.with_name(f"{PARTIAL}{os.fsdecode(os.fsencode(path.name)[:100])}-{unique}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        if error.filename is not None:  # the name that is known to the user
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Write the entries of ``folder`` to the disk; some systems and file systems do so without being asked."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def delete(path: Path) -> None:
    """Delete a file, a folder with all that is in it, or a link (and never what a link points to), if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Remove unfinished work that is an hour old from a cache ``folder``."""
    remove_older(folder, STALE, f"{PARTIAL}*")


def remove_older(folder: Path, seconds: float, pattern: str = "*") -> None:
    """Remove what ``pattern`` names in a cache ``folder`` and nobody has changed for so many seconds."""
    for path in folder.glob(pattern):
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime > seconds:
                delete(path)


def remove_dead(folder: Path) -> None:
    """Remove unfinished work in ``folder`` whose process is dead; leave it where that cannot be judged from here.

    Names that hold a process number alone come from earlier versions: such a number counts as one of this machine.
    """
    for partial in folder.glob(f"{PARTIAL}*"):
        if _is_abandoned(partial.name):
            with suppress(OSError):
                delete(partial)


def _is_abandoned(name: str) -> bool:
    if found := re.search(rf"-({WRITTEN})(-[0-9a-f]{{8}})?$", name):
        mark = read_mark(found[1])
        return mark is not None and is_alive(mark) is False
    number = re.fullmatch(r"(?:.*-)?(\d{1,10})-[0-9a-f]{8}|(\d{1,10})", name.removeprefix(PARTIAL))
    return number is not None and not has_number(int(number[1] or number[2]))


def cache_folder() -> Path:
    """Return the user's cache: `BALORA_CACHE`, else `balora` below `XDG_CACHE_HOME` or `~/.cache`.

    Where that cannot be written (no home, a file in its place, a read-only disk), it is, after a warning, a private
    temporary folder, which this process shares with those it starts, and removes when it ends.

    Raises:
        OutputError: there is no temporary folder either.
    """
    wanted = usual_cache()
    return wanted if wanted is not None and _can_be_written(wanted) else _temporary_cache(wanted)


def usual_cache() -> Path | None:
    """Return where the user's cache should be, whether or not it can be written; none without a home."""
    try:
        if named := os.environ.get(CACHE_VARIABLE):
            return Path(named).expanduser().absolute()
        general = Path(os.environ.get("XDG_CACHE_HOME") or "")
        if not general.is_absolute():  # to be ignored, says the XDG specification
            general = Path.home() / ".cache"
    except RuntimeError:  # no HOME, and a user without an entry in the system's list
        return None
    return general / "balora" if general.is_absolute() else None


@lru_cache
def _can_be_written(folder: Path) -> bool:
    """Return whether ``folder`` is there and can be written, or can be made; nothing stays behind."""
    try:
        with suppress(FileNotFoundError):
            folder.lstat()  # refuses a name that is too long, and one below a file
        above = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        os.rmdir(tempfile.mkdtemp(prefix=PARTIAL, dir=above))
    except (OSError, StopIteration):
        return False
    return True


def _temporary_cache(wanted: Path | None) -> Path:
    try:
        folder = tempfile.mkdtemp(prefix="balora-cache-")
    except OSError as error:
        raise OutputError(
            f"no folder for the cache can be written ({error.strerror or error}): set {CACHE_VARIABLE} to one that can"
        ) from None
    logger.warning(
        "balora: the cache %s: its content is lost when this process ends; set %s to a folder that can be written",
        f"{wanted} cannot be written" if wanted is not None else "has no place without a home", CACHE_VARIABLE,
    )  # fmt: skip
    os.environ[CACHE_VARIABLE] = folder
    atexit.register(_remove_own, folder, os.getpid())
    return Path(folder)


def _remove_own(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked process inherits the registration, not the folder
        shutil.rmtree(folder, ignore_errors=True)


def claim_output(folder: str | Path, *, kind: str, own: Collection[str] = ()) -> Path:
    """Return ``folder`` as a path if it can take new output; create nothing.

    Args:
        folder: the output folder as the user gave it; it and its parents may still be missing.
        kind: what will be written, e.g. ``run`` or ``export``.
        own: names (or ``*`` patterns) that earlier work of the same kind may have left there.

    Raises:
        OutputError: it is a file, it holds something else, or it (or the folder it would be made in) cannot be written.
    """
    path = Path(folder)
    try:
        entries = sorted(os.listdir(path)) if path.is_dir() else []
        foreign = [name for name in entries if not any(fnmatch(name, pattern) for pattern in (*own, f"{PARTIAL}*"))]
        existing = next(above for above in (path, *path.absolute().parents) if above.exists())
    except OSError as error:
        raise OutputError(f"output folder {path}: cannot be read ({error.strerror}): choose another folder") from None
    if not existing.is_dir():
        raise OutputError(f"output folder {path}: {existing} is a file, not a folder: choose another folder")
    if foreign:
        raise OutputError(
            f"output folder {path}: holds something that is no {kind} output ({foreign[0]!r}): "
            "choose a new or empty one"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(
            f"output folder {path}: {existing} cannot be written: choose another folder or change its permissions"
        )
    return path


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield an empty folder inside ``folder``; its content moves up at the end, or is removed on any error.

    Files move in the order in which they were written, so that a record written last also arrives last. What killed
    processes have left in ``folder`` is removed first.

    Raises:
        OutputError: ``folder`` cannot be made, or came to hold the same names in the meantime.
    """
    missing = [above for above in (folder, *folder.parents) if not above.exists()]
    partial = folder / f"{PARTIAL}{own_mark()}-{secrets.token_hex(4)}"
    remove_dead(folder)
    try:
        _make(partial)
        yield partial
        for entry in sorted(partial.iterdir(), key=lambda path: path.stat().st_mtime_ns):
            if os.path.lexists(folder / entry.name):
                raise OutputError(f"output folder {folder}: {entry.name} was written by another process meanwhile")
            entry.rename(folder / entry.name)
    except OutputError as error:
        raise OutputError(str(error).replace(str(partial), str(folder))) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for made in missing:
            if made.is_dir() and not any(made.iterdir()):
                made.rmdir()


def _make(partial: Path) -> None:
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise OutputError(
            f"output folder {partial}: cannot be made ({error.strerror or error}): choose another folder"
        ) from None
