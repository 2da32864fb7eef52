"""Attach an adapter to a model without writing to its weights."""

import os
import warnings
import zlib
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer, check_target_module_exists
from torch import Generator, Tensor, nn
from transformers.pytorch_utils import Conv1D

from balora.adapters.config import AdapterConfig
from balora.adapters.factor_cache import FactorCache
from balora.adapters.factor_progress import OnWeight, with_progress
from balora.adapters.four_bit_codes import keep_codes
from balora.adapters.full_weights import FullWeights, full_weights
from balora.adapters.load_guards import guard_loading
from balora.adapters.offset import ADAPTER, lora_layers, make_offset, refresh_magnitude
from balora.adapters.sharding import refuse_engine, refuse_sharded
from balora.adapters.targets import Targets, find_targets, shape_of
from balora.errors import AdapterError
from balora.maths.starts import random_matched_factors

Factors = dict[str, tuple[Tensor, Tensor]]


def attach(
    model: nn.Module,
    config: AdapterConfig,
    *,
    seed: int = 0,
    on_weight: OnWeight | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> PeftModel:
    """Return ``model`` as a PeftModel with a trainable adapter; the base weights are frozen and not written.

    Every target layer computes (W + ΔW)·x with ΔW = s·(B·A − B0·A0); only A, B (DoRA's magnitude) and the parts named
    in `modules_to_save`, classification heads among them, are trained.

    - `pissa`: A, B start at A0, B0, where s·B0·A0 is the best rank-r part of W. PEFT sees an ordinary LoRA of rank 2r
      (see :mod:`balora.adapters.factors`), so saving, merging and loading are its own.
    - `random-matched`: as `pissa`, with random orthonormal directions in place of W's own; `minor`: as `pissa`, with
      the r smallest singular triplets of W in place of the largest (:mod:`balora.maths.starts`).
    - `standard`: an ordinary LoRA of rank r, B = 0 and A normal with variance 1/in (LoRA, arXiv 2106.09685, §4.1:
      "a random Gaussian initialization for A and zero for B"; the variance: Hayou et al., arXiv 2406.08447, Init[A]).

    Whichever it is, the model computes what it did before, and with the adapter off it *is* the pre-trained model.

    Args:
        model: a model from transformers; wrapped in place, as by PEFT's ``get_peft_model``.
        config: what to attach.
        seed: of the random numbers, if any. Each layer draws from a generator of its own, seeded by this and the
            layer's name, so that the same layer starts alike in models with other targets. The global random state
            is neither read nor changed.
        on_weight: called with the weights done and their number, if it takes long; none: a progress bar on a terminal.
        weights: folder (or name in the Hub's cache) with the full-precision weights of a quantised base, from which its
            factors are computed, layer by layer; none: what the base was loaded from, where that holds them, and else
            the dequantised weights, with a warning (:mod:`balora.adapters.full_weights`).

    Factors are computed on the device of each weight. Those of large weights are cached on disk
    (:mod:`balora.adapters.factor_cache`) and shared by the ranks named to :func:`balora.adapters.ranks.ranks_up_to`.

    Raises:
        AdapterError: the model already has an adapter, the configuration does not fit it, or a forward pass has changed
            its four-bit weights (:mod:`balora.adapters.four_bit_codes`). The model is unchanged.
    """
    if isinstance(model, PeftModel) or any(isinstance(module, BaseTunerLayer) for module in model.modules()):
        raise AdapterError(
            f"the model already has an adapter ({type(model).__name__}): attach to the base model, or get it back "
            "with `.unload()` first"
        )
    refuse_engine(model)
    refuse_sharded(model.parameters(), "given an adapter", "attach first, and shard or wrap the attached model")
    keep_codes(model)
    targets = find_targets(model, config)
    lora = _lora_config(model, config, targets)
    with full_weights(model, weights) as full:
        factors = _starting_factors(full, config, targets, lora.lora_alpha / lora.r, seed, on_weight)
    adapted = _with_factors(model, config, lora, factors)
    guard_loading(adapted)
    return adapted.train(model.training)


def attach_shapes(model: nn.Module, config: AdapterConfig) -> PeftModel:
    """Return ``model``, which has shapes and no values (device `meta`), with the adapter that `attach` would give it.

    Raises:
        AdapterError: the configuration does not fit the model.
    """
    targets = find_targets(model, config)
    shapes = {name: shape_of(model.get_submodule(name)) for name in targets.layers}
    with torch.device("meta"):
        factors = {
            name: (torch.zeros(config.rank, columns), torch.zeros(rows, config.rank))
            for name, (rows, columns) in shapes.items()
        }
    adapted = _with_factors(model, config, _lora_config(model, config, targets), factors)
    return adapted.to("meta").train(model.training)


def _with_factors(model: nn.Module, config: AdapterConfig, lora: LoraConfig, factors: Factors) -> PeftModel:
    adapted = _wrap_with_peft(model, lora)
    if config.in_offset_form:
        make_offset(adapted, factors)
    else:
        _start_plain_lora(adapted, factors)
    return adapted


def _lora_config(model: nn.Module, config: AdapterConfig, targets: Targets) -> LoraConfig:
    """Return the configuration of the plain LoRA that PEFT builds; checked to select exactly the intended layers."""
    rank = 2 * config.rank if config.in_offset_form else config.rank
    # s = alpha/rank for PEFT, whatever the variant: rank-stabilised LoRA differs in nothing but this number
    alpha = config.scaling * rank
    lora = LoraConfig(
        r=rank,
        lora_alpha=int(alpha) if alpha == int(alpha) else alpha,
        target_modules=list(targets.patterns),
        modules_to_save=list(targets.full) or None,
        lora_dropout=config.dropout,
        use_dora=config.variant == "dora",
        fan_in_fan_out=all(isinstance(model.get_submodule(name), Conv1D) for name in targets.layers),
        task_type=targets.task_type,
    )
    selected = [name for name, _ in model.named_modules() if name and check_target_module_exists(lora, name)]
    saved = [name for name, _ in model.named_modules() if name and name.endswith(targets.full)]
    for kind, found, meant in (("adapt", selected, targets.layers), ("save", saved, targets.full)):
        stray = sorted(set(found) ^ set(meant))
        if stray:
            raise AdapterError(
                f"PEFT cannot separate {stray[0]} from the modules to {kind}, which it selects by the ends of their "
                "names: list `target_modules` and `modules_to_save` by longer names"
            )
    return lora


def _starting_factors(
    full: FullWeights,
    config: AdapterConfig,
    targets: Targets,
    scaling: float,
    seed: int,
    on_weight: OnWeight | None,
) -> Factors:
    """Return (A, B) at the start of every target layer: r×in and out×r, on the device of its weight."""
    cache = FactorCache()
    names = with_progress(targets.layers, on_weight)
    return {name: _start(full, name, config, scaling, seed, cache) for name in names}


def _start(
    full: FullWeights, name: str, config: AdapterConfig, scaling: float, seed: int, cache: FactorCache
) -> tuple[Tensor, Tensor]:
    """Return (A, B) at the start of one layer."""
    layer: Any = full.model.get_submodule(name)
    generator = _generator(seed, name)
    if config.init == "standard":
        rows, columns = shape_of(layer)
        A = torch.randn(config.rank, columns, generator=generator) / columns**0.5
        return A, torch.zeros(rows, config.rank)
    method = "minor" if config.init == "minor" else config.svd
    start = cache.factors(full.of(layer, name), config.rank, scaling, method, generator)
    if config.init == "random-matched":
        # drawn afresh: a randomized SVD uses its generator only where its factors do not lie in the cache
        return random_matched_factors(start, _generator(seed, name))
    if config.init == "minor" and not start[0].any():
        raise AdapterError(
            f"the {config.rank} smallest singular values of layer {name} are zero to rounding, so that an adapter "
            "with init 'minor' could never move: raise `rank`, leave this layer out of `target_modules`, or choose "
            "another `init`"
        )
    return start


def _generator(seed: int, name: str) -> Generator:
    return Generator().manual_seed(zlib.crc32(f"{seed}/{name}".encode()))


def _wrap_with_peft(model: nn.Module, lora: LoraConfig) -> PeftModel:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", "fan_in_fan_out is set to", UserWarning)  # set layer by layer, correctly
        return get_peft_model(model, lora, adapter_name=ADAPTER)


def _start_plain_lora(model: PeftModel, factors: Factors) -> None:
    for name, layer in lora_layers(model.get_base_model()).items():
        for own, start in zip((layer.lora_A, layer.lora_B), factors[name], strict=True):
            with torch.no_grad():
                own[ADAPTER].weight.copy_(start)
        refresh_magnitude(layer, ADAPTER)
