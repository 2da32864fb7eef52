"""Set the λ of each term with a `share` so that the term starts with this share of the gradient.

With g_t = ‖∂term_t/∂H‖ at λ = 1 and g_0 = ‖∂task/∂H‖ at the last hidden state H, each summed over the first batches,
the share of term t is λ_t·g_t / (g_0 + Σ_u λ_u·g_u), as telemetry records it. For targets s_t of some terms and fixed
λ_u of the others the sum is T = (g_0 + Σ_fixed λ_u·g_u) / (1 − Σ s_t), and λ_t = s_t·T / g_t.

λ is the full weight, which a schedule multiplies. Student and reference are equal at the start, where consistency has
no gradient: it is measured at outputs moved by noise, as in :mod:`balora.training.matching`. Its gradient grows with
the noise, which is therefore as large as a training moves the outputs (:data:`DISTANCE`).
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sized
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from balora.errors import ConfigError, TrainingError
from balora.objective import ObjectiveConfig
from balora.training.loss import ModelLoss
from balora.training.matching import alone, first_batches, gradient_sizes

logger = logging.getLogger(__name__)

DISTANCE = 1.0
"""How far the outputs are moved for consistency, in their standard deviations. At 1 its mean share over a training is
near the target (docs/training.md); at 0.01, which is enough where only a ratio counts, it is many times the target."""


def weights_for_shares(
    sizes: Mapping[str, float], shares: Mapping[str, float], fixed: Mapping[str, float]
) -> dict[str, float]:
    """Return λ_t = s_t·T / g_t of every term with a share, T = (g_0 + Σ_fixed λ_u·g_u) / (1 − Σ s_t).

    Args:
        sizes: g_0 as `task`, and g of every term at λ = 1.
        shares: s of the terms whose λ is sought; their sum is below 1.
        fixed: λ of all other terms.
    """
    rest = sizes["task"] + sum(weight * sizes[name] for name, weight in fixed.items())
    whole = rest / (1 - math.fsum(shares.values()))
    return {name: share * whole / sizes[name] for name, share in shares.items()}


def shared_config(
    loss: ModelLoss,
    batches: Iterable[Mapping[str, Any]],
    seed: int,
    precision: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> tuple[ObjectiveConfig, list[str]]:
    """Return the objective with a λ in place of every share, and a note for each that names both.

    Args:
        loss: the model's loss before training.
        batches: a few batches of training rows on the model's device.
        seed: of the noise by which consistency is measured, and of dropout; the global state is left as it was.
        precision: makes the context in which the model computes, such as autocast.

    Raises:
        TrainingError: the task, or a term with a share, has no finite gradient above 0 on these batches.
    """
    config, batches = loss.config, list(batches)
    terms = config.terms()
    fixed = {name: term.weight for name, term in terms.items() if term.is_on and term.share is None}
    sizes = start_sizes(loss, batches, ("task", *fixed, *config.shares), seed, precision)
    _refuse_unreachable(config.shares, sizes, len(batches))
    weights = weights_for_shares(sizes, config.shares, fixed)
    published = type(config).preset("ba-lora", family=config.family, edition=config.edition).terms()
    notes = [
        f"share: λ of the {name} term is {weights[name]:.3g} for a share of {100 * share:g} % of the gradient on the "
        f"first {len(batches)} batches (published: {published[name].weight:g})"
        for name, share in config.shares.items()
    ]
    changes = {name: terms[name].replace(weight=weight, share=None) for name, weight in weights.items()}
    return config.replace(**changes), notes


def start_sizes(
    loss: ModelLoss,
    batches: Iterable[Mapping[str, Any]],
    names: Iterable[str],
    seed: int,
    precision: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> dict[str, float]:
    """Return Σ ‖∂/∂H‖ over ``batches`` of the task loss (`task`) and of terms at λ = 1, by name.

    The model computes as in training: with its dropout, and at its last hidden state as telemetry reads it.
    """
    sizes = dict.fromkeys(names, 0.0)
    generator = torch.Generator().manual_seed(seed)
    was_training, device = loss.model.training, next(loss.model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        loss.model.train()
        try:
            for batch in batches:
                with precision():
                    rows, _, labels = loss.read(loss.model, batch, catch=True, reference=False)
                state = generator.get_state()
                for name in sizes if len(labels) else ():
                    generator.set_state(state)  # the noise depends on no other term
                    found = gradient_sizes(loss, alone(loss.config, name), rows, labels, generator, DISTANCE)
                    sizes[name] += found.get(name, 0.0)
        finally:
            loss.model.train(was_training)
    return sizes


def _refuse_unreachable(shares: Mapping[str, float], sizes: Mapping[str, float], batches: int) -> None:
    for name, size in sizes.items():
        if not math.isfinite(size) or (size == 0 and name in ("task", *shares)):
            of = name if name in shares else next(iter(shares))
            raise TrainingError(
                f"objective.{of}.share: {100 * shares[of]:g} % of the gradient cannot be reached: the {name} loss has "
                f"{'no' if size == 0 else 'no finite'} gradient on the first {batches} batches: set a weight in its "
                "place, or 0 to switch the term off"
            )


def set_shares(trainer: Any) -> list[str]:
    """Set every λ of a trainer's objective that is given by a share, on the first batches of its data; return notes.

    Raises:
        ConfigError: the rows come as a stream, or FSDP or DeepSpeed share out the model.
        TrainingError: as :func:`shared_config`.
    """
    loss: ModelLoss = trainer.model_loss
    if not loss.config.shares:
        return []
    _refuse_trainer(trainer, next(iter(loss.config.shares)))
    precision = trainer.accelerator.autocast
    loss.objective.config, notes = shared_config(loss, first_batches(trainer), trainer.args.seed, precision)
    for note in notes:
        logger.info("balora: %s", note)
    return notes


def _refuse_trainer(trainer: Any, name: str) -> None:
    way_out = "measure λ in one process and on rows with a length, with shared_config, and give it as the weight"
    if not isinstance(trainer.train_dataset, Sized):
        raise ConfigError(f"objective.{name}.share: streamed rows can be read once, and training needs them: {way_out}")
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise ConfigError(
            f"objective.{name}.share: FSDP and DeepSpeed share out the model at its first step: {way_out}"
        )
