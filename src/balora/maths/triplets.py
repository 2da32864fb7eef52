"""Compute leading singular triplets of a matrix in float64, by the cheapest way whose residual is small.

Every way but the last is checked: ‖Wᵀuᵢ − σᵢvᵢ‖ ≤ 1e-10·σ₁ for every i, or the next way is taken.
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

Triplets = tuple[Float[Tensor, "out rank"], Float[Tensor, " rank"], Float[Tensor, "in rank"]]
"""(U, S, V): singular vectors as columns, singular values descending."""

TOLERANCE = 1e-10
"""‖Wᵀuᵢ − σᵢvᵢ‖ / σ₁ that is accepted; a singular vector is off by this over the relative gap to its neighbours."""
GRAM_FROM = 256
"""Smaller side from which the Gram matrix's eigenvectors are faster than the singular value decomposition."""
KRYLOV_FROM, KRYLOV_SHARE = 1024, 16
"""Smaller side, and smaller side over rank, from which a Krylov space is faster than the Gram matrix."""
SEED = 0
"""Seed of the Krylov space's random start, which has a generator of its own: the same matrix gives the same factors."""
BLOCK = 16
"""Columns added at a time: 8 cost more passes over W, 32 more columns until the residual is small."""
FIRST, GROWTH = 6, 1.3
"""The residual is checked at 2·rank columns and ``FIRST`` blocks, then each time the space has grown by ``GROWTH``."""
FRESH_BLOCKS = 4
"""Blocks from a fresh random start that must add nothing to the result."""
LIMIT = 3 / 8
"""Share of the whole space at which to give up: about there the Gram matrix is as cheap."""


def leading_triplets(W: Float[Tensor, "out in"], rank: int, *, digits_beyond_float32: bool = False) -> Triplets:
    """Return (U, S, V), U diag(S) Vᵀ being the best approximation of W with the given rank; S descends.

    1. A block Krylov space of WᵀW, for large matrices of which few triplets are wanted.
    2. The eigenvectors of the Gram matrix WᵀW, for middling ones. It squares the singular values, so it cannot separate
       those below 1e-8·σ₁, and is left out where ``digits_beyond_float32`` states that W may have such.
    3. The full singular value decomposition.

    W is in float64, its largest entry about 1.
    """
    out, into = W.shape
    if into > out:  # work in the space of the smaller side
        V, S, U = leading_triplets(W.mT, rank, digits_beyond_float32=digits_beyond_float32)
        return U, S, V
    if into >= max(KRYLOV_FROM, KRYLOV_SHARE * rank):
        by_krylov = krylov_triplets(W, rank)
        if by_krylov is not None:
            return by_krylov
    if into >= GRAM_FROM and not digits_beyond_float32:
        by_gram = gram_triplets(W, rank)
        if is_accurate(W, by_gram):
            return by_gram
    U, S, Vt = torch.linalg.svd(W, full_matrices=False)
    return U[:, :rank], S[:rank], Vt[:rank].mT


def gram_triplets(W: Float[Tensor, "out in"], rank: int) -> Triplets:
    """Return the leading triplets of W (out ≥ in) from the eigenvectors of its Gram matrix."""
    return ritz_triplets(None, W, W.mT @ W, rank)


def krylov_triplets(W: Float[Tensor, "out in"], rank: int) -> Triplets | None:
    """Return the leading triplets of W (out ≥ in, float64), or None if a Krylov space does not give them.

    The space is spanned by X, (WᵀW)X, (WᵀW)²X, … for a random block X, orthonormal in full (Golub, Luk and Overton
    1981). A small residual shows that the triplets are the matrix's own but not that none was missed: of a value
    repeated more often than the block is wide, such a space holds as many copies as the block has columns. So a fresh
    random block, with the space it spans under WᵀW, has to leave the sum of squares captured as it was.
    """
    space = _KrylovSpace(W, int(LIMIT * W.shape[1]))
    size = 2 * rank + FIRST * BLOCK
    while True:
        if not space.grow_to(size):
            return None
        first = ritz_triplets(*space.parts(), rank)
        if is_accurate(W, first):
            break
        size = int(GROWTH * space.size)
    space.restart()
    if not space.grow_to(space.size + FRESH_BLOCKS * BLOCK):
        return None
    second = ritz_triplets(*space.parts(), rank)
    before, after = (S.square().sum().item() for _, S, _ in (first, second))
    total = W.square().sum().item()
    missed = after - before > 1e-9 * max(total - after, 0.0) + 1e-12 * total
    return None if missed else second


