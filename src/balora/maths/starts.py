"""Compute the starts that PiSSA's is compared with: a weight's smallest components, and random directions."""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from balora.maths.pissa import Factors, balanced_factors, kept_in, near_one, part_of, refuse_unfit

MINOR_VERSION = 1
"""Version of what `minor_factors` computes, part of a cache's key: raise it whenever a digit may change."""


def minor_factors(weight: Float[Tensor, "out in"], rank: int, scaling: float = 1.0) -> Factors:
    """Return (A0, B0) such that scaling·B0·A0 is the part of W with its r smallest singular values, smallest first.

    W = U S Vᵀ, B0 = U_{-r} (S_{-r}/scaling)^½, A0 = (S_{-r}/scaling)^½ V_{-r}ᵀ, from the full decomposition in float64:
    the Gram matrix squares the singular values, and Krylov spaces and randomized decompositions find the largest. The
    factors for a smaller rank are a prefix of these. Signs are fixed as in `pissa_factors`. A singular value that is
    zero to rounding (:func:`rounding_of`) counts as zero, and so do its row of A0 and its column of B0.

    Args:
        weight: W, out×in; the factors are in float32 at least.
        rank: r, from 1 to min(out, in).
        scaling: s of the adapter that will use the factors, > 0.

    Raises:
        InputError: rank or scaling out of range, or non-finite weights.

    Source: MiLoRA (arXiv 2406.09044), section 3, which trains W_m = (U_m S_m^½)(S_m^½ V_mᵀ).
    Note: MiLoRA writes W − W_m to the base; `scaling` divides as in PiSSA (`test_starts.py` tests both).
    """
    refuse_unfit(weight, rank, scaling)
    with torch.no_grad():
        W, unit = near_one(weight)
        U, S, Vt = torch.linalg.svd(W, full_matrices=False)
        S = torch.where(rounding_of(S[0].item(), sum(W.shape), kept_in(weight)) < S, S, 0.0)
        smallest = U.flip(1)[:, :rank], S.flip(0)[:rank], Vt.flip(0)[:rank].mT
        return part_of(balanced_factors(smallest, unit, kept_in(weight)), rank, scaling)


def rounding_of(largest: float, sides: int, dtype: torch.dtype) -> float:
    """Return the size of singular values that rounding a weight to ``dtype`` makes of zeros: ½·eps·√(out + in + 1)·σ₁.

    ``largest`` is σ₁ and ``sides`` is out + in. A weight in half precision is judged as one in float32: its values are
    what they are, and only factors are rounded.

    Source: Press et al., Numerical Recipes (3rd edition, 2007), page 795. The common eps·max(out, in)·σ₁ would be
    5e-4·σ₁ for a 4096×4096 weight in float32; the tiny checkpoint stories260K has singular values of 2e-4·σ₁.
    """
    return 0.5 * float(torch.finfo(dtype).eps) * math.sqrt(sides + 1) * largest


def random_matched_factors(factors: Factors, generator: Generator) -> Factors:
    """Return random factors that are as large as PiSSA's: B0 = Q_U (S_r/s)^½ and A0 = (S_r/s)^½ Q_Vᵀ.

    (S_r/s)^½ are the norms of the rows of PiSSA's A0; Q_U (out×r) and Q_V (in×r) are independent random orthonormal
    columns, drawn with ``generator`` on its device in float64. So s·B0·A0 has PiSSA's singular values but directions
    that know nothing of W.

    Args:
        factors: PiSSA's (A0, B0).
        generator: source of the directions; the global random state is never touched.
    """
    A, B = factors
    with torch.no_grad():
        root = torch.linalg.vector_norm(A, dim=1, dtype=torch.float64)
        left = random_orthonormal(B.shape[0], len(A), generator).to(B.device)
        right = random_orthonormal(A.shape[1], len(A), generator).to(A.device)
        return (root * right).mT.to(A.dtype).contiguous(), (root * left).to(B.dtype).contiguous()


def random_orthonormal(rows: int, columns: int, generator: Generator) -> Float[Tensor, "rows columns"]:
    """Return Haar-distributed orthonormal columns: Q of a normal matrix's Q·R, signed such that R's diagonal is > 0.

    Without the choice of signs, Q would have the distribution that the algorithm's own choice of signs gives it.

    Source: Mezzadri (arXiv math-ph/0609050), section 5.
    """
    normal = torch.randn(rows, columns, generator=generator, device=generator.device, dtype=torch.float64)
    Q, R = torch.linalg.qr(normal)
    signed: Tensor = Q * torch.where(R.diagonal() < 0, -1.0, 1.0)
    return signed
