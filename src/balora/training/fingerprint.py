"""Compute the SHA-256 fingerprints of the model, the data and the code that a run uses; torch-free."""

import hashlib
from functools import lru_cache
from pathlib import Path

from balora.tasks.catalogue import find_task
from balora.tasks.splits import data_files
from balora.tasks.testbed.config import RECIPE
from balora.training.code_digest import code_fingerprint
from balora.training.spec import RunSpec

WHOLE = 256 * 2**20
SAMPLE = 16 * 2**20
"""A file above WHOLE bytes is identified by its size, and its first and last SAMPLE bytes."""


def fingerprints(spec: RunSpec) -> dict[str, str]:
    """Return the digests of the model, the data and the code that ``spec`` would use.

    A folder is identified by its configuration, tokenizer and weight files, data by the files that the task reads; a
    name on a hub stands for itself. Code is what decides a run's numbers (:mod:`balora.training.code_digest`).

    Raises:
        DataError: the task's files are not found.
    """
    task = find_task(spec.task)
    if task.source == "testbed":  # the specification holds the rest
        return {"model": f"testbed:{RECIPE}", "data": f"testbed:{RECIPE}", "code": code_fingerprint()}
    return {
        "model": model_fingerprint(spec.model),
        "data": _files(data_files(task, spec.data)) or f"hub:{spec.data.folder or task.hub}",
        "code": code_fingerprint(),
    }


def model_fingerprint(model: str) -> str:
    """Return the digest of a model's folder (configuration, tokenizer, weights, code), or its name on a hub."""
    folder = Path(model)
    if not folder.is_dir():
        return f"hub:{model}"
    suffixes = (".json", ".safetensors", ".model", ".txt", ".jinja", ".py")
    return _files([path for path in sorted(folder.iterdir()) if path.suffix in suffixes])


def _files(paths: list[Path]) -> str:
    if not paths:
        return ""
    digest = hashlib.sha256()
    for path in paths:
        state = path.stat()
        digest.update(f"{path.name}:{_digest(path, state.st_size, state.st_mtime_ns)}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=4096)
def _digest(path: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= WHOLE:
            while block := file.read(2**20):
                digest.update(block)
        else:
            digest.update(file.read(SAMPLE))
            file.seek(-SAMPLE, 2)
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()
