"""Compute the row-wise terms on a tile of logits (n×V), and write d(loss)/dZ over the logits.

Every pass over a tile costs as much as some tens of multiplications per logit, so the code saves passes: one
exponential per model serves all terms, probabilities are divided by their sums only as part of the gradient, and
buffers are reused. Quantities with one value per row (maxima, sums, their logarithms) are in float64.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from balora.maths.precision import accurate
from balora.objective.editions import ConsistencyForm
from balora.objective.topk import topk_by_blocks

LEAST = -1e30
"""The logarithm of a probability that is 0: finite, so that 0·log 0 is 0, while nan still comes through."""

LINES = 64

SCRATCH = 3
"""How many buffers of the size of a tile `tile_terms` works in."""


class RowTerms(NamedTuple):
    """What is summed over rows: a weight for each term (0: not computed) and the parameters of the formulas."""

    task: float
    consistency: float
    diversity: float
    form: ConsistencyForm
    temperature: float
    top_k: int | None
    smoothing: float = 0.0
    """ε of the cross-entropy, −(1 − ε)·log p_y − (ε/V)·Σ_v log p_v."""
    soft_cap: float | None = None
    """c of the logits c·tanh(y/c); None: the logits are y."""
    masked: bool = False
    """Whether logits may be −∞ (through a bias)."""


def tile_terms(y: Tensor, y_ref: Tensor | None, labels: Tensor, terms: RowTerms, scratch: Tensor) -> Tensor:
    """Return the sums over rows of (cross-entropy, consistency, −entropy); ``y`` becomes d(Σ weight·sum)/dy.

    Args:
        y: n×V outputs of the head for the tuned model.
        y_ref: those of the frozen model, overwritten too; None: no consistency.
        labels: n token indices.
        terms: what to compute.
        scratch: SCRATCH×n×V numbers of the type that :func:`accurate` gives logits.
    """
    z, slope = _capped(y, terms.soft_cap)
    z_ref = None if y_ref is None else _capped(y_ref, terms.soft_cap)[0]
    sums = torch.zeros(3, dtype=torch.float64, device=y.device)
    if terms.diversity and terms.top_k is not None:
        values, index = topk_by_blocks(z, terms.top_k)
        peak = values[:, :1]
        sums[2], top = _top_k_entropy(values, terms.diversity)
    else:
        peak, index, top = z.amax(dim=1, keepdim=True), None, None
    if terms.task:
        sums[0] = _below(z, peak, labels, terms.smoothing)
    squared = z_ref is not None and terms.form == "mse"
    if z_ref is not None and squared:
        sums[1] = _mse(z, z_ref, terms.consistency, scratch)
    sums += _softmax_terms(z, None if squared else z_ref, peak, terms, scratch)
    if z_ref is not None and squared:
        z.add_(z_ref)
    if terms.task:
        _subtract_labels(z, labels, terms)
    if index is not None and top is not None:
        z.scatter_add_(1, index, top)
    if slope is not None:
        z.mul_(slope)
    if z is not y:
        y.copy_(z)
    return sums


def _capped(y: Tensor, cap: float | None) -> tuple[Tensor, Tensor | None]:
    """Return the logits z = c·tanh(y/c), over ``y`` if it is accurate, and dz/dy = 1 − (z/c)²."""
    z = accurate(y)
    if cap is None:
        return z, None
    share = torch.tanh(z / cap)
    torch.mul(share, cap, out=z)
    return z, share.square_().neg_().add_(1)


def _below(z: Tensor, peak: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Return Σ (max z − target·z); with Σ log Σ exp(z − max z) it makes the cross-entropy."""
    below = (peak - z.gather(1, labels[:, None])).double().sum()
    if eps:
        below = (1 - eps) * below + eps * (peak - z.mean(dim=1, keepdim=True)).double().sum()
    return below


def _subtract_labels(dz: Tensor, labels: Tensor, terms: RowTerms) -> None:
    certain = terms.task * (1 - terms.smoothing)
    dz.scatter_add_(1, labels[:, None], torch.full_like(labels[:, None], -certain, dtype=dz.dtype))
    if terms.smoothing:
        dz.sub_(terms.task * terms.smoothing / dz.shape[1])


