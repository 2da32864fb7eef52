"""Compare the base of an adapted model with the checkpoint that it was loaded from: what would an adapter leave behind?

An adapter holds no weight of its base. Whoever loads it puts it on the checkpoint, so that every weight of the base
that was changed in memory (a resized vocabulary, an edit in place, a trained bias) is lost unless it is saved along.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from peft import PeftModel
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from balora.adapters.sharding import tensors_of, whole
from balora.regular_files import RECORD_BYTES, read_regular_text

FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PREFIX = "base_model.model."


def checkpoint_folder(name: str) -> Path | None:
    """Return where the files of a model lie: its folder, or its snapshot in the Hub's cache; no network is used."""
    if not name:
        return None
    if Path(name).is_dir():
        return Path(name)
    try:
        found = try_to_load_from_cache(name, "config.json")
    except (HFValidationError, OSError):
        return None
    return Path(found).parent if isinstance(found, str) else None


@contextmanager
def stored_tensors(model: nn.Module, source: str | None = None) -> Iterator[dict[str, Any]]:
    """Inside, the open safetensors file of every tensor of the checkpoint that ``model`` came from, by its name.

    ``source`` names another checkpoint (a folder, or a model in the Hub's cache) in its place. Empty where
    there is no checkpoint, or one that is gone or not in safetensors.
    """
    folder = checkpoint_folder(str(getattr(model, "name_or_path", "") or "") if source is None else source)
    with ExitStack() as stack:
        files: dict[str, Any] = {}
        for path in _files(folder) if folder else ():
            try:
                opened = stack.enter_context(safe_open(path, "pt"))
            except (OSError, SafetensorError):
                continue
            files |= dict.fromkeys(opened.keys(), opened)
        yield files


def _files(folder: Path) -> list[Path]:
    if not (folder / INDEX).is_file():
        return [folder / WHOLE]
    try:
        names = json.loads(read_regular_text(folder / INDEX, RECORD_BYTES))["weight_map"].values()
        return sorted({folder / name for name in names if isinstance(name, str) and Path(name).name == name})
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return []


def embedding_keys(model: PeftModel) -> list[str]:
    """Return the keys (in ``model``'s state dict) of input and output embeddings, as PEFT saves them if they changed.

    Embeddings that are trained in full are left out: the adapter holds them in any case.
    """
    base = model.get_base_model()
    getters = (getattr(base, name, None) for name in ("get_input_embeddings", "get_output_embeddings"))
    layers = [layer for layer in (get() for get in getters if get is not None) if layer is not None]
    return [
        f"{name}.{key}"
        for name, module in model.named_modules()
        if any(module is layer for layer in layers)
        for key in module.state_dict()
        if _is_base(f".{key}")
    ]


def changed_tensors(model: PeftModel) -> list[str]:
    """Return the keys (in ``model``'s state dict) of base tensors that an adapter on the checkpoint would do without.

    Compared is every tensor that the checkpoint holds under the same name, with or without the prefix of the backbone;
    a base in half precision, or one that has been in half precision, is compared with the rounded checkpoint. Quantised
    weights are not compared. A tensor that cannot be compared counts as changed if it is trainable.
    """
    base = model.get_base_model()
    state = {key: tensor for key, tensor in tensors_of(model).items() if _is_base(key)}
    same: dict[int, bool] = {}  # tied tensors are one: unchanged if they are what one of their names holds
    with stored_tensors(base) as stored:
        for key, tensor in state.items():
            present = whole(tensor).detach()  # before anything that may differ between processes
            name = stored_name(key, base, stored)
            if name is None or tensor.dtype not in FLOATS or tensor.is_meta:
                continue
            kept = stored[name].get_tensor(name)
            if kept.dtype in FLOATS:
                same[id(tensor)] = same.get(id(tensor), False) or _equal(present, kept)
    unknown = {id(tensor): not tensor.requires_grad for tensor in state.values()}
    return [key for key, tensor in state.items() if not (unknown | same)[id(tensor)]]


def lacking(model: nn.Module, names: Iterable[str]) -> list[str]:
    """Return those of ``names`` (parameters of ``model``) that its checkpoint does not hold; none without one."""
    with stored_tensors(model) as stored:
        return [name for name in names if stored and stored_name(name, model, stored) is None]


def stored_name(name: str, base: nn.Module, stored: Collection[str]) -> str | None:
    """Return by which name a checkpoint (``stored``) holds the tensor ``name`` of ``base``; None if it does not."""
    return next((n for n in _names(name, base) if n in stored), None)


def _is_base(key: str) -> bool:
    """Return whether a key of a PEFT model's state dict is the base's own and in use with the adapter on."""
    return not any(part in key for part in (".lora_", ".modules_to_save.", ".original_module.", ".token_adapter."))


def _names(key: str, base: nn.Module) -> list[str]:
    """Return the names that a checkpoint may have for a tensor: a model with another head stores it without prefix."""
    name = key.removeprefix(PREFIX).replace(".base_layer.", ".")
    prefix = f"{getattr(base, 'base_model_prefix', '')}."
    return [name, name.removeprefix(prefix), prefix + name]


def _equal(present: Tensor, kept: Tensor) -> bool:
    """Return whether a tensor is the stored one, in the same precision or rounded to half of it on the way."""
    if present.shape != kept.shape:
        return False
    kept = kept.to(present.device)
    for precision in dict.fromkeys((present.dtype, torch.bfloat16, torch.float16)):
        if torch.equal(kept.to(precision).to(present.dtype), present):
            return True
    return bool(torch.isnan(kept).any()) and torch.allclose(kept.to(present.dtype), present, 0, 0, equal_nan=True)
