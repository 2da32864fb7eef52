"""Sum the row-wise terms over chunks of logits; dL/dZ is written by hand and folded into dL/dH at once.

A chunk of rows costs three products with W: the student's logits, the reference's, and the gradient, which takes the
place of the student's logits. Between the products a chunk is worked through in tiles that stay in the caches. Nothing
larger than the two chunks lives at any time, whatever N is.
"""

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from balora.maths.precision import accurate
from balora.objective.config import ObjectiveConfig
from balora.objective.head import FrozenHead
from balora.objective.tile import SCRATCH, RowTerms, tile_terms

CPU_ROWS, CPU_SHARE = 256, 4
"""On a CPU a chunk has this many rows at most, from which products are hardly faster, and this part of all rows."""

CPU_BUDGET, LEAST_BUDGET, LARGEST_BUDGET = 256 * 2**20, 128 * 2**20, 2**30
CPU_TILE, DEVICE_TILE = 2 * 2**20, 64 * 2**20
"""Bytes of one buffer of a tile: a share of the caches, or enough work for one launch."""


class Chunks(NamedTuple):
    """How many rows are worked on at once."""

    rows: int
    """Of a chunk: between the products with W."""
    tile: int
    """Of a tile, within a chunk."""

    @classmethod
    def of(cls, N: int, V: int, like: Tensor, chunk_bytes: int | None = None) -> Self:
        """Return the chunks of N rows: the logits of two models, in the type of ``like``, take ``chunk_bytes`` at most.

        By default 256 MiB on the CPU, and elsewhere a 64th of the device's memory (128 MiB to 1 GiB): a matter of the
        device, not of what is free, so that a run repeats its bits. On the CPU a chunk of more than a tile has no more
        rows than pay.
        """
        on_cpu = like.device.type == "cpu"
        rows = (chunk_bytes or _budget(like.device)) // (2 * V * like.element_size())
        tile = (CPU_TILE if on_cpu else DEVICE_TILE) // (V * accurate(like.new_empty(0)).element_size())
        if on_cpu:
            rows = min(rows, max(tile, min(CPU_ROWS, N // CPU_SHARE)))
        rows = max(1, min(rows, N))
        rows = -(-N // -(-N // rows))  # chunks of about the same size
        return cls(rows, max(1, min(tile, rows)))


def _budget(device: torch.device) -> int:
    if device.type != "cuda":
        return CPU_BUDGET
    return min(max(torch.cuda.get_device_properties(device).total_memory // 64, LEAST_BUDGET), LARGEST_BUDGET)


def row_terms(
    config: ObjectiveConfig, head: FrozenHead, weights: dict[str, float], smoothing: float, soft_cap: float | None
) -> RowTerms:
    """Return what to compute of ``config`` for the terms with a weight."""
    return RowTerms(
        task=weights.get("task", 0.0),
        consistency=weights.get("consistency", 0.0),
        diversity=weights.get("diversity", 0.0),
        form=config.consistency.form,
        temperature=config.consistency.temperature,
        top_k=config.diversity.used_k(head.outputs, config.family) if "diversity" in weights else None,
        smoothing=smoothing,
        soft_cap=soft_cap,
        masked=head.bias is not None,
    )


def rowwise_parts(
    hidden: Tensor,
    reference: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    terms: RowTerms,
    chunks: Chunks,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return Σ weight·term over the chosen terms, differentiable in ``hidden``, and each term's mean over the rows."""
    reference = reference if terms.consistency else None
    loss, *values = _RowwiseLoss.apply(hidden, reference, weight, bias, labels, terms, chunks)  # type: ignore[no-untyped-call]
    names = ("task", "consistency", "diversity")
    return loss, {name: value for name, value in zip(names, values, strict=True) if getattr(terms, name)}


class _RowwiseLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        reference: Tensor | None,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        terms: RowTerms,
        chunks: Chunks,
    ) -> tuple[Tensor, ...]:
        N, wanted = len(hidden), ctx.needs_input_grad[0]
        dtype = accurate(hidden.new_empty(0)).dtype
        sums = torch.zeros(3, dtype=torch.float64, device=hidden.device)
        gradient = hidden.new_empty(hidden.shape, dtype=dtype) if wanted else None
        weight = weight.to(_product_type(weight))
        bias = None if bias is None else bias.to(weight.dtype)
        models = 1 if reference is None else 2
        logits = weight.new_empty(models * chunks.rows, len(weight))
        scratch = logits.new_empty(SCRATCH, chunks.tile, len(weight), dtype=accurate(logits[:0]).dtype)
        for start in range(0, N, chunks.rows):
            rows = slice(start, min(start + chunks.rows, N))
            n = rows.stop - start
            # both models in one product: W is read once for twice the rows
            both = hidden[rows] if reference is None else torch.cat([hidden[rows], reference[rows]])
            _product(both, weight, bias, out=logits[: models * n])
            y, y_ref = logits[:n], None if reference is None else logits[n : 2 * n]
            for first in range(0, n, chunks.tile):
                tile = slice(first, min(first + chunks.tile, n))
                ref = None if y_ref is None else y_ref[tile]
                sums += tile_terms(y[tile], ref, labels[rows][tile], terms, scratch[:, : tile.stop - first])
            if gradient is not None:
                gradient[rows] = y @ weight
        if gradient is not None:
            gradient /= N  # after the product: before, small probabilities would vanish in half precision
        ctx.gradient, ctx.hidden_dtype = gradient, hidden.dtype
        values = (sums / N).to(dtype)
        weights = values.new_tensor([terms.task, terms.consistency, terms.diversity])
        loss = torch.dot(values, weights)
        parts = values.unbind()
        ctx.mark_non_differentiable(*parts)
        return loss, *parts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        # The gradient was made in the forward pass; for the usual grad = 1 no copy is needed, but asking would sync.
        gradient = None if ctx.gradient is None else (ctx.gradient * grad).to(ctx.hidden_dtype)
        return gradient, None, None, None, None, None, None


def _product_type(weight: Tensor) -> torch.dtype:
    """Return the type of the products: the head's, or what automatic mixed precision would take."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def _product(hidden: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor) -> None:
    hidden = hidden.to(weight.dtype)
    if bias is None:
        torch.mm(hidden, weight.mT, out=out)
    else:
        torch.addmm(bias, hidden, weight.mT, out=out)
