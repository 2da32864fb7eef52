"""Save checkpoints of a run while it trains, and find the last whole one, so that a killed run goes on from there.

They lie in the user's cache, in <cache>/checkpoints/<id of the run>. The Trainer writes and reads the model, the
optimizer, the schedule, the random states and its place in the data; beside them, `balora.json` holds what the run's
record needs of the steps so far. It is written last and has a digest of every other file, so that a checkpoint counts
as a whole or not at all. The last two are kept, and all are removed once the run has its record.

Of several processes that train by DDP the first one writes what all share, and each its random states; what the record
needs is gathered from all. They save, and go on from, the same checkpoint or none.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import TrainerCallback

from balora.errors import OutputError
from balora.folders import cache_folder, delete, remove_older, write_atomic
from balora.regular_files import is_regular, read_regular
from balora.training.spec import TrainingConfig
from balora.training.team import Team

logger = logging.getLogger(__name__)

NAME = "checkpoint-"
"""The Trainer's name of a checkpoint, before its step."""
SEAL = "balora.json"
BEST = "best.safetensors"
"""The weights that scored best so far, where they are to be kept."""
KEPT = 2
LARGEST_SEAL = 2**28
KEPT_SECONDS = 30 * 24 * 3600.0
"""How long the checkpoints of a run that never comes back stay in the cache."""
FAULTS = (OSError, OutputError, SafetensorError, ValueError, KeyError, TypeError, RecursionError, RuntimeError)
FORMAT = 2


def checkpoint_folder(run_id: str) -> Path:
    """Return where the checkpoints of the run ``run_id`` lie while it trains."""
    return cache_folder() / "checkpoints" / run_id


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Claim ``folder`` for this process while inside; yields whether no other process has it, with the same run."""
    lock = folder.with_suffix(".lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_older(folder.parent, KEPT_SECONDS)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        logger.warning("balora: %s cannot be written (%s): no checkpoints are saved", folder, error)
        yield False
        return
    try:
        is_mine = _locks(descriptor) and _is_at(descriptor, lock)
        if not is_mine:
            logger.warning("balora: another process trains the same run: no checkpoints are saved in %s", folder)
        yield is_mine
        if is_mine:
            with suppress(OSError):
                lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _locks(descriptor: int) -> bool:
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # a system, or a file system, without locks
        return True
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether ``path`` is the open file; the process that had the lock removes it when it ends."""
    with suppress(OSError):
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    return False


class SaveCheckpoints(TrainerCallback):  # type: ignore[misc]
    """Saves a checkpoint after every so many optimizer steps or minutes, but the last; training goes on if it cannot.

    Args (of the constructor):
        trainer: whose training is saved.
        folder: where checkpoints go (:func:`checkpoint_folder`).
        training: says how often.
        left: returns what the record needs of the steps so far, for JSON.
        weights: returns weights to save beside the model's, if any.
        team: the processes that train together.
    """

    def __init__(
        self,
        trainer: Any,
        folder: Path,
        training: TrainingConfig,
        left: Callable[[], dict[str, Any]],
        weights: Callable[[], Mapping[str, Tensor]],
        team: Team,
    ) -> None:
        self.trainer, self.folder, self.left, self.weights, self.team = trainer, folder, left, weights, team
        self.every, self.seconds = training.checkpoint_every, 60 * training.checkpoint_minutes
        self._last, self._is_on = time.monotonic(), True

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._is_on and state.global_step < state.max_steps and self._is_due(state.global_step):
            self.save(state.global_step)
            self._last = time.monotonic()

    def _is_due(self, step: int) -> bool:
        if self.every is not None:
            return step % self.every == 0
        return self.team.first(lambda: 0 < self.seconds <= time.monotonic() - self._last)  # clocks differ

    def save(self, step: int) -> None:
        """Save a checkpoint, and remove those before the last two; where that fails in a process, save no more."""
        place, left = self.folder / f"{NAME}{step}", self.team.gather(self.left())
        for act in (lambda: self._clear(place), self._write, lambda: self._seal(place, step, left)):
            fault = self._fault_of_any(act)
            if fault is not None:
                self._give_up(place, fault)
                return

    def _fault_of_any(self, act: Callable[[], None]) -> str | None:
        """Return why ``act`` failed in this process or another, None where it did in none."""
        fault = None
        try:
            act()
        except FAULTS as error:  # torch raises RuntimeError where the disk is full
            fault = str(error)
        return next((one for one in self.team.gather(fault) if one is not None), None)

    def _clear(self, place: Path) -> None:
        if self.team.is_first:
            delete(place)  # what a killed process may have begun
        if self.trainer.model_loss.reference_cache is not None:
            self.trainer.model_loss.reference_cache.flush()

    def _write(self) -> None:
        self.trainer.args.output_dir = str(self.folder)
        self.trainer._save_checkpoint(self.trainer.model, trial=None)

    def _seal(self, place: Path, step: int, left: list[dict[str, Any]]) -> None:
        if not self.team.is_first:
            return
        if weights := {name: tensor.contiguous() for name, tensor in self.weights().items()}:
            save_file(weights, place / BEST)
        seal = {"format": FORMAT, "step": step, "left": left, "files": _digests(place)}
        write_atomic(place / SEAL, json.dumps(seal), durable=True)
        for old in _checkpoints(self.folder)[KEPT:]:
            delete(old)

    def _give_up(self, place: Path, fault: str) -> None:
        self._is_on = False
        if not self.team.is_first:
            return
        logger.warning(
            "balora: no checkpoint can be saved in %s (%s): training goes on without, and would start over if it were "
            "killed",
            self.folder,
            fault,
        )
        with suppress(OSError):
            delete(place)  # a full disk would stay full


