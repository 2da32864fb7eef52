"""Tell whether a loaded adapter is a saved training form (a pair with PiSSA's start in it) or a plain LoRA."""

from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from balora.adapters.offset import ADAPTER, lora_layers
from balora.adapters.targets import weight_of
from balora.errors import AdapterError

TOLERANCE = 0.1
"""Most that a start may differ from the singular pairs of the weight, relatively: room for a randomized SVD and for
half precision. A trained factor, and the change A − A0 of an export, differ by about 1."""


def holds_offset_form(model: PeftModel) -> bool:
    """Return whether every layer of the adapter on ``model`` is the pair [A; A0], [B, −B0] of the offset form.

    That is what `save_pretrained` and a Trainer checkpoint hold of a model attached with PiSSA
    (:mod:`balora.adapters.factors`); an export holds [A; A − A0], [B − B0, B0] instead. PiSSA's start identifies it:
    s·B0·A0 is the top part of the SVD of the weight W, so that W·A0ᵀ = s·B0·(A0·A0ᵀ). Other LoRAs miss this by far.
    """
    layers = lora_layers(model.get_base_model())
    return bool(layers) and all(_holds_start(name, layer) for name, layer in layers.items())


def _holds_start(name: str, layer: Any) -> bool:
    if ADAPTER not in layer.lora_A:  # of embeddings, which are never in the offset form
        return False
    A, B = layer.lora_A[ADAPTER].weight.detach().float(), layer.lora_B[ADAPTER].weight.detach().float()
    try:
        W = weight_of(layer.get_base_layer(), name).float()
    except AdapterError:  # a weight without floating-point values has no such start
        return False
    return is_start(W, A, B, layer.scaling[ADAPTER])


def is_start(W: Tensor, A: Tensor, B: Tensor, scaling: float) -> bool:
    """Return whether the second halves of A (2r×in) and −B (out×2r) are singular pairs of W (out×in)."""
    if A.dim() != 2 or B.dim() != 2 or A.shape[0] % 2 or (W.shape[1], W.shape[0]) != (A.shape[1], B.shape[0]):
        return False
    A0, B0 = A.chunk(2, dim=0)[1], -B.chunk(2, dim=1)[1]
    found, wanted = scaling * B0 @ (A0 @ A0.T), W @ A0.T
    size = torch.linalg.vector_norm(wanted)
    return bool(size > 0) and bool(torch.linalg.vector_norm(found - wanted) <= TOLERANCE * size)
