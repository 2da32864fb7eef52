"""Shared fixtures: the real data and checkpoint, and quiet, single-threaded, offline defaults."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch starts; small tensors gain nothing from threads

import pytest

gc.disable()  # while tests are collected: what is imported stays


def pytest_collection_finish() -> None:
    """Exempt the imported modules from garbage collection.

    The Trainer ends every training with a full collection (accelerate's `free_memory`); over the objects of all
    imported modules it would take longer than the training of three steps before it.
    """
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _unflushed() -> Iterator[None]:
    """Leave files to the system's cache: no test cuts the power, and waiting for the disk takes longer than writing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def real_inputs() -> Path | None:
    """Return the folder with `data/` and `models/`, or None: `BALORA_DATA`, else `shared` beside the checkout."""
    named = os.environ.get("BALORA_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    return folder if (folder / "models" / "stories260K").is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = real_inputs()
    if folder is None:
        pytest.skip("real data not found: set BALORA_DATA to the folder that holds data/ and models/")
    return folder


@pytest.fixture(scope="session")
def checkpoint(shared: Path) -> Path:
    return shared / "models" / "stories260K"


@pytest.fixture(scope="session")
def data(shared: Path) -> Path:
    return shared / "data"
