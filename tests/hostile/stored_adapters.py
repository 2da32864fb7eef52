"""A trained adapter of a tiny Llama as a folder, and the means to spoil its two files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from balora.adapters import AdapterConfig, attach, export_adapter

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
Tensors = dict[str, Tensor]
Spoil = Callable[[Path], None]
STEP = "base_model.model.model.layers.{}.self_attn.{}.lora_{}.weight"


def shaken(adapted: torch.nn.Module) -> torch.nn.Module:
    """Move every trained parameter a little, as training would."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return adapted


def causal_adapter(checkpoint: Path, folder: Path, **settings: Any) -> Path:
    """Export a moved adapter of rank 2 on two kinds of layers of the causal model."""
    config = AdapterConfig(rank=2, init="standard", target_modules=("q_proj", "v_proj"), **settings)
    return export_adapter(shaken(attach(AutoModelForCausalLM.from_pretrained(checkpoint), config)), folder)


def classifying_adapter(checkpoint: Path, folder: Path, labels: int = 2) -> Path:
    """Export the same of a classifier, its head included."""
    config = AdapterConfig(rank=2, init="standard", target_modules=("q_proj", "v_proj"))
    base = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=labels, pad_token_id=0)
    return export_adapter(shaken(attach(base, config)), folder)


def tensors(change: Callable[[Tensors], Tensors]) -> Spoil:
    """Rewrite the tensors."""

    def spoil(folder: Path) -> None:
        save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)

    return spoil


def without(*parts: str) -> Spoil:
    """Leave out the tensors whose names hold one of the parts."""
    return tensors(lambda old: {n: t for n, t in old.items() if not any(part in n for part in parts)})


def plus(name: str, *shape: int) -> Spoil:
    """Add a tensor of ones."""
    return tensors(lambda old: old | {name: torch.ones(shape)})


def mapped(change: Callable[[Tensor], Tensor], part: str = "layers.1.self_attn.q_proj.lora_A") -> Spoil:
    """Change the tensors whose names hold a part."""
    return tensors(lambda old: {n: change(t).contiguous() if part in n else t for n, t in old.items()})


def renamed(old: str, new: str) -> Spoil:
    return tensors(lambda found: {name.replace(old, new): tensor for name, tensor in found.items()})


def filled(value: float) -> Spoil:
    """Put one value that is not finite among the others."""
    return mapped(lambda t: torch.cat([torch.tensor([value]), t.flatten()[1:]]).reshape(t.shape))


def settings(**changes: Any) -> Spoil:
    """Change the configuration."""

    def spoil(folder: Path) -> None:
        content = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps(content | changes))

    return spoil


def written(name: str, content: bytes) -> Spoil:
    """Write other bytes in place of a file."""
    return lambda folder: (folder / name).write_bytes(content) and None


def cut(name: str, share: float) -> Spoil:
    """Keep the start of a file."""

    def spoil(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


def copied(source: Path, folder: Path, spoil: Spoil) -> Path:
    """Return a spoilt copy of an adapter."""
    shutil.copytree(source, folder)
    spoil(folder)
    return folder
