"""Make a model's folder in one step, record where it comes from, and recognise it later."""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from balora import __version__
from balora.errors import BaloraError, OutputError, shown
from balora.folders import PARTIAL, delete
from balora.processes import own_mark

from .wheels import AGAIN, Member, Wheel, sha256_of

FORMAT = 1
"""Raise it whenever a conversion or its record changes, so that folders of earlier versions are made anew."""
RECORD = "SOURCE.json"
MADE_BY = "scripts/real_models of balora"
WEIGHTS = "model.safetensors"


class ConversionError(BaloraError):
    """A conversion gave other tensors or files than the known ones."""


@dataclass(frozen=True)
class PackagedModel:
    """A model inside a wheel, and what its folder must be."""

    name: str
    """Of the folder too."""
    wheel: Wheel
    members: Mapping[str, Member]
    """The files that the conversion reads, under the names that it gives them."""
    licence: str
    converted: str
    """What the conversion changes, for the record and the user."""
    convert: Callable[[Path, Path], None]
    """From the folder of members to the model's folder."""
    parameters: int
    tensors: str
    """`digest_of` the weights."""
    files: Mapping[str, str]
    """The SHA-256 of every file beside the weights and the record."""
    size: int
    """Of the folder, in bytes."""


def digest_of(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of all tensors in a safetensors file, and how many numbers they hold.

    The digest covers names, dtypes, shapes and bytes in the order of the names, not the file: equal models have equal
    digests whichever version of safetensors wrote them.
    """
    digest, numbers = hashlib.sha256(), 0
    with safe_open(path, framework="numpy") as file:
        for name in sorted(file.keys()):
            tensor = file.get_tensor(name)
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            digest.update(tensor.tobytes())
            numbers += tensor.size
    return digest.hexdigest(), numbers


def record_of(model: PackagedModel) -> dict[str, Any]:
    """Return the content of `SOURCE.json`."""
    return {
        "made_by": MADE_BY,
        "balora": __version__,
        "format": FORMAT,
        "package": model.wheel.package,
        "version": model.wheel.version,
        "wheel_sha256": model.wheel.sha256,
        "licence": model.licence,
        "converted": model.converted,
        "parameters": model.parameters,
        "tensors_sha256": model.tensors,
        "files_sha256": dict(sorted(model.files.items())),
    }


def difference(folder: Path, tensors: str, files: Mapping[str, str]) -> str:
    """Return in a few words how the content of ``folder`` differs from these checksums; nothing if it does not."""
    found = {path.name for path in folder.iterdir()} - {RECORD}
    wanted = {*files, WEIGHTS}
    if missing := sorted(wanted - found):
        return f"{shown(missing[0])} is missing"
    if added := sorted(found - wanted):
        return f"{shown(added[0])} was added"
    changed = [name for name, sha256 in sorted(files.items()) if sha256_of(folder / name) != sha256]
    if not changed and _digest_or_none(folder / WEIGHTS) != tensors:
        changed = [WEIGHTS]
    return f"{shown(changed[0])} has another checksum" if changed else ""


def _digest_or_none(path: Path) -> str | None:
    try:
        return digest_of(path)[0]
    except SafetensorError:  # the file is no safetensors file, or is cut off
        return None


def is_made(model: PackagedModel, folder: Path) -> bool:
    """Return whether ``folder`` is the model; False if there is none, or one that another version of this script made.

    Raises:
        OutputError: it is something else, or was changed since; it is left alone.
    """
    if not folder.exists() and not folder.is_symlink():
        return False
    record = _read_record(folder)
    if wrong := _what_is_wrong(model, folder, record):
        raise OutputError(
            f"{folder}: exists, but is not what `make real-models` makes ({wrong}): move or delete it, {AGAIN}"
        )
    return record is not None and record["format"] == FORMAT


def _what_is_wrong(model: PackagedModel, folder: Path, record: dict[str, Any] | None) -> str:
    if record is None:
        return f"{RECORD!r} is missing or was not written by it"
    if record["format"] == FORMAT and {**record, "balora": __version__} != record_of(model):
        return f"{RECORD!r} was changed"
    try:
        return difference(folder, record["tensors_sha256"], record["files_sha256"])
    except OSError as error:
        return f"{shown(Path(str(error.filename)).name)} cannot be read"


def _read_record(folder: Path) -> dict[str, Any] | None:
    """Return the content of `SOURCE.json`, of whichever version of this script; None if there is none."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
        is_ours = record["made_by"] == MADE_BY and {"format", "tensors_sha256", "files_sha256"} <= {*record}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if is_ours and isinstance(record["files_sha256"], dict) else None


def verify_made(model: PackagedModel, folder: Path) -> None:
    """Raise ConversionError unless a conversion gave exactly the model that this script knows."""
    if wrong := difference(folder, model.tensors, model.files):
        raise ConversionError(
            f"{model.name}: the conversion did not give the known model ({wrong}) with {_versions()}: nothing is kept; "
            "install the versions of constraints.txt, or report this"
        )


def _versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("numpy", "safetensors", "gguf") if find_spec(name))


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a working folder beside ``folder``; its sub-folder `made` takes the name ``folder`` in one step at the end.

    On any error nothing new is left behind. What a killed process leaves is named so that `remove_dead` finds it.
    """
    is_first = not folder.parent.exists()
    work = folder.with_name(f"{PARTIAL}{folder.name}-{own_mark()}-{secrets.token_hex(4)}")
    try:
        (work / "made").mkdir(parents=True)
        yield work
        delete(folder)
        (work / "made").rename(folder)
    finally:
        delete(work)
        if is_first:
            with suppress(OSError):  # it holds something by now
                folder.parent.rmdir()
