"""Compute PiSSA's start: the principal singular vectors of a weight as low-rank factors."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from balora.errors import InputError
from balora.maths.triplets import Triplets, leading_triplets

VERSION = 1
"""Version of what `pissa_factors` computes, part of a cache's key: raise it whenever a digit may change."""
OVERSAMPLING, POWER_ITERATIONS = 16, 8

Factors = tuple[Float[Tensor, "rank in"], Float[Tensor, "out rank"]]
"""(A0, B0)."""


def pissa_factors(
    weight: Float[Tensor, "out in"],
    rank: int,
    scaling: float = 1.0,
    method: Literal["exact", "randomized"] = "exact",
    generator: Generator | None = None,
) -> Factors:
    """Return (A0, B0) such that scaling·B0·A0 is the best approximation of W with the given rank.

    W = U S Vᵀ, B0 = U_r (S_r/scaling)^½, A0 = (S_r/scaling)^½ V_rᵀ. The factors for a smaller rank are a prefix of
    these (``exact``; up to rounding, and among equal singular values up to a rotation). Signs are fixed (the largest
    entry of each column of U is positive): the same W gives the same factors.

    Args:
        weight: W, out×in; computed with in float64 (`exact`) or float32 (`randomized`), returned in float32 at least.
        rank: r, from 1 to min(out, in).
        scaling: s of the adapter that will use the factors, > 0.
        method: ``exact`` singular triplets, ‖Wᵀuᵢ − σᵢvᵢ‖ ≤ 1e-10·σ₁ before they are rounded, whichever way they are
            computed (:mod:`balora.maths.triplets`; its random start has a seed of its own), or ``randomized`` subspace
            iteration (8 power iterations, 16 extra columns), whose residual is within 1e-3 of the best one in norm; it
            needs a generator.
        generator: source of the random start of ``randomized``; the global random state is never touched.

    Raises:
        InputError: rank or scaling out of range, non-finite weights, an unknown method, ``randomized`` without a
            generator.

    Source: PiSSA (arXiv 2404.02948), equations 2-4; Halko et al. (arXiv 0909.4061), algorithm 4.4 for ``randomized``.
    """
    refuse_unfit(weight, rank, scaling)
    if method not in ("exact", "randomized"):
        raise InputError(f"`method` must be 'exact' or 'randomized', got {method!r}")
    with torch.no_grad():
        W, unit = near_one(weight)
        double = weight.dtype == torch.float64
        if method == "exact":
            triplets = leading_triplets(W, rank, digits_beyond_float32=double)
        else:
            triplets = _randomized_triplets(W if double else W.float(), rank, generator)
        return part_of(balanced_factors(triplets, unit, kept_in(weight)), rank, scaling)


def refuse_unfit(weight: Tensor, rank: int, scaling: float) -> None:
    """Raise InputError unless a start of this rank and scaling can be computed from ``weight``."""
    limit = min(weight.shape)
    if not 1 <= rank <= limit:
        raise InputError(f"`rank` must be between 1 and min(out, in) = {limit}, got {rank}: lower it")
    if not 0 < scaling < math.inf:
        raise InputError(f"`scaling` must be > 0 and finite, got {scaling}")
    if not weight.isfinite().all():
        raise InputError("the weight holds nan or inf: its singular vectors are undefined")


def kept_in(weight: Tensor) -> torch.dtype:
    """Return the precision of a weight's factors: float64 for float64, else float32."""
    return torch.float64 if weight.dtype == torch.float64 else torch.float32


def balanced_factors(triplets: Triplets, unit: float, dtype: torch.dtype) -> Factors:
    """Return (A, B) = ((u·S)^½ Vᵀ, U (u·S)^½), signs fixed, from singular triplets of W/u."""
    U, S, V = triplets
    U, V = _fix_signs(U, V)
    root = (S * unit).sqrt()
    return (root * V).mT.to(dtype), (root * U).to(dtype)


def part_of(
    factors: tuple[Float[Tensor, "whole in"], Float[Tensor, "out whole"]], rank: int, scaling: float = 1.0
) -> Factors:
    """Return the factors for a rank and a scaling from those for a rank at least as large and scaling 1."""
    A, B = factors
    return (A[:rank] / scaling**0.5).contiguous(), (B[:, :rank] / scaling**0.5).contiguous()


def near_one(weight: Tensor) -> tuple[Tensor, float]:
    """Return W/u in float64 and u, the power of two below W's largest entry: squares neither overflow nor vanish."""
    largest = weight.abs().max().item()
    unit = math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest else 1.0
    return weight.to(torch.float64, copy=True).div_(unit), unit


def _randomized_triplets(W: Tensor, rank: int, generator: Generator | None) -> Triplets:
    if generator is None:
        raise InputError("method 'randomized' draws random numbers: pass a seeded `generator`")
    width = min(rank + OVERSAMPLING, *W.shape)
    start = torch.randn(W.shape[1], width, generator=generator, device=generator.device, dtype=W.dtype)
    Q = torch.linalg.qr(W @ start.to(W.device)).Q
    for _ in range(POWER_ITERATIONS):
        Q = torch.linalg.qr(W.mT @ Q).Q
        Q = torch.linalg.qr(W @ Q).Q
    U, S, Vt = torch.linalg.svd(Q.mT @ W, full_matrices=False)
    return (Q @ U)[:, :rank], S[:rank], Vt[:rank].mT


def _fix_signs(U: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
    largest = U.gather(0, U.abs().argmax(dim=0, keepdim=True))
    sign = torch.where(largest < 0, -1.0, 1.0).to(U.dtype)
    return U * sign, V * sign
