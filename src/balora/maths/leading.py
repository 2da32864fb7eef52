"""Leading singular triplets in float64, by the cheapest way whose residual is seen to be small."""

import torch
from jaxtyping import Float
from torch import Tensor

from balora.maths.krylov import krylov_triplets
from balora.maths.ritz import Triplets, accepted, ritz_triplets

GRAM_FROM = 256
"""Smaller side from which the Gram matrix's eigenvectors are faster than the singular value decomposition."""
KRYLOV_FROM, KRYLOV_SHARE = 1024, 16
"""Smaller side, and smaller side over rank, from which a Krylov space is faster than the Gram matrix."""


def leading_triplets(W: Float[Tensor, "out in"], rank: int, *, digits_beyond_float32: bool = False) -> Triplets:
    """Return (U, S, V), U diag(S) Vᵀ being the best approximation of W with the given rank; S descends.

    Every way but the last is checked: ‖Wᵀuᵢ − σᵢvᵢ‖ ≤ 1e-10·σ₁ for every i, or the next way is taken.

    1. A block Krylov space of WᵀW, for large matrices of which few triplets are wanted.
    2. The eigenvectors of the Gram matrix WᵀW, for middling ones. It squares the singular values, so it cannot tell
       apart those below 1e-8·σ₁, and is left out where ``digits_beyond_float32`` says that W may have such.
    3. The full singular value decomposition.

    W is in float64, its largest entry about 1.
    """
    out, into = W.shape
    if into > out:  # work in the space of the smaller side
        V, S, U = leading_triplets(W.mT, rank, digits_beyond_float32=digits_beyond_float32)
        return U, S, V
    if into >= max(KRYLOV_FROM, KRYLOV_SHARE * rank):
        found = krylov_triplets(W, rank)
        if found is not None:
            return found
    if into >= GRAM_FROM and not digits_beyond_float32:
        found = ritz_triplets(None, W, W.mT @ W, rank)
        if accepted(W, found):
            return found
    U, S, Vt = torch.linalg.svd(W, full_matrices=False)
    return U[:, :rank], S[:rank], Vt[:rank].mT