def _softmax_terms(z: Tensor, z_ref: Tensor | None, peak: Tensor, terms: RowTerms, scratch: Tensor) -> Tensor:
    """Return the sums of (Σ log Σ exp(z − max z), KL, −entropy over the vocabulary); ``z`` becomes their gradient."""
    a, e, e_ref = scratch
    sums = torch.zeros(3, dtype=torch.float64, device=z.device)
    T = 1.0 if z_ref is None else terms.temperature
    dtype, pull, entropy = z.dtype, 0.0, bool(terms.diversity) and terms.top_k is None
    if not (z_ref is not None or terms.task or entropy):
        z.zero_()
        return sums
    total = _exponentials(z, peak, T, terms.masked, a, e)
    if z_ref is not None:
        sums[1], ref_total = _kl(z_ref, a, total, T, terms.masked, e_ref)
        pull = terms.consistency * T
    # p at temperature 1, not yet divided by its sum; what held the logits is free now
    p = e if T == 1 else torch.mul(e, e, out=z) if T == 2 else torch.mul(a, T, out=z).exp_()
    p_total = total if T == 1 else _row_sums(p)
    if terms.task:
        sums[0] = p_total.log().sum()
    even = (terms.task + (pull if T == 1 else 0.0)) / p_total
    if entropy:
        # row = Σ p·log p, its gradient p·(log p − row); log p = T·a − log total
        spare = z if z_ref is None or T == 1 else z_ref
        mean = _row_sums(torch.mul(a, p, out=spare)) * (T / p_total)
        sums[2] = (mean - p_total.log()).sum()
        a.mul_((terms.diversity * T / p_total).to(dtype)).add_((even - terms.diversity * mean / p_total).to(dtype))
        torch.mul(p, a, out=z)
    else:
        torch.mul(p, even.to(dtype), out=z)
    if z_ref is not None:
        if T != 1:
            z.addcmul_(e, (pull / total).to(dtype))
        z.addcmul_(e_ref, (-pull / ref_total).to(dtype))
    return sums


def _exponentials(z: Tensor, peak: Tensor, T: float, masked: bool, a: Tensor, e: Tensor) -> Tensor:
    """Write a = (z − max z)/T and e = exp a; return Σ e of each row."""
    torch.add(peak / -T, z, alpha=1 / T, out=a)
    if masked:
        a.clamp_min_(LEAST)
    return _row_sums(torch.exp(a, out=e))


def _kl(z_ref: Tensor, a: Tensor, total: Tensor, T: float, masked: bool, e_ref: Tensor) -> tuple[Tensor, Tensor]:
    """Return T²·Σ KL(reference‖student) and Σ exp of the reference's rows, whose exponentials fill ``e_ref``."""
    ref_total = _exponentials(z_ref, z_ref.amax(dim=1, keepdim=True), T, masked, z_ref, e_ref)
    # log ref − log q = (a_ref − a) − log ref_total + log total
    mean = _row_sums(z_ref.sub_(a).mul_(e_ref)) / ref_total
    return T**2 * (mean - ref_total.log() + total.log()).sum(), ref_total


def _row_sums(x: Tensor) -> Tensor:
    """Return the sums of the rows (n×1) in float64: of LINES numbers each in their own type, which is quick."""
    columns = x.shape[1] // LINES
    lines, rest = x[:, : LINES * columns].view(len(x), LINES, columns), x[:, LINES * columns :]
    return torch.cat([lines.sum(dim=1), rest], dim=1).double().sum(dim=1, keepdim=True)


def _top_k_entropy(values: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Return Σ p·log p over the given logits, renormalised among themselves, and its weighted gradient by them."""
    log_p = torch.log_softmax(values, dim=1).clamp_min_(LEAST)
    p = log_p.exp()
    row = (p * log_p).sum(dim=1, keepdim=True)
    return row.sum(), weight * p * (log_p - row)


def _mse(z: Tensor, z_ref: Tensor, weight: float, scratch: Tensor) -> Tensor:
    """Return Σ ‖u − v‖²/V of the rows over their lengths, u = z/|z|; ``z_ref`` becomes its weighted gradient."""
    u, difference = scratch[0], scratch[1]
    inverse = _inverse_lengths(z)
    torch.mul(z, inverse, out=u)
    v = z_ref.mul_(_inverse_lengths(z_ref))
    total = torch.sub(u, v, out=difference).square_().sum().double() / z.shape[1]
    cosine = torch.mul(u, v, out=difference).sum(dim=1, keepdim=True)
    scale = inverse * (2 * weight / z.shape[1])
    torch.mul(u, cosine * scale, out=difference)
    torch.sub(difference, v.mul_(scale), out=z_ref)
    return total


def _inverse_lengths(z: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(z, dim=1, keepdim=True)
    return torch.where(length == 0, 0.0, 1 / length)  # a row of zeros stays zero; nan comes through
