"""Compute the terms of the whole matrix of logits on the frozen output projection of a language model.

They need only d×d quantities (method.md §6): the singular values of Z = H·Wᵀ are those of H·L with L·Lᵀ = WᵀW, and
its covariance is W·S·Wᵀ with S = Cov(H).
"""

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributed.fsdp import FSDPModule

from balora.errors import InputError
from balora.maths.spectrum import singular_values


class FrozenHead:
    """W (V×d) and bias of an output projection that is not trained, with factors of its Gram matrix made at need."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight = weight
        self.bias = bias
        self.outputs, self.width = weight.shape
        self._gram: Tensor | None = None
        self._root: Tensor | None = None

    def gram(self) -> Tensor:
        """Return G = WᵀW (d×d, float64), with which Z = H·Wᵀ has Z·Zᵀ = H·G·Hᵀ."""
        if self._gram is None:
            self._gram = _gram(self.weight)
        return self._gram

    def root(self) -> Tensor:
        """Return L with L·Lᵀ = [W b]ᵀ[W b]: H·L (H with a column of ones for a bias) has Z's singular values."""
        if self._root is None:
            gram = self.gram()
            if self.bias is not None:
                gram = _gram(torch.cat([self.weight, self.bias[:, None]], dim=1))
            values, vectors = torch.linalg.eigh(gram)
            self._root = vectors * values.clamp_min(0).sqrt()
        return self._root


def _gram(weight: Tensor, rows: int = 4096) -> Tensor:
    gram = torch.zeros(weight.shape[1], weight.shape[1], dtype=torch.float64, device=weight.device)
    for block in torch.split(weight, rows):
        block = block.double()
        gram.addmm_(block.mT, block)
    if not gram.isfinite().all():
        raise InputError("the head's weight or bias holds nan or inf: its products are undefined, use from_logits")
    return gram


class HeadCache:
    """One :class:`FrozenHead` a module, remade when its weight or bias was written to or replaced."""

    def __init__(self) -> None:
        self._heads: WeakKeyDictionary[nn.Module, tuple[list[tuple[int, int]], FrozenHead]] = WeakKeyDictionary()

    def of(self, head: nn.Linear) -> FrozenHead:
        """Return the frozen head of ``head``.

        Raises:
            InputError: it is no plain linear layer, or it is trained: both models would need heads of their own.
        """
        if not _is_plain(head):
            raise InputError(f"the head must be a plain nn.Linear, got {type(head).__name__}: use from_logits")
        if any(parameter.requires_grad for parameter in head.parameters()):
            raise InputError("the head is trained, so the two models do not share it: use from_logits")
        place = Tensor.data_ptr if type(head) is nn.Linear else id  # FSDP2 gathers it at another address each step
        state = [(place(parameter), parameter._version) for parameter in head.parameters()]
        if head not in self._heads or self._heads[head][0] != state:
            bias = None if head.bias is None else head.bias.detach()
            self._heads[head] = (state, FrozenHead(head.weight.detach(), bias))
        return self._heads[head][1]


def _is_plain(head: nn.Module) -> bool:
    """Whether ``head`` is torch's linear layer; FSDP2 gives one a class of its own and leaves its forward pass."""
    return type(head) is nn.Linear or type(head).__bases__ == (FSDPModule, nn.Linear)


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
