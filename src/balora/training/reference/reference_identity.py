"""Identify a frozen model by everything that decides its outputs: two with one identity give the same outputs."""

import hashlib
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from balora.adapters.targets import is_quantised
from balora.training.code_digest import code_fingerprint
from balora.training.rows import base_of

WRAPPERS = ("base_layer", "original_module")
"""Parts of names that PEFT puts around what is the pre-trained model's."""


def reference_identity(
    model: nn.Module, *, outputs: str, precision: str, device: str, scope: str = ""
) -> dict[str, str]:
    """Return the identity of the reference of ``model``: the model itself, or the pre-trained one inside a PeftModel.

    Weights are known by their content, read in full (about a second a GB): the seeded or fitted head of a classifier is
    among them, adapters are not, so that all arms on one base share it.

    Args:
        model: unwrapped.
        outputs: `hidden` or `logits`.
        precision: of the forward pass.
        device: its type.
        scope: what else to separate, e.g. the rows and their order.
    """
    config = base_of(model).config.to_dict()  # type: ignore[operator, union-attr]
    for name in ("_name_or_path", "use_cache"):
        config.pop(name, None)
    return {
        "weights": weights_digest(model),
        "architecture": f"{type(base_of(model)).__name__} {_short(repr(sorted(config.items(), key=str)))}",
        "outputs": outputs,
        "precision": precision,
        "device": device,
        "code": code_fingerprint(),
        "libraries": f"torch {torch.__version__}, transformers {transformers.__version__}",
        "scope": scope,
    }


def weights_digest(model: nn.Module) -> str:
    """Return the SHA-256 of the names, types and contents of the pre-trained tensors inside ``model``."""
    digest = hashlib.sha256()
    for name, tensor in sorted(_pretrained(model), key=lambda pair: pair[0]):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _pretrained(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that are not an adapter's, by the names they had before PEFT wrapped the model."""
    base = base_of(model)
    for tensors in (base.named_parameters(), base.named_buffers(), _scales(base)):
        for name, tensor in tensors:
            parts = name.split(".")
            if not any(part.startswith("lora_") or part == "modules_to_save" for part in parts):
                yield ".".join(part for part in parts if part not in WRAPPERS), tensor


def _scales(base: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the scales of quantised weights, which are neither parameters nor buffers: codes alone are no weight."""
    for name, module in base.named_modules():
        if is_quantised(module):
            state = module.state_dict(prefix=f"{name}.")
            plain = {f"{name}.{key}" for key, _ in module.named_parameters()}
            yield from ((key, tensor) for key, tensor in state.items() if key not in plain)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def difference(identity: dict[str, str], other: Any) -> str | None:
    """Return the name of the first entry that ``other`` lacks or has differently; none if they are the same."""
    known = other if isinstance(other, dict) else {}
    return next((name for name in {**identity, **known} if identity.get(name) != known.get(name)), None)
