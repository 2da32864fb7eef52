"""Compute how far outputs have collapsed onto a few directions or a few tokens (diversity)."""

import torch
from jaxtyping import Float
from torch import Tensor

from balora.errors import InputError
from balora.maths.precision import accurate


def diversity_covariance(logits: Float[Tensor, "N D"]) -> Float[Tensor, ""]:
    """Return the squared off-diagonal covariance of the outputs over the batch.

    (1/D) · Σ_{i≠j} C_ij², C = Z_cᵀZ_c/(N−1), Z_c the logits with their column means taken off.

    Args:
        logits: Z, one row an example.

    Raises:
        InputError: fewer than two rows, for which a covariance is undefined.

    Source: BA-LoRA (arXiv 2408.04556), L_DR of the NLU formulation, both editions.

    Note:
        For D > N the D×D matrix is never built: Σ_ij C_ij² = ‖Z_c Z_cᵀ‖²_F/(N−1)².
    """
    if len(logits) < 2:
        raise InputError(f"a covariance needs at least 2 rows, got {len(logits)}: leave this term out of such a batch")
    with torch.autocast(logits.device.type, enabled=False):  # which would multiply in half precision
        return _off_diagonal(accurate(logits))


def _off_diagonal(z: Tensor) -> Tensor:
    rows, outputs = z.shape
    z = z - z.mean(dim=0)
    if outputs <= rows:
        covariance = z.mT @ z / (rows - 1)
        return (covariance - torch.diag(covariance.diagonal())).square().sum() / outputs
    every = (z @ z.mT / (rows - 1)).square().sum()
    diagonal = (z.square().sum(dim=0) / (rows - 1)).square().sum()
    return (every - diagonal) / outputs


def diversity_entropy(logits: Float[Tensor, "N V"], top_k: int | None = None) -> Float[Tensor, ""]:
    """Return minus the mean entropy of the predicted distributions.

    −(1/N)·Σ_n H(p_n) with p = softmax(Z), in nats; with ``top_k`` = K, p holds only the K largest probabilities of
    the row, renormalised to sum to one (which is the softmax of the K largest logits).

    Args:
        logits: Z, one row a token position.
        top_k: K, from 1 to V; None means the whole vocabulary.

    Raises:
        InputError: no rows, or K outside 1…V.

    Source: BA-LoRA (arXiv 2408.04556), L_DR of the NLG formulation: v5 whole vocabulary, ICLR 2026 top K.
    """
    rows, outputs = logits.shape
    if rows == 0:
        raise InputError("a mean over no rows is undefined: got logits with 0 rows")
    if top_k is not None and not 1 <= top_k <= outputs:
        raise InputError(f"`top_k` must be between 1 and V = {outputs}, got {top_k}: lower it")
    z = accurate(logits)
    if top_k is not None:
        z = z.topk(top_k, dim=-1).values
    log_p = torch.log_softmax(z, dim=-1)
    # 0·log 0 = 0: a masked token (logit −∞) carries no entropy. Masked before the product, whose gradient is nan there.
    return (log_p.exp() * log_p.masked_fill(log_p.isneginf(), 0.0)).sum(dim=-1).mean()
