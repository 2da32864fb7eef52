"""Gather the rows of all processes, with their gradients, for the terms that are no mean over rows.

Covariance and spectrum of a step's rows are no means of those of its parts. With `objective.scope: global` every
process computes them from the rows of all: the rows are gathered in the forward pass, and in the backward pass each
process gets the sum over the processes of the gradients into its own rows. So a process's loss may have any weight, and
the sum of the gradients over the processes is that of the weighted sum of their losses.
"""

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from balora.maths.precision import accurate


class Everywhere(NamedTuple):
    """How many rows each process has in a batch; every process must make it, and gather, as often as all others."""

    counts: tuple[int, ...]
    rank: int

    @classmethod
    def of(cls, rows: int, device: torch.device) -> "Everywhere":
        """Exchange the numbers of rows (waits for the device)."""
        counts = torch.zeros(dist.get_world_size(), dtype=torch.long, device=device)
        counts[dist.get_rank()] = rows
        dist.all_reduce(counts)
        return cls(tuple(counts.tolist()), dist.get_rank())

    @property
    def total(self) -> int:
        """The rows of all processes."""
        return sum(self.counts)

    def own_rows(self) -> slice:
        """Return where one's own rows lie among all."""
        start = sum(self.counts[: self.rank])
        return slice(start, start + self.counts[self.rank])

    def gathered(self, rows: Tensor) -> Tensor:
        """Return the rows (N×d) of all processes, those of the first one first, differentiable in one's own."""
        everyone: Tensor = _Gathered.apply(accurate(rows), self)  # type: ignore[no-untyped-call]
        return everyone


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, everywhere: Everywhere) -> Tensor:
        ctx.own = everywhere.own_rows()
        everyone = rows.new_zeros(everywhere.total, *rows.shape[1:])
        everyone[ctx.own] = rows
        dist.all_reduce(everyone)  # with zeros elsewhere: a gathering that takes any number of rows of each
        return everyone

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad = grad.contiguous().clone()
        dist.all_reduce(grad)
        return grad[ctx.own], None


def is_shared() -> bool:
    """Whether this process is one of several in a process group."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
