"""Tell whether a loaded adapter is a saved training form (a pair with its start in it) or a plain LoRA."""

from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from balora.adapters.offset import ADAPTER, lora_layers
from balora.adapters.targets import weight_of
from balora.errors import AdapterError
from balora.maths.pissa import pissa_factors

TOLERANCE = 0.1
"""Most that a start may differ from the singular pairs or values of the weight, relatively: room for a randomized SVD
and for half precision. A trained factor, and the change A − A0 of an export, differ by about 1."""
HALF = 2.0**-7
"""Rounding of factors and weight to half precision, a few times over; it hides the smallest singular values."""
ORTHOGONAL = 0.02
"""Most that the products of orthogonal factors may differ from a diagonal, relatively: rounding to half precision."""


def holds_offset_form(model: PeftModel) -> bool:
    """Return whether every layer of the adapter on ``model`` is the pair [A; A0], [B, −B0] of the offset form.

    That is what `save_pretrained` and a Trainer checkpoint hold of a model attached with any start but `standard`
    (:mod:`balora.adapters.factors`); an export holds [A; A − A0], [B − B0, B0] instead. The start identifies it: its
    components are singular pairs of the weight W (`pissa`, `minor`), or are orthogonal and as large as the leading
    singular values of W (`random-matched`). Other LoRAs miss both by far.
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
    """Return whether the second halves of A (2r×in) and −B (out×2r) are a start on W (out×in)."""
    if A.dim() != 2 or B.dim() != 2 or A.shape[0] % 2 or (W.shape[1], W.shape[0]) != (A.shape[1], B.shape[0]):
        return False
    A0, B0 = A.chunk(2, dim=0)[1], -B.chunk(2, dim=1)[1]
    return bool(A0.any()) and (are_singular_pairs(W, A0, B0, scaling) or have_leading_values(W, A0, B0, scaling))


def are_singular_pairs(W: Tensor, A0: Tensor, B0: Tensor, scaling: float) -> bool:
    """Return whether s·B0·A0 is a part of the SVD of W, so that W·A0ᵀ = s·B0·(A0·A0ᵀ)."""
    found, wanted = scaling * B0 @ (A0 @ A0.T), W @ A0.T
    rounding = HALF * torch.linalg.vector_norm(W) / W.shape[1] ** 0.5 * torch.linalg.vector_norm(A0)
    most = TOLERANCE * torch.linalg.vector_norm(wanted) + rounding
    return bool(torch.linalg.vector_norm(found - wanted) <= most)


def have_leading_values(W: Tensor, A0: Tensor, B0: Tensor, scaling: float) -> bool:
    """Return whether A0·A0ᵀ = B0ᵀ·B0 = diag(σ₁, …, σ_r)/s with the leading singular values of W."""
    diagonal = A0.square().sum(dim=1).diag()
    most = ORTHOGONAL * torch.linalg.vector_norm(diagonal)
    for product in (A0 @ A0.T, B0.T @ B0):
        if not torch.linalg.vector_norm(product - diagonal) <= most:
            return False
    if len(A0) > min(W.shape) or not W.isfinite().all():
        return False
    leading = pissa_factors(W, len(A0), scaling)[0].square().sum(dim=1)
    return bool(((diagonal.diag() - leading).abs() <= TOLERANCE * leading).all())
