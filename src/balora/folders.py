"""Write files and output folders atomically, refuse folders that hold something else, and find the user's cache."""

import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from balora.errors import OutputError

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
        durable: flush the content to the disk first, so that even a power failure leaves no empty file.

    Raises:
        OSError: it cannot be written; nothing new is left behind.
    """
    unique = f"{os.getpid()}-{secrets.token_hex(4)}"  # threads of one process may write the same file
    partial = path.with_name(f"{PARTIAL}{path.name[:60]}-{unique}")
    try:
        with partial.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Remove unfinished work that is an hour old from a cache ``folder``."""
    for partial in folder.glob(f"{PARTIAL}*"):
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > STALE:
                shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


def cache_folder() -> Path:
    """Return the user's cache: `BALORA_CACHE`, else `balora` below `XDG_CACHE_HOME` or `~/.cache`."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "balora"


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

    Files move in the order in which they were written, so that a record written last also arrives last.

    Raises:
        OutputError: ``folder`` cannot be made, or came to hold the same names in the meantime.
    """
    missing = [above for above in (folder, *folder.parents) if not above.exists()]
    partial = folder / f"{PARTIAL}{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _make(partial)
        yield partial
        for entry in sorted(partial.iterdir(), key=lambda path: path.stat().st_mtime_ns):
            if (folder / entry.name).exists():
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
