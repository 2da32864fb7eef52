"""Rescale the λ of swapped terms so that each starts with the gradient of its family's own formula.

Ablation B changes formulas, and with them the size of gradients: a swapped term might win or lose by its size alone.
With ``matching: gradient`` its weight becomes λ·‖∇own‖/‖∇swapped‖, measured on the first batches before training.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from balora.objective import Objective, ObjectiveConfig
from balora.training.counted_rows import collated
from balora.training.loss import ModelLoss, gradient_norms
from balora.training.rows import Rows

NUDGE = 0.01
"""At the start student and reference are equal and consistency's gradient is 0 in every form. It is compared a step
away from there: at outputs moved by seeded noise of this share of their standard deviation."""

MATCHING_BATCHES = 4
"""From how many of the first batches of a training λ is set."""


def first_batches(trainer: Any) -> list[dict[str, Any]]:
    """Return the first :data:`MATCHING_BATCHES` batches of a trainer's rows in their own order, on its device.

    They are not those that the shuffled training begins with, so every process, and every start, finds the same ones.
    """
    size = trainer.args.train_batch_size
    count = min(len(trainer.train_dataset), size * MATCHING_BATCHES)
    places = [range(start, min(start + size, count)) for start in range(0, count, size)]
    return [trainer._prepare_inputs(dict(collated(trainer, place))) for place in places]


def matched_config(
    loss: ModelLoss, batches: Iterable[Mapping[str, Any]], seed: int
) -> tuple[ObjectiveConfig, list[str]]:
    """Return the objective with matched weights, and a note for each term that names the change.

    Args:
        loss: the model's loss under the swapped formulation, before training.
        batches: a few batches of training rows on the model's device.
        seed: of the noise by which consistency is compared.
    """
    swapped = loss.config
    own = type(swapped).preset("ba-lora", family=swapped.family, edition=swapped.edition)
    generator = torch.Generator().manual_seed(seed)
    acting = {name: term for name, term in swapped.terms().items() if term.weight > 0}
    sizes = {(term, name): 0.0 for term in acting for name in ("own", "swapped")}
    for batch in batches:
        with torch.no_grad():
            rows, _, labels = loss.read(loss.model, batch)
        for term in acting:
            for name, config in (("own", own), ("swapped", swapped)):
                state = generator.get_state()
                found = gradient_sizes(loss, alone(config, term), rows, labels, generator, NUDGE)
                sizes[term, name] += sum(size for part, size in found.items() if part != "task")
                generator.set_state(state)  # both forms see the same noise
    changes, notes = {}, []
    for term, settings in acting.items():
        after, note = _weight(term, settings.weight, sizes[term, "own"], sizes[term, "swapped"])
        changes[term] = settings.replace(weight=after)
        notes.append(note)
    return swapped.replace(**changes), notes


def _weight(term: str, before: float, own: float, swapped: float) -> tuple[float, str]:
    if not math.isfinite(own + swapped):
        return before, f"matching: the {term} term's gradient is not finite, its λ stays {before:g}"
    if swapped == 0:
        return before, f"matching: the swapped {term} term has no gradient here, its λ stays {before:g}"
    after = before * own / swapped
    if own == 0:
        return 0.0, f"matching: the family's own {term} term has no gradient here, so the swapped one gets λ = 0"
    return after, f"matching: λ of the swapped {term} term is {after:.3g} instead of {before:g}"


def alone(config: ObjectiveConfig, term: str) -> ObjectiveConfig:
    """Return ``config`` with ``term`` alone, at weight 1 from the first step on; `task`: with none.

    Every process measures it on the same rows, so it is computed from its own.
    """
    weights = {
        name: other.replace(weight=float(name == term), share=None, schedule="constant")
        for name, other in config.terms().items()
    }
    return config.replace(matching="none", scope="process", **weights)


def gradient_sizes(
    loss: ModelLoss,
    config: ObjectiveConfig,
    rows: Rows,
    labels: Tensor,
    generator: torch.Generator,
    distance: float,
) -> dict[str, float]:
    """Return ‖∂task/∂H‖ and λ·‖∂term/∂H‖ of each term of ``config`` on one batch, the reference being the model itself.

    H: the hidden states of ``rows``. Where they hold logits, H is the backbone's last hidden state if they have a graph
    to it, or else the logits. If ``config`` has consistency, the outputs are moved by noise of ``distance`` times their
    standard deviation.
    """
    objective = Objective(config, label_smoothing=loss.objective.label_smoothing)
    outputs = rows.hidden if rows.hidden is not None else rows.logits
    assert outputs is not None
    student, reference = outputs.float(), outputs.detach().float()
    noise = torch.randn(reference.shape, generator=generator).to(reference.device)
    if config.needs_reference and reference.numel() > 1:
        student = student + distance * reference.std() * noise
    if rows.hidden is not None:
        reader = loss.causal_rows()
        gradients = objective.gradients_from_hidden(student, reference, reader.head, labels, readout=reader.readout)
        norms = {name: torch.linalg.vector_norm(gradient) for name, gradient in gradients.items()}
    else:
        at = rows.at if rows.at is not None and rows.at.requires_grad else None
        student = student if at is not None else student.detach().requires_grad_()
        norms = gradient_norms(objective.from_logits(student, reference, labels), student if at is None else at)
    return {name: float(norm) for name, norm in norms.items()}
