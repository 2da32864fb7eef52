"""List the files that a model folder consists of, and refuse folders that cannot be read safely; torch-free.

What a folder says about itself is input, as its weights are: which files hold the weights, and whether the model needs
code of its own. Weights are safetensors inside the folder, everything is a regular file, and nothing else is read.
"""

import errno
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from balora.errors import ModelError, shown
from balora.regular_files import RECORD_BYTES, SETTINGS_BYTES, read_regular_text

CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = ("pytorch_model*.bin", "pytorch_model.bin.index.json", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
SUFFIXES = frozenset(
    (".json", ".safetensors", ".model", ".txt", ".jinja", ".py", ".tiktoken", ".bpe", ".vocab", ".spm")
)
"""How the names of files end that decide what a model is: configuration, weights, tokenizer, templates, code."""
TEMPLATES = "additional_chat_templates"
CODE_KEY = "auto_map"
"""The setting that names Python files to be imported."""
KERNEL_KEYS = ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation")
"""Settings that may name compiled code on a hub (`owner/name`)."""
ADAPTER = "adapter_config.json"
REPOSITORY_FILES = (CONFIG, INDEX, ADAPTER)
"""What is checked of a repository on a hub before its weights are downloaded."""
SHARD = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")
"""A part of a distributed checkpoint, which transformers would load in the place of the model's weights."""


def check_source(model: str, trust_remote_code: bool) -> None:
    """Refuse what must not or cannot be loaded, before anything heavy is imported.

    Raises:
        ModelError: no such folder; one without configuration or weights, or with files that are no regular ones; an
            index that names pickled files or files outside; an adapter in the folder; code that was not asked for.
    """
    folder = Path(model)
    if not os.path.isdir(folder):  # unlike Path.is_dir, it never raises
        if folder.is_absolute() or model.startswith((".", "~")) or os.path.exists(folder):
            raise ModelError(f"model {shown(model)}: no such folder: give a model's folder, or its name on a hub")
        return
    if not (folder / CONFIG).exists():
        raise ModelError(f"model folder {folder}: no {CONFIG}: give a folder saved by transformers")
    refuse_special_files(folder)
    config = read_settings(folder, CONFIG)
    _refuse_companions(folder)
    weight_files(folder)
    for name, limit in ((TOKENIZER_CONFIG, RECORD_BYTES), ("generation_config.json", SETTINGS_BYTES)):
        if (folder / name).exists():
            read_settings(folder, name, limit)
    if not trust_remote_code:
        _refuse_code(folder, config)


def weight_files(folder: Path) -> list[Path]:
    """Return the files that hold the weights of the model in ``folder``: those that transformers would read.

    Raises:
        ModelError: there are none, they are pickled, or the folder names files that are not safetensors inside it.
    """
    if named := _named_weights(folder):
        return named
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
    if pickled:
        raise ModelError(
            f"model folder {folder}: only pickled weights ({pickled[0]}), which can run code when loaded: "
            "convert them to safetensors"
        )
    other = sorted(path.name for path in folder.glob("*.safetensors"))
    found = f"; {other[0]} is neither {WEIGHTS} nor named by {INDEX}" if other else ""
    raise ModelError(f"model folder {folder}: no weights (*.safetensors){found}: save the whole model there")


def model_files(folder: Path) -> list[Path]:
    """Return every file of ``folder`` that decides what the model and its tokenizer are, in a fixed order.

    Raises:
        ModelError: a file of another kind (a pipe, a device), weights are named that are not safetensors inside, or
            something lies there that would be loaded on top of them.
    """
    refuse_special_files(folder)
    _refuse_companions(folder)
    found = {path for path in folder.iterdir() if path.suffix in SUFFIXES}
    found |= {*folder.rglob("*.py"), *(folder / TEMPLATES).glob("*.jinja"), *_named_weights(folder)}
    return sorted(path for path in found if not path.is_dir())


def refuse_special_files(folder: Path) -> None:
    """Raise ModelError for a pipe, a device, a folder or a broken link where a file of the model belongs."""
    for path in sorted([*folder.iterdir(), *(folder / TEMPLATES).glob("*")]):
        if path.suffix in SUFFIXES and path.suffix != ".py" and not path.is_file():
            raise ModelError(f"model folder {folder}: {shown(path.name)} is no regular file: remove or replace it")


def _named_weights(folder: Path) -> list[Path]:
    """Return the weight files that config.json or the index in use names; none where the usual file is there."""
    named = read_settings(folder, CONFIG).get("transformers_weights") if (folder / CONFIG).exists() else None
    if named is None:
        return [] if (folder / WEIGHTS).exists() or not (folder / INDEX).exists() else _indexed(folder, INDEX)
    place = f"{CONFIG}: transformers_weights"
    if isinstance(named, str) and named.endswith(f"{WEIGHTS}.index.json"):
        return _indexed(folder, _inside(folder, named, place, ".json").relative_to(folder).as_posix())
    return [_inside(folder, named, place)]


def _indexed(folder: Path, index: str) -> list[Path]:
    names = read_settings(folder, index, RECORD_BYTES).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ModelError(
            f"model folder {folder}: {index} has no weight_map, which names its files: save the model again"
        )
    distinct = list({name if isinstance(name, str) else repr(name): name for name in names.values()}.values())
    return sorted(_inside(folder, name, index) for name in distinct)


def _inside(folder: Path, name: Any, place: str, suffix: str = ".safetensors") -> Path:
    """Return the file ``name`` that ``place`` names.

    Raises:
        ModelError: it does not lie in ``folder``, is no file of the kind that ``suffix`` shows, or is not there.
    """
    fault = name_fault(name, suffix)
    if fault is None and not (folder / name).is_file():
        fault = "not there"
    elif fault is None and not _lies_in(folder / name, folder):
        fault = "a link that leads outside the folder"
    if fault is not None:
        raise ModelError(f"model folder {folder}: {place} names {shown(name)}, which is {fault}: save the model again")
    return folder / str(name)


def name_fault(name: Any, suffix: str = ".safetensors") -> str | None:
    """Return what is wrong with the ``name`` of a file of weights inside a model's folder; None if nothing is."""
    if not isinstance(name, str) or not name or "\0" in name:
        return "no name of a file"
    if not name.endswith(suffix):
        return f"no {suffix.removeprefix('.')} file, and others can run code when loaded"
    if PurePosixPath(name).is_absolute() or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts:
        return "outside the folder"
    return None


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether ``path``, its links followed, lies in ``folder`` or, for a snapshot of the Hub's cache, beside it."""
    real, root = path.resolve(), folder.resolve()
    return real.is_relative_to(root) or (
        root.parent.name == "snapshots" and real.is_relative_to(root.parent.parent / "blobs")
    )


def read_settings(folder: Path, name: str, limit: int = SETTINGS_BYTES) -> dict[str, Any]:
    """Return the settings in the JSON file ``name`` of a model's folder.

    Raises:
        ModelError: it is no regular file of at most ``limit`` bytes, or does not hold settings as JSON.
    """
    try:
        content = json.loads(read_regular_text(folder / name, limit))
    except OSError as error:
        fault = "is not JSON" if error.errno == errno.EILSEQ else "cannot be read"
        raise ModelError(f"model folder {folder}: {name} {fault} ({error.strerror}): save the model again") from None
    except RecursionError:
        raise ModelError(f"model folder {folder}: {name} is nested too deep: save the model again") from None
    except ValueError as error:
        raise ModelError(f"model folder {folder}: {name} is not JSON ({error}): save the model again") from None
    if not isinstance(content, dict):
        raise ModelError(f"model folder {folder}: {name} holds {type(content).__name__}, not settings")
    return content


def check_named_files(name: str, files: Mapping[str, Path], trust_remote_code: bool) -> None:
    """Refuse a hub's repository ``name`` for what those of its `REPOSITORY_FILES` say that are there.

    Raises:
        ModelError: an adapter, code for a kernel that was not asked for, weights that are not safetensors inside.
    """
    if ADAPTER in files:
        raise ModelError(
            f"model {shown(name)}: is or holds an adapter ({ADAPTER}): give its base, and the adapter by --adapter"
        )
    config = read_settings(files[CONFIG].parent, CONFIG) if CONFIG in files else {}
    kernel = needed_code({key: value for key, value in config.items() if key != CODE_KEY})
    if kernel is not None and not trust_remote_code:
        raise ModelError(
            f"model {shown(name)}: config.json: {kernel} names code: pass --trust-remote-code if you trust it"
        )
    index = read_settings(files[INDEX].parent, INDEX, RECORD_BYTES) if INDEX in files else {}
    weights = index.get("weight_map")
    named = list(weights.values()) if isinstance(weights, dict) else []
    named += [config["transformers_weights"]] if config.get("transformers_weights") is not None else []
    for one in named:
        suffix = ".json" if str(one).endswith(f"{WEIGHTS}.index.json") else ".safetensors"
        if (fault := name_fault(one, suffix)) is not None:
            raise ModelError(f"model {shown(name)}: names {shown(one)} for its weights, which is {fault}")


def _refuse_companions(folder: Path) -> None:
    """Refuse files that transformers would load on top of the weights, or in their place."""
    if (folder / ADAPTER).exists():
        raise ModelError(
            f"model folder {folder}: holds an adapter too ({ADAPTER}), which would be loaded on top: "
            "move it to a folder of its own"
        )
    shards = sorted(path.name for path in folder.iterdir() if SHARD.match(path.name))
    if shards:
        raise ModelError(
            f"model folder {folder}: holds parts of a distributed checkpoint ({shards[0]}): save the whole model as "
            f"{WEIGHTS}"
        )


def _refuse_code(folder: Path, config: Mapping[str, Any]) -> None:
    settings = {CONFIG: config}
    if (folder / TOKENIZER_CONFIG).exists():
        settings[TOKENIZER_CONFIG] = read_settings(folder, TOKENIZER_CONFIG, RECORD_BYTES)
    for name, content in settings.items():
        if key := needed_code(content):
            raise ModelError(
                f"model folder {folder}: needs Python code of its own: pass --trust-remote-code if you trust it "
                f"({name}: {key})"
            )


def needed_code(settings: Mapping[str, Any]) -> str | None:
    """Return a key, at any depth of ``settings``, that makes transformers import code from the folder or a hub."""
    groups = [settings]
    while groups:
        for key, value in groups.pop().items():
            names_kernel = key in KERNEL_KEYS and "/" in str(list(value.values()) if isinstance(value, dict) else value)
            if names_kernel or (key == CODE_KEY and value):
                return str(key)
            groups += [value] if isinstance(value, Mapping) else []
    return None
