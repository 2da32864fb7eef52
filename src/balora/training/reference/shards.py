"""Store one reference's outputs on disk, in safetensors files that are written whole or not at all.

<root>/<digest of the identity>/<digest of the keys>.safetensors holds `values` (outputs of many rows, one below the
other), `ends` (where each row's end) and `keys`, and in its header the identity and a digest of all three. Files are
memory-mapped: they are read once, for the digest, and do not stay in memory.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from balora.folders import write_atomic
from balora.regular_files import is_regular
from balora.training.reference.keys import KEY_BYTES
from balora.training.reference.reference_identity import difference

logger = logging.getLogger(__name__)

SUFFIX = ".safetensors"
ASIDE = ".aside"
PARTS = ("keys", "ends", "values")
"""The tensors of a file."""
CONTENT = "content"
"""What the digest of these is called beside the identity."""


class Entry:
    """The folder of one reference below ``root``; made when something is written.

    Args (of the constructor):
        root: the cache.
        identity: of the reference (:mod:`balora.training.reference.reference_identity`).
    """

    def __init__(self, root: Path, identity: dict[str, str]) -> None:
        self.root, self.identity = root, identity
        text = json.dumps(identity, sort_keys=True)
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:32]
        self._seen: set[Path] = set()

    def new_rows(self) -> Iterator[tuple[bytes, Tensor]]:
        """Yield the key and outputs of every row in the files that were not read before.

        A file that is torn, was changed or belongs to another reference is not used: it is renamed, with a warning.
        """
        with suppress(OSError):
            os.utime(self.folder)  # entries used last are removed last
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            if path not in self._seen:
                self._seen.add(path)
                try:
                    yield from self._read(path)
                except FileNotFoundError:
                    continue  # another process made room meanwhile
                except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
                    self._set_aside(path, " ".join(str(error).split()))

    def _read(self, path: Path) -> Iterator[tuple[bytes, Tensor]]:
        if not is_regular(path):
            if not os.path.lexists(path):
                return  # another process made room meanwhile
            raise ValueError("it is no regular file")
        with safe_open(path, framework="pt") as file:
            written_for = json.loads((file.metadata() or {}).get("marks", "null"))
            content = written_for.pop(CONTENT, None) if isinstance(written_for, dict) else None
            other = difference(self.identity, written_for)
            if other:
                raise ValueError(f"it was written for another reference (`{other}` differs)")
            keys, ends, values = (file.get_tensor(name) for name in PARTS)
        if content != _digest(keys, ends, values):
            raise ValueError("its content does not match its digest")
        borders = [0, *ends.tolist()]
        if keys.shape != (len(ends), KEY_BYTES) or borders != sorted(borders) or borders[-1] != len(values):
            raise ValueError("its rows do not fit its keys")
        whole = keys.numpy().tobytes()
        for number, (start, end) in enumerate(pairwise(borders)):
            yield whole[number * KEY_BYTES : (number + 1) * KEY_BYTES], values[start:end]

    def _set_aside(self, path: Path, why: str) -> None:
        logger.warning(
            "balora: reference cache: %s cannot be used (%s): renamed to *.aside and computed again", path, why
        )
        with suppress(OSError):
            path.replace(path.with_name(path.name + ASIDE))

    def write(self, rows: dict[bytes, Tensor]) -> None:
        """Write the outputs of ``rows`` as one file, in one step; two processes with the same rows write one file.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        keys = b"".join(rows)
        parts = {
            "keys": torch.frombuffer(bytearray(keys), dtype=torch.uint8).reshape(-1, KEY_BYTES),
            "ends": torch.tensor([len(part) for part in rows.values()]).cumsum(0),
            "values": torch.cat([part.cpu() for part in rows.values()]),
        }
        path = self.folder / f"{hashlib.sha256(keys).hexdigest()[:32]}{SUFFIX}"
        marks = {**self.identity, CONTENT: _digest(*(parts[name] for name in PARTS))}
        header = {
            "marks": json.dumps(marks, sort_keys=True)
        }  # one entry: the order of several changes from file to file
        write_atomic(path, save(parts, metadata=header), durable=True)

    def room(self, wanted: int, budget: int) -> int:
        """Return how many bytes may be written here; entries that were used longest ago make way for ``wanted``.

        Nothing is removed where that would not be enough.
        """
        sizes = {folder: _size(folder) for folder in self.root.glob("*") if folder.is_dir() and not folder.is_symlink()}
        own = sizes.pop(self.folder, 0)
        if own + wanted <= budget:
            for folder in sorted(sizes, key=_last_used):
                if own + sum(sizes.values()) + wanted <= budget:
                    break
                shutil.rmtree(folder, ignore_errors=True)
                del sizes[folder]
        return budget - own - sum(sizes.values())


def _digest(*tensors: Tensor) -> str:
    """Return the SHA-256 of the types, shapes and contents of tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _size(folder: Path) -> int:
    total = 0
    for path in folder.glob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def _last_used(folder: Path) -> float:
    with suppress(OSError):
        return folder.stat().st_mtime
    return 0.0
