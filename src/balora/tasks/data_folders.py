"""Find the files of a folder that hold a split of a task; torch-free."""

import os
import re
from collections import defaultdict
from pathlib import Path

from balora.errors import DataError, printable, shortened, shown
from balora.tasks.catalogue import TASKS, Task
from balora.tasks.files import ENDINGS

VALIDATION = re.compile(r"^(dev|valid|val)(?=$|[_-])")
SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})$")
SPLITS = re.compile(r"^(train|validation|test)")


def find_data_folder(task: Task, folder: str) -> Path:
    """Return the folder that holds the task's files: ``folder`` itself, or one below it named after the task.

    Searched in this order: ``folder`` (when it holds a split), ``folder/<task>``, ``folder/glue/<task>``; upper and
    lower case, hyphens and underscores make no difference to a name.

    Raises:
        DataError: no such folder, another task's folder, several folders or none for the task.
    """
    root = Path(os.path.expanduser(folder))
    if os.path.isfile(root):
        raise DataError(f"data.folder {shown(folder)} is a file: pass the folder that holds it")
    if not os.path.isdir(root):  # unlike Path.is_dir, it never raises
        raise DataError(f"data.folder {shown(folder)}: no such folder")
    if any(SPLITS.match(stem) for stem in split_files(root)) or _published_files(task, root):
        _refuse_other_task(task, root)
        return root
    above = [root, *(child for child in _folders(root) if _plain(child.name) == "glue" and task.format == "glue")]
    for parent in above:
        matches = [child for child in _folders(parent) if _plain(child.name) in _names(task)]
        if len(matches) > 1:
            raise DataError(
                f"{parent}: {', '.join(m.name for m in matches)} all match task {task.name!r}: pass one of them"
            )
        if matches:
            return matches[0]
    raise DataError(
        f"data.folder {shown(folder)} holds neither train/validation/test files ({', '.join(ENDINGS)}) nor a folder "
        f"called {' or '.join((task.name, *task.aliases))}; found {_listing(root)}"
    )


def split_files(folder: Path) -> dict[str, list[Path]]:
    """Return the data files of ``folder`` by split; `dev`, `valid` and `val` count as `validation`."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in _entries(folder):
        if path.suffix.lower() in ENDINGS and not os.path.isdir(path):
            shard = SHARD.match(path.stem)
            found[split_name(shard["stem"] if shard else path.stem)].append(path)
    return dict(found)


def split_name(name: str) -> str:
    """Return the one spelling of a split's name: lower case, `validation` for `dev`, `valid` and `val`."""
    return VALIDATION.sub("validation", name.lower())


def _published_files(task: Task, folder: Path) -> list[Path]:
    """Return the files of ``folder`` that are called what the task's file is called where it is published."""
    wanted = {_plain(stem) for stem in task.stems}
    return [path for stem, paths in split_files(folder).items() if _plain(stem) in wanted for path in paths]


def files_of_split(folder: Path, split: str, task: Task | None = None) -> list[Path]:
    """Return the file of ``split``, or all its shards in order; else the published file of a ``task`` of one split.

    Raises:
        DataError: no file for the split (those found are listed), several, or a shard is missing.
    """
    files = split_files(folder).get(split_name(split))
    if not files and task is not None:
        files = _published_files(task, folder)
    if not files:
        name = shortened(printable(split_name(split)), 40)
        raise DataError(
            f"{folder}: no file for split {shown(split)} ({', '.join(f'{name}{e}' for e in ENDINGS)}); "
            f"found {_listing(folder)}"
        )
    for path in files:
        _refuse_no_file(path)
    shards = [SHARD.match(path.stem) for path in files]
    if len(files) == 1 and shards[0] is None:
        return files
    numbers = [(int(m["number"]), int(m["count"]), path.suffix) for m, path in zip(shards, files, strict=True) if m]
    wanted = [(number, numbers[0][1], numbers[0][2]) for number in range(numbers[0][1])] if numbers else []
    if len(numbers) < len(files) or len({(count, suffix) for _, count, suffix in numbers}) > 1:
        names = ", ".join(path.name for path in files)
        raise DataError(f"{folder}: {len(files)} files for split {shown(split)} ({names}): keep one of them")
    if numbers != wanted:
        raise DataError(
            f"{folder}: split {shown(split)} needs {numbers[0][1]} shards, found {len(numbers)}: fetch the missing ones"
        )
    return files


def _refuse_no_file(path: Path) -> None:
    """Refuse a link to nowhere and what is no regular file: nobody may wait for the end of a fifo or a device."""
    if not os.path.exists(path):
        raise DataError(
            f"{path}: is a symbolic link to {os.readlink(path)}, which does not exist: mend the link, or fetch the file"
        )
    if not os.path.isfile(path):
        raise DataError(f"{path}: is no regular file (a fifo, a socket or a device): save its content in a file")


def _refuse_other_task(task: Task, folder: Path) -> None:
    """Refuse `CoLA/` for SST-2: columns and labels look alike, so nothing later would notice."""
    if task.format != "glue" or _plain(folder.resolve().name) in _names(task):
        return
    for other in TASKS.values():
        if other.format == "glue" and _plain(folder.resolve().name) in _names(other):
            raise DataError(
                f"{folder}: the folder is named after task {other.name!r}, but task {task.name!r} was requested: "
                f"pass the folder of {task.name!r}"
            )


def _names(task: Task) -> set[str]:
    return {_plain(name) for name in (task.name, *task.aliases)}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from None


def _folders(folder: Path) -> list[Path]:
    return [child for child in _entries(folder) if os.path.isdir(child)]


def _listing(folder: Path, most: int = 12) -> str:
    names = [child.name + "/" * os.path.isdir(child) for child in _entries(folder)]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more
