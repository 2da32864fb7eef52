"""Compute how much of the output matrix lies in its leading singular directions (spectrum)."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from balora.errors import InputError
from balora.maths.precision import accurate


def spectral_ratio(
    logits: Float[Tensor, "N D"], k: int, norm: Literal["nuclear", "frobenius"] = "nuclear"
) -> Float[Tensor, ""]:
    """Return minus the share of the k leading singular values of Z.

    −Σ_{i≤k} σ_i / Σ_j σ_j (nuclear) or −Σ_{i≤k} σ_i / ‖Z‖_F (Frobenius). A zero matrix gives 0.

    Args:
        logits: Z, one row an example or a token position.
        k: how many singular values count; more than min(N, D) counts all of them.
        norm: the denominator.

    Raises:
        InputError: k < 1, no rows, or an unknown norm.

    Source: BA-LoRA (arXiv 2408.04556), L_SVDR: nuclear in v5 and for NLU in ICLR 2026, Frobenius for NLG there.

    Note:
        With k ≥ min(N, D) the nuclear ratio is −1 whatever Z is, and its gradient 0. The Frobenius ratio is −1 for
        rank one and −√k for k equal values: descending it *spreads* the leading values (tests/maths/test_spectrum.py).
    """
    if k < 1:
        raise InputError(f"`k` must be at least 1, got {k}")
    if norm not in ("nuclear", "frobenius"):
        raise InputError(f"`norm` must be 'nuclear' or 'frobenius', got {norm!r}")
    if logits.shape[0] == 0:
        raise InputError("singular values of no rows are undefined: got logits with 0 rows")
    return ratio_of(singular_values(accurate(logits)), k, norm)


def ratio_of(sigma: Float[Tensor, " M"], k: int, norm: Literal["nuclear", "frobenius"]) -> Float[Tensor, ""]:
    """Return minus the ratio of the k leading to all singular values, which are given in descending order."""
    whole = sigma.sum() if norm == "nuclear" else torch.linalg.vector_norm(sigma)
    return -sigma[:k].sum() / whole.clamp_min(torch.finfo(sigma.dtype).tiny)


def singular_values(matrix: Float[Tensor, "N D"]) -> Float[Tensor, " M"]:
    """Return all M = min(N, D) singular values in descending order, differentiable where they repeat or vanish.

    They are the square roots of the eigenvalues of the smaller Gram matrix, in float64; one below 1e-7·σ_1 (half the
    digits of float64, all of float32's) counts as zero. The gradient of Σ g_i σ_i is U·diag(g)·Vᵀ, which needs no
    difference of singular values; zero values pass none.
    """
    sigma: Tensor = _SingularValues.apply(matrix)  # type: ignore[no-untyped-call]
    return sigma


class _SingularValues(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        wide = matrix.shape[0] <= matrix.shape[1]
        gram = _gram(matrix if wide else matrix.mT)
        sigma, vectors = _eigen(gram)
        ctx.wide = wide
        ctx.save_for_backward(matrix, sigma, vectors)
        return sigma.to(matrix.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        matrix, sigma, vectors = ctx.saved_tensors
        # U diag(g) Vᵀ = U diag(g/σ) Uᵀ Z, and the mirror image for tall matrices.
        scale = torch.where(sigma == 0, 0.0, grad.double() / sigma.where(sigma > 0, 1.0))
        mixer = ((vectors * scale) @ vectors.mT).to(matrix.dtype)
        gradient: Tensor = mixer @ matrix if ctx.wide else matrix @ mixer
        return gradient


def _gram(matrix: Tensor, columns: int = 8192) -> Tensor:
    """Return M·Mᵀ in float64, a block of columns at a time, so that M is never held twice."""
    gram = matrix.new_zeros(matrix.shape[0], matrix.shape[0], dtype=torch.float64)
    for block in torch.split(matrix, columns, dim=1):
        block = block.double()
        gram.addmm_(block, block.mT)
    return gram


def _eigen(gram: Tensor) -> tuple[Tensor, Tensor]:
    try:
        values, vectors = torch.linalg.eigh(gram)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        values, vectors = torch.full_like(gram[0], torch.nan), gram
    sigma = values.flip(0).clamp_min(0).sqrt()
    # nan or inf in the input: the values show it, as they do in the other terms, whatever the solver made of it
    broken = gram.sum() * 0
    return sigma.where(sigma > 1e-7 * sigma[0], 0.0) + broken, vectors.flip(1)
