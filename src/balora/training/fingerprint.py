"""Compute the SHA-256 fingerprints of the model, the data and the code that a run uses; torch-free."""

import hashlib
from functools import lru_cache
from pathlib import Path

from balora.errors import InputError
from balora.measures.benchmark_rows import measured_files
from balora.regular_files import open_regular
from balora.tasks.own_splits import hub_name
from balora.tasks.splits import data_files
from balora.tasks.testbed.config import RECIPE
from balora.training.code_digest import code_fingerprint
from balora.training.model_folder import model_files
from balora.training.saved_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from balora.training.spec import RunSpec

BLOCK = 2**20
"""Bytes read at a time."""


def fingerprints(spec: RunSpec) -> dict[str, str]:
    """Return the digests of the model, the data and the code that ``spec`` would use.

    A folder is identified by its configuration, tokenizer and weight files, data by the files that the task reads, each
    by all of its bytes; a name on a hub stands for itself. Code is what decides a run's numbers
    (:mod:`balora.training.code_digest`).

    Raises:
        InputError: the task's files are not found, or a file of the model or the data cannot be read.
    """
    if spec.testbed is not None:  # the specification holds the rest
        return {"model": f"testbed:{RECIPE}", "data": f"testbed:{RECIPE}", "code": code_fingerprint()}
    measured = {name: _files(files) for name, files in measured_files(spec.measures).items()}
    return {
        "model": model_fingerprint(spec.model),
        "data": _data(spec),
        "code": code_fingerprint(),
        **{f"measures.{name}": digest for name, digest in measured.items()},
    }


def _data(spec: RunSpec) -> str:
    """Return the digest of the rows to train on and to score on; of data on a hub, its name."""
    sides = {name: {"train": name == spec.task, "score": name in spec.scored} for name in (spec.task, *spec.scored)}
    files, names = [], []
    for name, used in sides.items():
        task = spec.find(name)
        found = data_files(task, spec.data, **used)
        files += found
        place = hub_name(task.own) if task.own is not None else spec.data.folder or task.hub
        names += [] if found else [f"hub:{place}"]
    return ",".join([_files(files)] * bool(files) + names)


def model_fingerprint(model: str) -> str:
    """Return the digest of a model's folder (configuration, tokenizer, weights, code), or its name on a hub.

    Raises:
        ModelError: a file of it is no regular one, or weights are named that are not safetensors inside the folder.
    """
    folder = Path(model)
    if not folder.is_dir():
        return f"hub:{model}"
    return _files(model_files(folder), folder)


def adapter_fingerprint(folder: Path) -> str:
    """Return the digest of the configuration and the weights of the adapter in ``folder``.

    Raises:
        InputError: one of the two cannot be read.
    """
    return _files([folder / ADAPTER_CONFIG, folder / ADAPTER_WEIGHTS], folder)


def _files(paths: list[Path], root: Path | None = None) -> str:
    """Return one digest of files by their names (below ``root`` if it is given) and contents."""
    if not paths:
        return ""
    digest = hashlib.sha256()
    for path in paths:
        name = path.relative_to(root).as_posix() if root else path.name
        try:
            state = path.stat()
            content = _digest(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error}): replace it") from None
        digest.update(f"{name}:{content}\n".encode())
    return digest.hexdigest()


@lru_cache(maxsize=4096)
def _digest(path: Path, size: int, changed: int, state_changed: int, number: int) -> str:
    """Return the digest of a file; one that was read before is not read again while its state is the same.

    Programs can set a file's time of change back, but not the time at which its state (or that time) was changed.
    """
    digest = hashlib.sha256(str(size).encode())
    with open(open_regular(path), "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
