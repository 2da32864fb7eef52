"""Read the rows of both splits of a task of one's own; torch-free.

One file is split by its rows' inputs, not by their places: every input is hashed with the seed, and the rows with the
smallest hashes are scored on. So the order of the rows does not matter, rows with the same input never lie on both
sides, and a row that is added moves hardly any other.
"""

import hashlib
import math
import os
from pathlib import Path

from balora.errors import ConfigError, DataError, shown
from balora.tasks.files import Broken, SourceRow, read_file
from balora.tasks.hub_rows import hub_rows
from balora.tasks.own_rows import input_of
from balora.tasks.own_task import OwnTask

Found = list[SourceRow | Broken]
TRAIN, VALIDATION = SPLITS = ("train", "validation")


def split_of(name: str) -> str:
    """Return the split called ``name`` of an own task.

    Raises:
        ConfigError: it has no such split.
    """
    if name not in SPLITS:
        raise ConfigError(
            f"split {shown(name)}: a task of your own has the splits train and validation, which `read` of its file "
            "names: leave data.train_split and data.eval_split out"
        )
    return name


def own_files(own: OwnTask, split: str) -> list[Path]:
    """Return the files that ``split`` is read from; none for a `datasets` name."""
    read = own.read
    if read.dataset is not None:
        return []
    return [Path(str(read.file or (read.train if split_of(split) == TRAIN else read.validation)))]


def hub_name(own: OwnTask) -> str:
    """Return the `datasets` name of a task with its configuration and splits, as its rows' fingerprint."""
    read = own.read
    return "/".join(map(str, (read.dataset, read.subset or "", read.train or TRAIN, read.validation or VALIDATION)))


def source_rows(own: OwnTask, split: str) -> Found:
    """Return the rows of ``split`` as they are found.

    Raises:
        DataError: as :func:`unsplit_rows`, or the share leaves a side without a row.
    """
    found = unsplit_rows(own, split)
    return found if own.read.share is None else one_side(own, found, split_of(split))


def unsplit_rows(own: OwnTask, split: str) -> Found:
    """Return the rows of ``split``; where one set of rows is split, all of them.

    Raises:
        DataError: a file cannot be read, or a `datasets` name cannot be loaded.
    """
    read = own.read
    if read.dataset is None:
        needed = [(name,) for names in own.columns().values() for name in names]
        return [row for path in own_files(own, split) for row in read_file(path, None, needed)]
    if os.path.exists(os.path.expanduser(read.dataset)):  # its content would be no part of a run's id
        raise DataError(
            f"dataset {shown(read.dataset)} is a file or folder here: give its files as `train` and `validation`"
        )
    train, validation = read.train or TRAIN, VALIDATION if read.validation is None else read.validation
    name = train if split_of(split) == TRAIN or not isinstance(validation, str) else validation
    advice = "give files as `train` and `validation`"
    return list(hub_rows(read.dataset, read.subset, name, whose="the", advice=advice))


def one_side(own: OwnTask, found: Found, split: str) -> Found:
    """Return the rows of one file that belong to ``split``; torn lines belong to both, so that they are reported."""
    keys = {id(row): _hash(own, row) for row in found if isinstance(row, SourceRow)}
    share = own.read.share or 0.0
    wanted = math.floor(len(keys) * share + 0.5)
    border = sorted(keys.values())[wanted - 1] if wanted else b""
    scored = {place for place, key in keys.items() if key <= border}
    if not 0 < len(scored) < len(keys):
        raise DataError(
            f"{own.read.file or own.read.dataset}: a share of {share:g} of {len(keys):,} rows leaves "
            f"{'no row to train on' if scored else 'no row to score on'}: "
            "change read.validation, or give more rows with different inputs"
        )
    return [row for row in found if isinstance(row, Broken) or (id(row) in scored) == (split == VALIDATION)]


def _hash(own: OwnTask, row: SourceRow) -> bytes:
    return hashlib.sha256(f"{own.read.seed}\n{input_of(own, row)}".encode("utf-8", "surrogatepass")).digest()
