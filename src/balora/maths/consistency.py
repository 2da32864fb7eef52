"""Compute how far the tuned model's outputs F are from those of the frozen pre-trained model P (consistency)."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from balora.errors import InputError
from balora.maths.precision import accurate


def consistency_kl(
    student: Float[Tensor, "N D"], reference: Float[Tensor, "N D"], temperature: float = 1.0
) -> Float[Tensor, ""]:
    """Return the divergence of the student's softened distribution from the reference's.

    T²/N · Σ_n KL(softmax(P_n/T) ‖ softmax(F_n/T)), in nats. T² undoes the effect of T on the gradient's size.

    Args:
        student: F, logits of the model being tuned.
        reference: P, logits of the frozen model; no gradient flows into it.
        temperature: T > 0.

    Raises:
        InputError: T that is not a positive number, or no rows.

    Source: BA-LoRA (arXiv 2408.04556), L_CR of both ICLR 2026 formulations; T = 1 gives the arXiv v5 NLG form.
    """
    if not 0 < temperature < math.inf:
        raise InputError(f"`temperature` must be > 0 and finite, got {temperature}")
    _some_rows(student)
    log_f = F.log_softmax(accurate(student) / temperature, dim=-1)
    log_p = F.log_softmax(accurate(reference.detach()) / temperature, dim=-1)
    # 0·log 0 = 0: what the reference rules out (logit −∞) adds nothing, even where the student rules it out too.
    gap = (log_p - log_f).masked_fill(log_p.isneginf(), 0.0)
    return temperature**2 * (log_p.exp() * gap).sum(dim=-1).mean()


def consistency_mse(
    student: Float[Tensor, "N D"], reference: Float[Tensor, "N D"], normalize: bool = True
) -> Float[Tensor, ""]:
    """Return the mean squared error between the rows of the two models' logits, each scaled to unit length.

    1/(N·D) · Σ_n ‖F_n/‖F_n‖₂ − P_n/‖P_n‖₂‖². A row of zeros stays zero and passes no gradient.

    Args:
        student: F, logits of the model being tuned.
        reference: P, logits of the frozen model; no gradient flows into it.
        normalize: scale rows first. With a single output a scaled row is only a sign: pass False there.

    Raises:
        InputError: no rows.

    Source: BA-LoRA (arXiv 2408.04556v5), L_CR of the NLU formulation.
    """
    _some_rows(student)
    f, p = accurate(student), accurate(reference.detach())
    if normalize:
        f, p = _unit_rows(f), _unit_rows(p)
    return F.mse_loss(f, p)


def _unit_rows(rows: Tensor) -> Tensor:
    # A row whose squares vanish counts as zero; the division by 1 makes its gradient zero, not infinite or nan.
    zero = torch.linalg.vector_norm(rows.detach(), dim=-1, keepdim=True) == 0
    safe = rows.masked_fill(zero, 1.0)
    unit: Tensor = safe / torch.linalg.vector_norm(safe, dim=-1, keepdim=True)
    return unit.masked_fill(zero, 0.0)


def _some_rows(logits: Tensor) -> None:
    if logits.shape[0] == 0:
        raise InputError("a mean over no rows is undefined: got logits with 0 rows")
