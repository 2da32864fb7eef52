"""Leading singular triplets of a large matrix from a block Krylov space, with a look for what it may have missed."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from balora.maths.ritz import Triplets, accepted, ritz_triplets

SEED = 0
"""Of the start, drawn by a generator of its own: the same matrix gives the same factors."""
BLOCK = 16
"""Columns added at a time: 8 cost more passes over W, 32 more columns until the residual is small."""
FIRST, GROWTH = 6, 1.3
"""The space is looked at when it holds 2·rank and ``FIRST`` blocks, and then whenever it has grown by ``GROWTH``."""
SECOND_LOOK = 4
"""Blocks from a fresh start that must add nothing to the result."""
LIMIT = 3 / 8
"""Share of the whole space at which to give up: about there the Gram matrix is as cheap."""


def krylov_triplets(W: Float[Tensor, "out in"], rank: int) -> Triplets | None:
    """Return the leading triplets of W (out ≥ in, float64), or None if they are not to be had this way.

    The space is spanned by X, (WᵀW)X, (WᵀW)²X, … for a random block X, kept orthonormal in full (Golub, Luk and Overton
    1981). A small residual says that the triplets are the matrix's own but not that none was missed: of a value
    repeated more often than the block is wide, such a space holds as many copies as the block has columns. So a fresh
    random block, with the space it spans under WᵀW, has to leave the sum of squares captured as it was.
    """
    space = _Space(W, int(LIMIT * W.shape[1]))
    look = 2 * rank + FIRST * BLOCK
    while True:
        if not space.grow_to(look):
            return None
        found = ritz_triplets(*space.parts(), rank)
        if accepted(W, found):
            break
        look = int(GROWTH * space.size)
    space.restart()
    if not space.grow_to(space.size + SECOND_LOOK * BLOCK):
        return None
    again = ritz_triplets(*space.parts(), rank)
    before, after = (S.square().sum().item() for _, S, _ in (found, again))
    total = W.square().sum().item()
    missed = after - before > 1e-9 * max(total - after, 0.0) + 1e-12 * total
    return None if missed else again


class _Space:
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
        """Add blocks until the space holds ``size`` columns; tell whether there was room."""
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
