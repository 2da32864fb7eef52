"""The objective on a vocabulary, from hidden states H (N×d) and a frozen head, without the N×V logits.

Terms that are sums over rows (cross-entropy, consistency, entropy) are computed in chunks of rows by
`balora.objective.rowwise`. Terms of the whole matrix need only d×d quantities (method.md §6): the singular values of
Z = H·Wᵀ are those of H·L with L·Lᵀ = WᵀW, and its covariance is W·S·Wᵀ with S = Cov(H).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from balora.maths.precision import accurate
from balora.maths.spectrum import ratio_of, singular_values
from balora.objective.config import ObjectiveConfig
from balora.objective.head import FrozenHead
from balora.objective.readout import PLAIN, Readout
from balora.objective.rowwise import Chunks, row_terms, rowwise_parts


def parts_from_hidden(
    config: ObjectiveConfig,
    head: FrozenHead,
    hidden: Tensor,
    reference: Tensor | None,
    labels: Tensor,
    weights: dict[str, float],
    chunk_bytes: int | None = None,
    label_smoothing: float = 0.0,
    readout: Readout = PLAIN,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return Σ weight·term, differentiable in ``hidden``, and the value of each term named in ``weights``."""
    matrix_terms = {}
    if "spectral" in weights:  # a ratio, so that the scale does not matter
        matrix_terms["spectral"] = ratio_of(spectrum_on_head(hidden, head), config.spectral.k, config.spectral.norm)
    if readout.scale != 1:
        hidden, reference = hidden * readout.scale, None if reference is None else reference * readout.scale
    if "diversity" in weights and config.diversity.form == "covariance":
        matrix_terms["diversity"] = covariance_on_head(hidden, head)
    row_weights = {term: weight for term, weight in weights.items() if term not in matrix_terms}
    loss = hidden.new_zeros((), dtype=accurate(hidden.new_empty(0)).dtype)
    parts = {term: value.detach().to(loss.dtype) for term, value in matrix_terms.items()}
    if row_weights:
        terms = row_terms(config, head, row_weights, label_smoothing, readout.soft_cap)
        chunks = Chunks.of(len(hidden), head.outputs, head.weight, chunk_bytes)
        bias = None if head.bias is None else head.bias * readout.scale
        loss, row_parts = rowwise_parts(hidden, reference, head.weight, bias, labels, terms, chunks)
        parts |= row_parts
    for term, value in matrix_terms.items():
        loss = loss + weights[term] * value.to(loss.dtype)
    return loss, parts


def spectrum_on_head(hidden: Tensor, head: FrozenHead) -> Tensor:
    """Return the singular values of Z = H·Wᵀ + 1·bᵀ (min(N, d) of them, the others are 0), in float64."""
    h = hidden.double()
    if head.bias is not None:
        h = torch.cat([h, h.new_ones(len(h), 1)], dim=1)
    return singular_values(h @ head.root())


def covariance_on_head(hidden: Tensor, head: FrozenHead) -> Tensor:
    """Return (1/V)·Σ_{i≠j} C_ij² of the logits: (tr(S·G·S·G) − Σ_v (w_vᵀ·S·w_v)²)/V; a bias changes nothing."""
    h = hidden.double()
    h = h - h.mean(dim=0)
    S = h.mT @ h / (len(h) - 1)
    SG = S @ head.gram()
    diagonal: Tensor = _DiagonalSquares.apply(S, head.weight)  # type: ignore[no-untyped-call]
    return ((SG * SG.mT).sum() - diagonal) / head.outputs


class _DiagonalSquares(torch.autograd.Function):
    """Σ_v (w_vᵀ·S·w_v)², its gradient 2·Σ_v (w_vᵀ·S·w_v)·w_v·w_vᵀ gathered in the same pass over W."""

    @staticmethod
    def forward(ctx: Any, S: Tensor, weight: Tensor, rows: int = 4096) -> Tensor:
        total = S.new_zeros(())
        gradient = torch.zeros_like(S)
        for block in torch.split(weight, rows):
            w = block.to(S.dtype)
            variances = ((w @ S) * w).sum(dim=1)
            total += variances.square().sum()
            gradient.addmm_(w.mT, w * variances[:, None], alpha=2.0)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None, None
