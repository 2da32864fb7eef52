"""Sums over rows of logits in chunks, with dL/dZ written by hand and folded into dL/dH at once.

A chunk of n rows costs three products with W: the student's logits, the reference's, and the gradient. Nothing larger
than a few n×V buffers lives at any time, whatever N is.
"""

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from balora.maths.precision import accurate
from balora.objective.config import ObjectiveConfig
from balora.objective.editions import ConsistencyForm
from balora.objective.head import FrozenHead
from balora.objective.terms import top_k_of

BUFFERS = 5
"""n×V buffers alive at once in a chunk: logits, probabilities and gradient of one model, two of the other."""

CPU_ROWS, CPU_BYTES = 64, 4 * 2**20

LEAST = -1e30
"""The logarithm of a probability that is 0: finite, so that 0·log 0 is 0, while nan still comes through."""


class Rowwise(NamedTuple):
    """What is summed: a weight for each term (0: not computed), and how many rows a chunk has."""

    task: float
    consistency: float
    diversity: float
    form: ConsistencyForm
    temperature: float
    top_k: int | None
    rows: int
    smoothing: float = 0.0
    """ε of the cross-entropy, −(1 − ε)·log p_y − (ε/V)·Σ_v log p_v."""

    @classmethod
    def of(
        cls,
        config: ObjectiveConfig,
        outputs: int,
        weights: dict[str, float],
        chunk_bytes: int,
        like: Tensor,
        smoothing: float = 0.0,
    ) -> Self:
        """Read ``config`` and choose the rows of a chunk: its buffers take at most ``chunk_bytes``.

        On the CPU products gain nothing from more than some dozen rows, and small buffers stay in the caches.
        """
        row_bytes = BUFFERS * like.element_size() * outputs
        rows = chunk_bytes // row_bytes
        if like.device.type == "cpu":
            rows = min(rows, max(CPU_ROWS, CPU_BYTES // row_bytes))
        return cls(
            task=weights.get("task", 0.0),
            consistency=weights.get("consistency", 0.0),
            diversity=weights.get("diversity", 0.0),
            form=config.consistency.form,
            temperature=config.consistency.temperature,
            top_k=top_k_of(config, outputs) if "diversity" in weights else None,
            rows=max(1, rows),
            smoothing=smoothing,
        )


def rowwise_parts(
    hidden: Tensor, reference: Tensor | None, head: FrozenHead, labels: Tensor, settings: Rowwise
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return Σ weight·term over the chosen terms, differentiable in ``hidden``, and each term's mean over the rows."""
    loss, *values = _RowwiseLoss.apply(hidden, reference, head.weight, head.bias, labels, settings)  # type: ignore[no-untyped-call]
    names = ("task", "consistency", "diversity")
    return loss, {name: value for name, value in zip(names, values, strict=True) if getattr(settings, name)}


class _RowwiseLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        reference: Tensor | None,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        settings: Rowwise,
    ) -> tuple[Tensor, ...]:
        N = len(hidden)
        dtype = accurate(hidden.new_empty(0)).dtype
        sums = torch.zeros(3, dtype=torch.float64, device=hidden.device)
        gradient = torch.empty_like(hidden, dtype=dtype) if ctx.needs_input_grad[0] else None
        for start in range(0, N, settings.rows):
            rows = slice(start, start + settings.rows)
            z = _logits(hidden[rows], weight, bias)
            z_ref = _logits(reference[rows], weight, bias) if settings.consistency and reference is not None else None
            chunk, dz = chunk_terms(z, z_ref, labels[rows], settings)
            sums += torch.stack(chunk).double()
            if gradient is not None:
                # divided by N after the product: before, small probabilities would vanish in half precision
                gradient[rows] = (dz.to(weight.dtype) @ weight).to(dtype) / N
        ctx.gradient, ctx.hidden_dtype = gradient, hidden.dtype
        values = (sums / N).to(dtype)
        weights = values.new_tensor([settings.task, settings.consistency, settings.diversity])
        loss = torch.dot(values, weights)
        parts = values.unbind()
        ctx.mark_non_differentiable(*parts)
        return loss, *parts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        # The gradient was made in the forward pass; for the usual grad = 1 no copy is needed, but asking would sync.
        gradient = None if ctx.gradient is None else (ctx.gradient * grad).to(ctx.hidden_dtype)
        return gradient, None, None, None, None, None


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return accurate(torch.nn.functional.linear(hidden.to(weight.dtype), weight, bias))


def chunk_terms(
    z: Tensor, z_ref: Tensor | None, labels: Tensor, settings: Rowwise
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Return the sums over rows of (cross-entropy, consistency, −entropy) and d(Σ weight·sum)/dZ (n×V)."""
    zero = z.new_zeros(())
    log_p = torch.log_softmax(z, dim=-1)
    target = labels[:, None]
    eps = settings.smoothing
    cross_entropy = -log_p.gather(1, target).sum() if settings.task else zero
    if settings.task and eps:
        cross_entropy = (1 - eps) * cross_entropy - eps * log_p.mean(dim=-1).sum()
    p = log_p.clamp_min_(LEAST).exp()
    minus_entropy, dz = zero, None
    if settings.diversity and settings.top_k is None:
        row = (p * log_p).sum(dim=-1, keepdim=True)
        minus_entropy = row.sum()
        dz = log_p.sub_(row).mul_(settings.diversity).mul_(p)
    if settings.task:
        dz = p.mul_(settings.task) if dz is None else dz.add_(p, alpha=settings.task)
        dz.scatter_add_(1, target, torch.full_like(target, -settings.task * (1 - eps), dtype=dz.dtype))
        if eps:
            dz.sub_(settings.task * eps / z.shape[-1])
    if dz is None:
        dz = torch.zeros_like(z)
    if settings.diversity and settings.top_k is not None:
        minus_entropy = _add_top_k_entropy(z, settings.top_k, settings.diversity, dz)
    consistency = zero
    if settings.consistency and z_ref is not None:
        if settings.form == "kl":
            consistency = _add_kl(z, z_ref, settings.temperature, settings.consistency, dz)
        else:
            consistency = _add_mse(z, z_ref, settings.consistency, dz)
    return (cross_entropy, consistency, minus_entropy), dz


def _add_top_k_entropy(z: Tensor, top_k: int, weight: float, dz: Tensor) -> Tensor:
    values, index = z.topk(top_k, dim=-1)
    log_p = torch.log_softmax(values, dim=-1).clamp_min_(LEAST)
    p = log_p.exp()
    row = (p * log_p).sum(dim=-1, keepdim=True)
    dz.scatter_add_(1, index, weight * p * (log_p - row))
    return row.sum()


def _add_kl(z: Tensor, z_ref: Tensor, T: float, weight: float, dz: Tensor) -> Tensor:
    log_q = torch.log_softmax(z / T if T != 1 else z, dim=-1).clamp_min_(LEAST)
    log_ref = torch.log_softmax(z_ref.div_(T), dim=-1).clamp_min_(LEAST)
    ref = log_ref.exp()
    # KL = Σ ref·(log ref − log q); its gradient by z is (q − ref)/T, and T² stands before the whole
    total = T**2 * log_ref.sub_(log_q).mul_(ref).sum()
    dz.add_(log_q.exp_().sub_(ref), alpha=weight * T)
    return total


def _add_mse(z: Tensor, z_ref: Tensor, weight: float, dz: Tensor) -> Tensor:
    V = z.shape[-1]
    length = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    inverse = torch.where(length > 0, 1 / length, 0.0)
    u = z * inverse
    length_ref = torch.linalg.vector_norm(z_ref, dim=-1, keepdim=True)
    v = z_ref.mul_(torch.where(length_ref > 0, 1 / length_ref, 0.0))
    total = (u - v).square_().sum() / V
    dz.add_(u.mul_((u * v).sum(dim=-1, keepdim=True)).sub_(v).mul_(inverse), alpha=2 * weight / V)
    return total
