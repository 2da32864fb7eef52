"""Keep a run's checkpoints on object storage while it trains, so that another machine can go on; torch-free to import.

They lie in `checkpoints/<id of the run>` below the study. A checkpoint's seal is uploaded last and holds the digests of
its other files, so that one counts as a whole or not at all, as in the cache.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from balora.study.store.object_storage import CHECKPOINTS, Storage

logger = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between two looks for a new checkpoint."""


@contextmanager
def stored_checkpoints(storage: Storage, id: str, every: float = EVERY) -> Iterator[None]:
    """Download the checkpoints of the run ``id``, and inside upload each new one; training goes on if it cannot."""
    from balora.training.checkpoints import checkpoint_folder

    folder, name = checkpoint_folder(id), f"{CHECKPOINTS}/{id}"
    uploaded, ended = set[str](), threading.Event()

    def look() -> None:
        while not ended.wait(every):
            _upload(storage, folder, name, uploaded)

    _download(storage, folder, name)
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def discard_stored(storage: Storage, id: str) -> None:
    """Remove the checkpoints of a run whose record is stored."""
    with suppress(Exception):
        if names := storage.names(f"{CHECKPOINTS}/{id}"):
            for name in names:
                storage.files.rm_file(f"{storage.root}/{name}")


def _download(storage: Storage, folder: Path, name: str) -> None:
    """Download every checkpoint that is there as a whole and not in ``folder``."""
    from balora.training.checkpoints import SEAL

    try:
        names = storage.names(name)
        for seal in (one for one in names if one.endswith(f"/{SEAL}")):
            place = seal.removesuffix(f"/{SEAL}")
            target = folder / place.rsplit("/", 1)[-1]
            if target.exists():
                continue
            files = [one for one in names if one.startswith(f"{place}/") and one != seal]
            for one in (*files, seal):
                path = target / one.removeprefix(f"{place}/")
                path.parent.mkdir(parents=True, exist_ok=True)
                storage.files.get_file(f"{storage.root}/{one}", str(path))
    except Exception as error:  # each storage raises errors of its own
        logger.warning("balora: %s/%s: checkpoints cannot be read (%s): training begins anew", storage.url, name, error)


def _upload(storage: Storage, folder: Path, name: str, uploaded: set[str]) -> None:
    """Upload every whole checkpoint in ``folder`` that is not among ``uploaded``, and remove those before."""
    from balora.training.checkpoints import NAME, SEAL

    try:
        new = [seal.parent for seal in folder.glob(f"{NAME}*/{SEAL}") if seal.parent.name not in uploaded]
        for place in new:
            files = [path for path in sorted(place.rglob("*")) if path.is_file() and path.name != SEAL]
            for path in (*files, place / SEAL):
                target = f"{storage.root}/{name}/{place.name}/{path.relative_to(place).as_posix()}"
                storage.files.put_file(str(path), target)
            uploaded.add(place.name)
        if new:
            _remove_others(storage, name, {path.name for path in folder.glob(f"{NAME}*")})
    except FileNotFoundError:  # training removed it meanwhile: there is a newer one
        pass
    except Exception as error:  # each storage raises errors of its own
        logger.warning("balora: %s/%s: a checkpoint cannot be stored (%s)", storage.url, name, error)


def _remove_others(storage: Storage, name: str, kept: set[str]) -> None:
    """Remove the stored checkpoints whose names are not among ``kept``, their seals first."""
    from balora.training.checkpoints import SEAL

    others = [one for one in storage.names(name) if one.removeprefix(f"{name}/").split("/")[0] not in kept]
    for one in sorted(others, key=lambda path: not path.endswith(f"/{SEAL}")):
        storage.files.rm_file(f"{storage.root}/{one}")
