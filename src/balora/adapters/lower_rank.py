"""Write a saved LoRA again at a lower rank: the best approximation of each layer's change, with what it costs."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from peft import LoraConfig
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from peft.utils.other import get_pattern_key
from safetensors.torch import save_file
from torch import Tensor

from balora.adapters.stored_adapter import read_config, read_tensors
from balora.errors import AdapterError

A, B = ".lora_A.weight", ".lora_B.weight"


class Reduction(NamedTuple):
    """What an adapter lost with its rank."""

    before: int
    """The largest rank of a layer before."""
    rank: int
    lost: float
    """‖ΔW − ΔW'‖ / ‖ΔW‖, Frobenius norms over all layers together."""
    worst: float
    """The same of the layer that lost most."""
    layer: str
    """Its name."""


def lower_rank(source: Path, target: Path, rank: int) -> Reduction:
    """Write the adapter in the folder ``source`` into the folder ``target`` with at most ``rank`` dimensions a layer.

    A layer's change ΔW = s·B·A (s is the scaling) is replaced by its best approximation of rank r in the Frobenius
    norm, the truncated singular value decomposition (Eckart and Young, 1936). It is computed in float64 from the two
    thin factors: with B = Q₁R₁ and Aᵀ = Q₂R₂, the decomposition of the small R₁R₂ᵀ is that of B·A. The factors get
    equal shares of the singular values, the scaling becomes part of them (`lora_alpha` = r), and layers of a lower rank
    are filled up with zeros. All else stays as it is.

    Raises:
        AdapterError: the adapter cannot be read, has parts that are no linear layers, or has that rank already.
    """
    config, tensors = read_config(source), read_tensors(source)
    layers = [name.removesuffix(A) for name in tensors if name.endswith(A)]
    if strange := [
        name for name in tensors if ".lora_" in name and not name.endswith((A, B, ".lora_magnitude_vector"))
    ]:
        raise AdapterError(f"--rank: {strange[0]} is no part of a linear layer, and only these can get a lower rank")
    before = max((len(tensors[layer + A]) for layer in layers), default=0)
    if not 0 < rank < before:
        choice = f"give a number from 1 to {before - 1}" if before > 1 else "there is no lower one: leave --rank out"
        raise AdapterError(f"--rank {rank}: the adapter has rank {before}: {choice}")
    written, lost, whole = dict(tensors), {}, {}
    for layer in layers:
        down, up = tensors[layer + A], tensors[layer + B]
        if down.dim() != 2:
            raise AdapterError(f"--rank: {layer} is no linear layer, and only these can get a lower rank")
        low, high, left_out = best_of_rank(down.double(), _scaling(config, layer) * up.double(), rank)
        written[layer + A], written[layer + B] = low.to(down.dtype).contiguous(), high.to(up.dtype).contiguous()
        lost[layer], whole[layer] = left_out.square().sum().item(), _square(config, layer, down, up)
    config.r, config.lora_alpha, config.use_rslora = rank, rank, False
    config.rank_pattern, config.alpha_pattern = {}, {}
    if isinstance(config.target_modules, set):
        config.target_modules = sorted(config.target_modules)
    save_file(written, target / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
    config.save_pretrained(str(target))
    return _reduction(before, rank, lost, whole)


def best_of_rank(down: Tensor, up: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return A' (rank×in) and B' (out×rank), whose product is the best approximation of ``up @ down``, and the loss.

    The loss is the vector of the singular values that were left out.
    """
    left, upper = torch.linalg.qr(up)
    right, lower = torch.linalg.qr(down.T)
    u, values, vh = torch.linalg.svd(upper @ lower.T)
    kept = values[:rank].sqrt()
    low, high = kept[:, None] * (vh[:rank] @ right.T), (left @ u[:, :rank]) * kept
    missing = rank - len(kept)
    if missing > 0:
        low = torch.nn.functional.pad(low, (0, 0, 0, missing))
        high = torch.nn.functional.pad(high, (0, missing))
    return low, high, values[rank:]


def _scaling(config: LoraConfig, layer: str) -> float:
    """Return s of a layer, as PEFT finds it: alpha / r, or with rank-stabilised scaling alpha / √r."""
    name = layer.removeprefix("base_model.model.")
    ranks, alphas = config.rank_pattern or {}, config.alpha_pattern or {}
    r = ranks.get(get_pattern_key(ranks.keys(), name), config.r)
    alpha = alphas.get(get_pattern_key(alphas.keys(), name), config.lora_alpha)
    return float(alpha / math.sqrt(r) if config.use_rslora else alpha / r)


def _square(config: LoraConfig, layer: str, down: Tensor, up: Tensor) -> float:
    """Return ‖s·B·A‖², from the small products alone."""
    gram = (up.double().T @ up.double()) @ (down.double() @ down.double().T)
    return float(_scaling(config, layer) ** 2 * gram.trace())


def _reduction(before: int, rank: int, lost: Mapping[str, float], whole: Mapping[str, float]) -> Reduction:
    shares = {layer: lost[layer] / whole[layer] if whole[layer] > 0 else 0.0 for layer in lost}
    worst = max(shares, key=lambda layer: shares[layer])
    total = sum(whole.values())
    overall = sum(lost.values()) / total if total > 0 else 0.0
    return Reduction(before, rank, math.sqrt(overall), math.sqrt(shares[worst]), worst)
