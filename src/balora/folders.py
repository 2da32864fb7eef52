"""Output folders: taken when new or empty, refused when they hold something else, filled whole or not at all."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from balora.errors import OutputError


def claim_output(folder: str | Path, *, kind: str, own: Collection[str] = ()) -> Path:
    """Return ``folder`` as a path if it can take the output of a ``kind`` (a word for the message); create nothing.

    Args:
        folder: the output folder as the user gave it; it and its parents may still be missing.
        kind: what will be written, e.g. ``run`` or ``study``.
        own: names (or ``*`` patterns) that earlier work of the same kind may have left there.

    Raises:
        OutputError: it is a file, it holds something else, or it (or the folder it would be made in) cannot be written.
    """
    path = Path(folder)
    try:
        entries = sorted(os.listdir(path)) if path.is_dir() else []
        foreign = [name for name in entries if not any(fnmatch(name, pattern) for pattern in own)]
        ground = next(above for above in (path, *path.absolute().parents) if above.exists())
    except OSError as error:
        raise OutputError(f"output folder {path}: cannot be read ({error.strerror}): choose another folder") from None
    if not ground.is_dir():
        raise OutputError(f"output folder {path}: {ground} is a file, not a folder: choose another folder")
    if foreign:
        raise OutputError(
            f"output folder {path}: holds something else than a {kind} ({foreign[0]!r}): choose a new or empty one"
        )
    if not os.access(ground, os.W_OK | os.X_OK):
        raise OutputError(
            f"output folder {path}: {ground} cannot be written: choose another folder or change its permissions"
        )
    return path


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside ``folder`` to write into; it becomes ``folder`` at the end, or vanishes on any error.

    Raises:
        OutputError: ``folder`` came to hold something in the meantime.
    """
    folder = folder.absolute()
    made = _make_parents(folder.parent)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        _replace(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        for parent in made:
            if not any(parent.iterdir()):
                parent.rmdir()
        raise


def _make_parents(parent: Path) -> list[Path]:
    """Make the missing folders down to ``parent``; return them, innermost first."""
    missing = [above for above in (parent, *parent.parents) if not above.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    return missing


def _replace(partial: Path, folder: Path) -> None:
    try:
        partial.replace(folder)  # an empty folder may be replaced, one with content may not
    except OSError as error:
        if folder.is_dir() and any(folder.iterdir()):
            raise OutputError(
                f"output folder {folder}: was filled by someone else meanwhile: choose another"
            ) from error
        raise
