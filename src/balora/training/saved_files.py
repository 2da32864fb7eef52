"""List the files that an adapter, a trained model or a run consists of, and copy these and nothing else; torch-free.

A run's folder may come from somebody else. A link in it would deliver a file from elsewhere on this machine, and a
pickled file would run code where the copy is loaded.
"""

import json
import shutil
import stat
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from balora.errors import AdapterError, InputError, ModelError, shown
from balora.regular_files import SETTINGS_BYTES, is_regular, open_regular, read_regular_text
from balora.training.model_folder import PICKLED, model_files, read_settings, weight_files
from balora.training.safetensors_header import read_header

ADAPTER = "adapter"
"""The folder of a run's adapter; :data:`TRAINED` is that of a model that was trained as a whole."""
TRAINED = "model"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
RUN_TEXTS = ("series.jsonl", "items.jsonl", "run.json")
"""The files of a run beside these folders; its record comes last."""
PICKLED_FILES = (*PICKLED, "adapter_model.bin", "training_args.bin")
AGAIN = "run it again"


def adapter_files(folder: Path) -> list[Path]:
    """Return the files of the adapter in ``folder``.

    Raises:
        AdapterError: one is missing, a link, empty or torn; the folder holds other links or pickled files.
    """
    refuse_strange_files(folder, AdapterError)
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not is_regular(folder / name):
            raise AdapterError(f"adapter folder {folder}: {name} is missing: {AGAIN}")
    read_adapter_config(folder)
    _require_whole([folder / ADAPTER_WEIGHTS], f"adapter folder {folder}", AdapterError)
    return [folder / ADAPTER_CONFIG, folder / ADAPTER_WEIGHTS]


def trained_files(folder: Path) -> list[Path]:
    """Return the files of the trained model in ``folder``: configuration, tokenizer, templates, weights, code.

    Raises:
        ModelError: the configuration or weights are missing, torn, or named outside; links or pickled files.
    """
    refuse_strange_files(folder, ModelError)
    read_settings(folder, "config.json")
    _require_whole(weight_files(folder), f"model folder {folder}", ModelError)
    return model_files(folder)


def run_files(folder: Path) -> list[Path]:
    """Return the files of the run in ``folder``, its record last; raises as the functions above."""
    refuse_strange_files(folder, InputError)
    parts = [*(adapter_files(folder / ADAPTER) if (folder / ADAPTER).exists() else ())]
    parts += trained_files(folder / TRAINED) if (folder / TRAINED).exists() else []
    return [*parts, *(folder / name for name in RUN_TEXTS if (folder / name).exists())]


def refuse_strange_files(folder: Path, kind: type[InputError]) -> None:
    """Raise ``kind`` for anything at or below ``folder`` that is a link, a device or a pipe, or that looks pickled."""
    for path in (folder, *sorted(folder.rglob("*"))):
        name = str(folder) if path == folder else f"{folder}: {shown(path.relative_to(folder).as_posix())}"
        mode = path.lstat().st_mode if path.is_symlink() or path.exists() else 0
        if stat.S_ISLNK(mode):
            raise kind(f"{name} is a symbolic link, which is never followed: put the file itself there, or {AGAIN}")
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise kind(f"{name} is {'no regular file' if mode else 'missing'}: {AGAIN}")
        if path != folder and any(fnmatch(path.name, pattern) for pattern in PICKLED_FILES):
            raise kind(f"{name} looks pickled, and would run code where it is loaded: remove it")


def _require_whole(paths: Iterable[Path], place: str, kind: type[InputError]) -> None:
    for path in paths:
        try:
            header = read_header(path, links=False)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise kind(f"{place}: {path.name} is incomplete or damaged: {reason}: {AGAIN}") from None
        if not header:
            raise kind(f"{place}: {path.name} holds no tensor: {AGAIN}")


def copy_files(files: Iterable[Path], folder: Path, target: Path) -> None:
    """Copy ``files``, which lie below ``folder``, to the same places below ``target``."""
    for path in files:
        place = target / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(open_regular(path, links=False), "rb") as source, place.open("xb") as copy:
            shutil.copyfileobj(source, copy, 2**20)


def left_out(folder: Path, files: Iterable[Path]) -> Iterator[str]:
    """Yield the names of the entries of ``folder`` of which nothing is among ``files``."""
    used = {path.relative_to(folder).parts[0] for path in files}
    yield from sorted({path.name for path in folder.iterdir()} - used)


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """Return the settings of the adapter in ``folder``.

    Raises:
        AdapterError: they are no regular file, or not JSON.
    """
    try:
        content = json.loads(read_regular_text(folder / ADAPTER_CONFIG, SETTINGS_BYTES, links=False))
    except (OSError, ValueError, RecursionError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise AdapterError(f"adapter folder {folder}: {ADAPTER_CONFIG} cannot be read: {reason}: {AGAIN}") from None
    if not isinstance(content, dict):
        raise AdapterError(f"adapter folder {folder}: {ADAPTER_CONFIG} holds no settings: {AGAIN}")
    return content
