"""Find a pre-trained testbed model: shipped with the package, else cached, else pre-trained and cached.

An entry is a folder named by a hash of its configuration, complete from the moment it has its name. `testbed.json`
holds the configuration, the probes, and a digest of every other file: an entry that does not agree is pre-trained
again.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balora.errors import ModelError, OutputError
from balora.folders import CACHE_VARIABLE, PARTIAL, cache_folder, delete, remove_stale
from balora.regular_files import SETTINGS_BYTES, is_regular, read_regular_text
from balora.settings import Family, SettingsError
from balora.tasks.testbed.config import RECIPE, TestbedConfig

if TYPE_CHECKING:
    from balora.tasks.testbed.pretrain import OnSteps, Pretrained

logger = logging.getLogger(__name__)

NAMES: dict[Family, str] = {"nlu": "encoder", "nlg": "decoder"}
CARD = "testbed.json"
WEIGHTS = "model.safetensors"
READ = frozenset((".safetensors", ".json", ".jinja", ".txt", ".model", ".py"))
"""How the names of files end that transformers may read."""
SHIPPED = Path(__file__).with_name("models")
ROOM = 2 * 2**20
"""Bytes that must be free before a model is pre-trained: it takes a little less."""


def model_folder(config: TestbedConfig, family: Family, *, on_steps: "OnSteps | None" = None) -> Path:
    """Return the folder of a testbed's encoder (`nlu`) or decoder (`nlg`), pre-training it if there is none yet.

    Raises:
        ModelError: a shipped model is damaged.
        OutputError: the cache cannot be written.
        TrainingError: the model was pre-trained, but fails its probes.
    """
    existing = find_model(config, family)
    if existing is not None:
        return existing
    make_writable()
    from balora.tasks.testbed.pretrain import pretrain

    made = pretrain(config, family, on_steps=on_steps)
    folder = _entry(config, family)
    with _new_entry(folder, config) as partial:
        store(made, config, partial)
    return folder


def find_model(config: TestbedConfig, family: Family) -> Path | None:
    """Return the folder of a testbed's model, shipped or cached; none if it has yet to be pre-trained.

    Raises:
        ModelError: a shipped model is damaged.
    """
    shipped = SHIPPED / f"{NAMES[family]}-{config.seed}"
    if shipped.exists():
        card = _card(shipped)
        fault = CARD if not _is_consistent(card) else None
        if card.get("key") == config.key():
            fault = fault or damaged_file(shipped, config)
            if fault is None:
                return shipped
        if fault is not None:
            raise ModelError(f"shipped model {shipped}: {fault} is damaged: install balora again")
    folder = _entry(config, family)
    fault = damaged_file(folder, config) if folder.exists() else CARD
    if fault is not None and folder.exists():
        also = "" if fault == CARD else f", or what {folder / CARD} says of it"
        logger.warning("balora: testbed: %s is damaged%s: the model is pre-trained again", folder / fault, also)
    return folder if fault is None else None


def _is_consistent(card: dict[str, Any]) -> bool:
    """Return whether a card's key is that of its configuration."""
    try:
        return isinstance(card.get("config"), dict) and TestbedConfig(**card["config"]).key() == card.get("key")
    except SettingsError:
        return False


def _entry(config: TestbedConfig, family: Family) -> Path:
    return cache_folder() / "testbed" / f"{NAMES[family]}-{config.key()}"


def complete(folder: Path, config: TestbedConfig) -> bool:
    """Return whether ``folder`` holds the models of ``config``, undamaged."""
    return damaged_file(folder, config) is None


def damaged_file(folder: Path, config: TestbedConfig) -> str | None:
    """Return a file of ``folder`` that is missing, changed, or not of ``config``'s model; None if all are right."""
    card = _card(folder)
    known = card.get("files")
    if card.get("key") != config.key() or not isinstance(known, dict) or WEIGHTS not in known:
        return CARD
    there = {path.name for path in _files(folder)}
    if different := sorted(there ^ known.keys()):
        return different[0]
    return next((name for name, digest in known.items() if digest != _checksum(folder / name)), None)


def _files(folder: Path) -> list[Path]:
    """Return every file of an entry that may be read when its model is loaded, but the card."""
    return [path for path in sorted(folder.iterdir()) if path.suffix in READ and path.name != CARD]


def store(made: "Pretrained", config: TestbedConfig, folder: Path) -> None:
    """Write a model, its tokenizer and its card into ``folder``."""
    from safetensors import SafetensorError

    try:
        made.save(folder)
    except SafetensorError as error:  # raised when the disk is full
        raise OSError(None, str(error)) from None
    card = {
        "key": config.key(),
        "recipe": RECIPE,
        "config": config.model_dump(),
        "probes": {kind: round(share, 4) for kind, share in made.probes.items()},
        "cpu_seconds": round(made.cpu_seconds, 1),
        "attempts": made.attempts,
        "files": {path.name: _checksum(path) for path in _files(folder)},
    }
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def _card(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads(read_regular_text(folder / CARD, SETTINGS_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return card if isinstance(card, dict) else {}


def _checksum(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if is_regular(path) else None


def make_writable() -> None:
    """Make the folder of the cache's entries, and remove what a killed process left there.

    Raises:
        OutputError: it cannot be written.
    """
    folder = cache_folder() / "testbed"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0" * ROOM)
    except OSError as error:
        raise _unusable(folder, error) from None
    remove_stale(folder)


@contextmanager
def _new_entry(folder: Path, config: TestbedConfig) -> Iterator[Path]:
    """Give a folder to write into that becomes ``folder`` at the end, unless another process was faster."""
    partial = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{folder.name}-", dir=folder.parent))
    try:
        yield partial
        partial.chmod(0o755)
        if os.path.lexists(folder) and not complete(folder, config):
            folder.rename(partial / "damaged")
            delete(partial / "damaged")
        if not folder.exists():
            partial.rename(folder)
    except OSError as error:
        if not complete(folder, config):  # else another process put its own there in between
            raise _unusable(folder.parent, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _unusable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cache folder {folder}: cannot be written ({error.strerror or error}): set {CACHE_VARIABLE} to another folder"
    )