class Checkpoint(NamedTuple):
    """A whole checkpoint."""

    place: Path
    left: list[dict[str, Any]]
    """What the record needs of the steps before it, of each process."""

    def weights(self) -> dict[str, Tensor]:
        """Return the weights that were saved beside the model's."""
        return load_file(self.place / BEST) if (self.place / BEST).is_file() else {}


def last_of_all(folder: Path, same: Mapping[str, Any], team: Team) -> Checkpoint | None:
    """Return :func:`last_whole` of the first process where all find it, as on a file system that they share."""
    found = team.first(lambda: last_whole(folder, same))
    if found is None or all(team.gather((found.place / SEAL).is_file())):
        return found
    if team.is_first:
        logger.warning("balora: not every process can read %s: it is not used", found.place)
    return None


def last_whole(folder: Path, same: Mapping[str, Any]) -> Checkpoint | None:
    """Return the last whole checkpoint in ``folder``, and remove what cannot be used; None where there is none.

    Args:
        folder: of the run (:func:`checkpoint_folder`).
        same: what must be in it as it is now: the number of threads, say, on which some bits depend.
    """
    for place in _checkpoints(folder):
        try:
            left = _unsealed(place)
        except FAULTS as error:
            logger.warning("balora: %s is not whole (%s): it is not used", place, error)
            with suppress(OSError):
                delete(place)
            continue
        now, of_first = same.items(), left[0]
        other = [f"{key} {of_first.get(key)}, not {value}" for key, value in now if of_first.get(key) != value]
        if not other:
            return Checkpoint(place, left)
        logger.warning("balora: %s was made with %s: it is not used, and removed", place, " and ".join(other))
        with suppress(OSError):
            delete(place)  # it would count as later than those of this training
    return None


def discard_checkpoints(run_id: str) -> None:
    """Remove the checkpoints of a run that has its record."""
    with suppress(OSError):
        delete(checkpoint_folder(run_id))


def _unsealed(place: Path) -> list[dict[str, Any]]:
    seal = json.loads(read_regular(place / SEAL, LARGEST_SEAL, links=False))
    if seal["format"] != FORMAT:
        raise ValueError(f"of format {seal['format']}, not {FORMAT}")
    if seal["files"] != _digests(place):
        raise ValueError("its files are not those that were written")
    left: list[dict[str, Any]] = seal["left"]
    return left


def _checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in ``folder``, the last first."""
    found = [path for path in folder.glob(f"{NAME}*") if path.name.removeprefix(NAME).isdecimal() and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(NAME)), reverse=True)


def _digests(place: Path) -> dict[str, str]:
    """Return the digest of every file in ``place`` but the seal; raise :class:`ValueError` for what is no file."""
    found = {}
    for path in sorted(place.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        if not is_regular(path):
            raise ValueError(f"{path.name} is no plain file")
        if path.name != SEAL:
            with open(path, "rb") as file:
                found[path.relative_to(place).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
