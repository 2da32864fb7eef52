"""Read what a safetensors file says it holds, and whether the file is whole; torch-free."""

import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from balora.regular_files import open_regular

LONGEST_HEADER = 100 * 2**20
"""Bytes; the limit of the safetensors library."""


def read_header(path: Path, *, links: bool = True) -> dict[str, dict[str, Any]]:
    """Return name → `dtype`, `shape` and `data_offsets` of every tensor in the file at ``path``.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it is no whole safetensors file; the message says why.
    """
    with open(open_regular(path, links=links), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8:
            raise ValueError(f"it has {size} bytes")
        if length > min(LONGEST_HEADER, size - 8):
            raise ValueError("its header is longer than the file")
        header = _parsed(file.read(length))
    try:
        ends = [int(entry["data_offsets"][1]) for entry in header.values()]
        lengths = [math.prod(entry["shape"]) for entry in header.values()]
    except (KeyError, TypeError, ValueError, IndexError):
        raise ValueError("its header is damaged") from None
    if 8 + length + max(ends, default=0) != size or any(length < 0 for length in lengths):
        raise ValueError(f"its header describes {8 + length + max(ends, default=0):,} bytes, the file has {size:,}")
    return header


def _parsed(text: bytes) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("its header is damaged") from None
    if not isinstance(content, dict):
        raise ValueError("its header is damaged")
    content.pop("__metadata__", None)
    return content


def count_values(paths: Iterable[Path]) -> tuple[int, int]:
    """Return how many tensors the files hold, and how many numbers are in them.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is no whole safetensors file; names it.
    """
    shapes = []
    for path in paths:
        try:
            shapes += [entry["shape"] for entry in read_header(path).values()]
        except ValueError as error:
            raise ValueError(f"{path.name} is incomplete or damaged: {error}") from None
    return len(shapes), sum(map(math.prod, shapes))