def ritz_triplets(
    V: Float[Tensor, "in size"] | None, Y: Float[Tensor, "out size"], H: Float[Tensor, "size size"], rank: int
) -> Triplets:
    """Return the leading singular triplets of W·V·Vᵀ from Y = W·V and H = YᵀY; no V stands for the whole space.

    H's eigenvectors show which directions Z of the space lead; the decomposition of Y·Z then gives values and vectors
    without the digits that were lost by squaring. The small eigenproblem is solved on the CPU.
    """
    Z = torch.linalg.eigh(H.cpu()).eigenvectors[:, -rank:].to(Y.device)
    Q, R = torch.linalg.qr(Y @ Z)
    U, S, Pt = torch.linalg.svd(R)
    Z = Z @ Pt.mT
    return Q @ U, S, Z if V is None else V @ Z


def is_accurate(W: Float[Tensor, "out in"], triplets: Triplets) -> bool:
    """Return whether they are singular triplets of W: ‖Wᵀuᵢ − σᵢvᵢ‖ ≤ 1e-10·σ₁ for every i."""
    U, S, V = triplets  # W·vᵢ = σᵢuᵢ holds by construction
    return bool(torch.linalg.vector_norm(W.mT @ U - V * S, dim=0).max() <= TOLERANCE * S[0])


class _KrylovSpace:
    """An orthonormal basis V that grows by blocks, with Y = W·V and H = YᵀY."""

    def __init__(self, W: Tensor, limit: int) -> None:
        out, into = W.shape
        self.W, self.limit, self.size = W, limit, 0
        self.V, self.Y, self.H = W.new_empty(into, limit), W.new_empty(out, limit), W.new_empty(limit, limit)
        self.generator = Generator().manual_seed(SEED)
        self.restart()

    def restart(self) -> None:
        """Go on from a fresh random block."""
        self.following = self._random()

    def grow_to(self, size: int) -> bool:
        """Add blocks until the space holds ``size`` columns; return whether there was room."""
        while self.size < size and self.size + BLOCK <= self.limit:
            self._grow()
        return self.size >= size

    def _grow(self) -> None:
        old, new = slice(self.size), slice(self.size, self.size + BLOCK)
        self.V[:, new] = X = self._orthonormal(self.following)
        self.Y[:, new] = Y = self.W @ X
        self.following = self.W.mT @ Y
        self.H[new, new] = Y.mT @ Y
        self.H[new, old] = Y.mT @ self.Y[:, old]
        self.size += BLOCK

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return V, Y and H (its lower triangle, which is what is read) as far as they have grown."""
        known = slice(self.size)
        return self.V[:, known], self.Y[:, known], self.H[known, known]

    def _orthonormal(self, X: Tensor) -> Tensor:
        """Return an orthonormal block for X, orthogonal to V; columns of which only rounding is left start afresh."""
        V, least = self.V[:, : self.size], 1e-12 * torch.linalg.vector_norm(X, dim=0).max()
        X, R = torch.linalg.qr(X - V @ (V.mT @ X))
        exhausted = R.diagonal().abs() <= least
        if exhausted.any():
            X = torch.where(exhausted, self._random(), X)
            X = torch.linalg.qr(X - V @ (V.mT @ X)).Q
        Q: Tensor = torch.linalg.qr(X - V @ (V.mT @ X)).Q  # twice is enough
        return Q

    def _random(self) -> Tensor:
        block = torch.randn(self.W.shape[1], BLOCK, generator=self.generator, dtype=self.W.dtype)
        return block.to(self.W.device)
