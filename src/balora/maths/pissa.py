"""PiSSA's start: the principal singular vectors of a weight as low-rank factors."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from balora.errors import InputError

OVERSAMPLING, POWER_ITERATIONS = 16, 8


def pissa_factors(
    weight: Float[Tensor, "out in"],
    rank: int,
    scaling: float = 1.0,
    method: Literal["exact", "randomized"] = "exact",
    generator: Generator | None = None,
) -> tuple[Float[Tensor, "rank in"], Float[Tensor, "out rank"]]:
    """Return (A0, B0) such that scaling·B0·A0 is the best approximation of W with the given rank.

    W = U S Vᵀ, B0 = U_r (S_r/scaling)^½, A0 = (S_r/scaling)^½ V_rᵀ. The factors for a smaller rank are a prefix of
    these (``exact``). Signs are fixed (the largest entry of each column of U is positive): the same W gives the same
    factors.

    Args:
        weight: W, out×in; computed with in float64 (`exact`) or float32 (`randomized`), returned in float32 at least.
        rank: r, from 1 to min(out, in).
        scaling: s of the adapter that will use the factors, > 0.
        method: ``exact`` singular value decomposition, or ``randomized`` subspace iteration (8 power iterations,
            16 extra columns), whose residual is within 1e-3 of the best one in norm; it needs a generator.
        generator: source of the random start of ``randomized``; the global random state is never touched.

    Raises:
        InputError: rank or scaling out of range, non-finite weights, an unknown method, ``randomized`` without a
            generator.

    Source: PiSSA (arXiv 2404.02948), equations 2-4; Halko et al. (arXiv 0909.4061), algorithm 4.4 for ``randomized``.
    """
    limit = min(weight.shape)
    if not 1 <= rank <= limit:
        raise InputError(f"`rank` must be between 1 and min(out, in) = {limit}, got {rank}: lower it")
    if not 0 < scaling < math.inf:
        raise InputError(f"`scaling` must be > 0 and finite, got {scaling}")
    if method not in ("exact", "randomized"):
        raise InputError(f"`method` must be 'exact' or 'randomized', got {method!r}")
    with torch.no_grad():
        if not weight.isfinite().all():
            raise InputError("the weight holds nan or inf: its singular vectors are undefined")
        if method == "exact":
            U, S, Vt = torch.linalg.svd(weight.double(), full_matrices=False)
        else:
            U, S, Vt = _randomized_svd(weight, rank, generator)
        U, S, Vt = _fix_signs(U[:, :rank], S[:rank], Vt[:rank])
        root = (S / scaling).sqrt()
        dtype = torch.float64 if weight.dtype == torch.float64 else torch.float32
        return (root[:, None] * Vt).to(dtype).contiguous(), (U * root).to(dtype).contiguous()


def _randomized_svd(weight: Tensor, rank: int, generator: Generator | None) -> tuple[Tensor, Tensor, Tensor]:
    if generator is None:
        raise InputError("method 'randomized' draws random numbers: pass a seeded `generator`")
    W = weight if weight.dtype == torch.float64 else weight.float()
    width = min(rank + OVERSAMPLING, *W.shape)
    start = torch.randn(W.shape[1], width, generator=generator, device=generator.device, dtype=W.dtype)
    Q = torch.linalg.qr(W @ start.to(W.device)).Q
    for _ in range(POWER_ITERATIONS):
        Q = torch.linalg.qr(W.mT @ Q).Q
        Q = torch.linalg.qr(W @ Q).Q
    U, S, Vt = torch.linalg.svd(Q.mT @ W, full_matrices=False)
    return Q @ U, S, Vt


def _fix_signs(U: Tensor, S: Tensor, Vt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    largest = U.gather(0, U.abs().argmax(dim=0, keepdim=True))
    sign = torch.where(largest < 0, -1.0, 1.0).to(U.dtype)
    return U * sign, S, Vt * sign.mT
