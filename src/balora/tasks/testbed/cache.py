"""Where pre-trained testbed models are found: shipped with the package, else cached, else made and put in the cache.

An entry is a folder named by a hash of its configuration, complete from the moment it has its name. `testbed.json`
holds the configuration, the probes, and a checksum: what does not agree is made anew.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from balora.errors import ModelError, OutputError
from balora.settings import Family
from balora.tasks.testbed.config import RECIPE, TestbedConfig

if TYPE_CHECKING:
    from balora.tasks.testbed.pretrain import OnSteps, Pretrained

NAMES: dict[Family, str] = {"nlu": "encoder", "nlg": "decoder"}
CARD = "testbed.json"
WEIGHTS = "model.safetensors"
SHIPPED = Path(__file__).with_name("models")
CACHE_VARIABLE = "BALORA_CACHE"


def cache_folder() -> Path:
    """Return the user's cache: `BALORA_CACHE`, else `balora` below `XDG_CACHE_HOME` or `~/.cache`."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "balora"


def model_folder(config: TestbedConfig, family: Family, *, on_steps: "OnSteps | None" = None) -> Path:
    """Return the folder of a testbed's encoder (`nlu`) or decoder (`nlg`), pre-training it if there is none yet.

    Raises:
        ModelError: a shipped model is damaged.
        OutputError: the cache cannot be written.
        TrainingError: the model was pre-trained, but does not know what its text says.
    """
    shipped = SHIPPED / f"{NAMES[family]}-{config.seed}"
    if _card(shipped).get("key") == config.key():
        if not complete(shipped, config):
            raise ModelError(f"shipped model {shipped}: {WEIGHTS} is damaged: install balora again")
        return shipped
    folder = cache_folder() / "testbed" / f"{NAMES[family]}-{config.key()}"
    if not complete(folder, config):
        _make_writable(folder.parent)
        from balora.tasks.testbed.pretrain import pretrain

        made = pretrain(config, family, on_steps=on_steps)
        with _new_entry(folder, config) as partial:
            store(made, config, partial)
    return folder


def complete(folder: Path, config: TestbedConfig) -> bool:
    """Tell whether ``folder`` holds the models of ``config``, undamaged."""
    card, weights = _card(folder), folder / WEIGHTS
    return card.get("key") == config.key() and weights.is_file() and card.get("sha256") == _checksum(weights)


def store(made: "Pretrained", config: TestbedConfig, folder: Path) -> None:
    """Write a model, its tokenizer and its card into ``folder``."""
    made.save(folder)
    card = {
        "key": config.key(),
        "recipe": RECIPE,
        "config": config.model_dump(),
        "probes": {kind: round(share, 4) for kind, share in made.probes.items()},
        "cpu_seconds": round(made.cpu_seconds, 1),
        "sha256": _checksum(folder / WEIGHTS),
    }
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def _card(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) else {}


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unusable(folder, error) from None


@contextmanager
def _new_entry(folder: Path, config: TestbedConfig) -> Iterator[Path]:
    """Give a folder to write into that becomes ``folder`` at the end, unless another process was faster."""
    partial = Path(tempfile.mkdtemp(prefix=f".partial-{folder.name}-", dir=folder.parent))
    try:
        yield partial
        partial.chmod(0o755)
        if folder.exists() and not complete(folder, config):
            folder.rename(partial / "damaged")
            shutil.rmtree(partial / "damaged")
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
