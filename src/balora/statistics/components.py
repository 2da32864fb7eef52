"""Divide the variance of a paired difference among pre-training, fine-tuning, test items, and what is left.

Model j, fine-tuned with seed k, and scored on item i of a task gives the difference D of two arms (1 where the arm
alone was right, −1 where the other alone was, else 0):

    D_jki = μ + a_j + f_jk + g_i + ε_jki,   Var = τ², φ², γ², ε².

The difference of a block is the mean over a task's m items (and over tasks), d_jk, so the parts of its variance are

- pre-training τ², between models: REML (:mod:`balora.statistics.heterogeneity`);
- fine-tuning φ² = σ² − rest, with σ² the variance within models, between fine-tuning seeds;
- items γ²/m: other items would have given another difference. All blocks answer the same items, so it is in no spread
  between blocks, and more blocks do not make it smaller; max(0, s² − σ_ε²/N)/m of the two-way analysis of variance
  (:func:`balora.statistics.hierarchy.variance_of_items`; Miller 2024, arXiv:2411.00640);
- the rest ε²/m: which of the same items one fine-tuning happened to answer differently. It is the residual mean square
  of items × seeds within models, over m (Searle, Casella and McCulloch 1992), at most σ².

What a model knows of single items counts as pre-training. Over T tasks the items' parts are summed and divided by T²;
in points they are 100² as large. A task without item scores keeps its rest in fine-tuning, and its items as given.

A part that the design cannot show is None, never 0, and `missing` has the reason. Without two blocks on one model,
pre-training and fine-tuning are one part together; on one model there is no pre-training; one block shows nothing.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np

from balora.statistics.heterogeneity import reml
from balora.statistics.hierarchy import variance_of_items
from balora.statistics.paired import CONFIDENCE, deviation
from balora.statistics.power import LARGE
from balora.statistics.student import critical

TAIL = (1 - CONFIDENCE) / 2
NORMAL = NormalDist().inv_cdf(1 - TAIL)


Way = Literal["seeds", "models", "items"]


class Missing(StrEnum):
    """Why a part of the variance cannot be told."""

    NO_BLOCK = "no block in common"
    ONE_BLOCK = "one block"
    ONE_MODEL = "all blocks on one model"
    NO_REPLICATES = "no model with two blocks"
    NO_ITEMS = "no item scores"
    SOME_ITEMS = "item scores of some tasks only"
    CHOSEN = "a tuned arm"
    """Its setting is chosen for every block by the other blocks, so that its blocks are not independent."""


@dataclass(frozen=True)
class Components:
    """The parts of the variance of one block's difference, in squared units; None where a part cannot be told."""

    sizes: tuple[int, ...]
    """How many blocks each model has."""
    missing: tuple[Missing, ...]
    pretraining: float | None = None
    finetuning: float | None = None
    together: float | None = None
    """Pre-training and fine-tuning, where no model has two blocks."""
    items: float | None = None
    rest: float | None = None

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return sum(self.sizes)

    @property
    def total(self) -> float:
        """The variance of one block's difference on items drawn anew: the sum of all parts that can be told."""
        return sum(part or 0.0 for part in (self.pretraining, self.finetuning, self.together, self.items, self.rest))

    @property
    def within(self) -> float | None:
        """The variance between fine-tuning seeds of a model, on the same items; None where it cannot be told."""
        return None if self.finetuning is None else self.finetuning + (self.rest or 0.0)

    @property
    def of_a_block(self) -> float | None:
        """The variance between blocks with a model each, on the same items; None where it cannot be told."""
        if self.together is not None:
            return self.together + (self.rest or 0.0)
        return None if self.pretraining is None or self.within is None else self.pretraining + self.within


def components(
    differences: Sequence[float], models: Sequence[Hashable], items: Sequence[np.ndarray] = (), tasks: int = 1
) -> Components:
    """Return the parts of the variance of a block's difference.

    Args:
        differences: one a block, in points: means over all tasks.
        models: the pre-trained model of each block; all the same for a given model.
        items: for every task with items, blocks × items: 1 where the arm alone was right, −1 where the other alone was.
        tasks: how many tasks a difference is the mean of.
    """
    sizes = tuple(sorted(Counter(models).values(), reverse=True))
    if len(differences) < 2:
        return Components(sizes, (Missing.ONE_BLOCK if differences else Missing.NO_BLOCK,))
    missing = [] if len(items) == tasks else [Missing.SOME_ITEMS if items else Missing.NO_ITEMS]
    scale = (100 / tasks) ** 2
    of_items = scale * sum(map(variance_of_items, items)) if items else None
    rest = scale * sum(_rest(one, models) for one in items) if items else None
    found = Components(sizes, tuple(missing), items=of_items)
    if len(sizes) == 1 or sizes[0] == 1:
        variance = deviation(differences) ** 2
        rest = None if rest is None else min(rest, variance)
        apart = variance - (rest or 0.0)
        if len(sizes) == 1:
            return replace(found, missing=(Missing.ONE_MODEL, *missing), finetuning=apart, rest=rest)
        return replace(found, missing=(Missing.NO_REPLICATES, *missing), together=apart, rest=rest)
    between, within = reml(differences, models)
    rest = None if rest is None else min(rest, within)
    return replace(found, pretraining=between, finetuning=within - (rest or 0.0), rest=rest)


def _rest(differences: np.ndarray, models: Sequence[Hashable]) -> float:
    """Return ε²/m of one task: the residual mean square of blocks × items within models; without two blocks on any
    model over all blocks, where it holds what models know of single items too.
    """
    labels = list(models) if max(Counter(models).values()) > 1 else [0] * len(models)
    squares, degrees, count = 0.0, 0, differences.shape[1]
    for model in dict.fromkeys(labels):
        rows = differences[[label == model for label in labels]].astype(np.float64)
        left = rows - rows.mean(axis=0) - rows.mean(axis=1, keepdims=True) + rows.mean()
        squares += float((left**2).sum())
        degrees += (len(rows) - 1) * (count - 1)
    return squares / degrees / count if degrees else 0.0


def half_width(parts: Components, sizes: Sequence[int]) -> float | None:
    """Return the half-width that the 95 % interval of the mean should have in a design; None where parts are missing.

    t_(M−1)·√(1/Σ 1/(τ² + σ²/n_j)), the expected width of Hartung and Knapp's interval over M models with n_j blocks
    each; on one model, t_(n−1)·σ/√n. As the verdicts' interval, it takes the test items as given.

    Args:
        parts: of a study that has been run.
        sizes: how many blocks each model has.
    """
    if sum(sizes) < 2:
        return None
    if len(sizes) == 1:
        return None if parts.within is None else critical(sizes[0] - 1, TAIL) * sqrt(parts.within / sizes[0])
    if max(sizes) == 1:
        variance = parts.of_a_block
        return None if variance is None else critical(len(sizes) - 1, TAIL) * sqrt(variance / len(sizes))
    if parts.pretraining is None or parts.within is None:
        return None
    variances = [parts.pretraining + parts.within / size for size in sizes]
    error = 0.0 if min(variances) == 0 else sqrt(1 / sum(1 / variance for variance in variances))
    return critical(len(sizes) - 1, TAIL) * error


def blocks_for(parts: Components, wanted: float) -> int | None:
    """Return the fewest blocks whose interval should be ± ``wanted``: each on a model of its own, or all on one model.

    None where the parts cannot tell: blocks on one model show nothing of others.
    """
    one_model = len(parts.sizes) == 1
    variance = parts.within if one_model else parts.of_a_block
    if variance is None:
        return None
    n = max(2, ceil((NORMAL / wanted) ** 2 * variance))
    while n <= LARGE and (half_width(parts, (n,) if one_model else (1,) * n) or 0.0) > wanted:
        n += 1
    return n


@dataclass(frozen=True)
class Gain:
    """By how much one way of going on should narrow the interval of a comparison."""

    way: Way
    """More fine-tuning seeds on each model, more models with one seed each, or twice the test items."""
    more: int
    """How many seeds on each model, or how many models; 2 for twice the items."""
    blocks: int
    """How many more blocks that is; 0 for items, which take scoring alone."""
    half_width: float
    narrowing: float
    """The share of the half-width that it takes away."""


def gains(parts: Components) -> tuple[Gain, ...]:
    """Return what about as many blocks again should bring, by each way that the parts can tell, and twice the items.

    Of N blocks on M models, N/M more seeds on each model (rounded, at least one), and as many blocks on models of their
    own. Nothing where the blocks do not differ at all.
    """
    now = half_width(parts, parts.sizes)
    if not now:
        return ()
    models, sizes = len(parts.sizes), parts.sizes
    each = max(1, round(parts.blocks / models))
    ways: list[tuple[Way, int, int, Components, Sequence[int]]] = []
    if sizes[0] > 1:
        ways.append(("seeds", each, each * models, parts, [size + each for size in sizes]))
    if models > 1:
        ways.append(("models", each * models, each * models, parts, (*sizes, *(1,) * (each * models))))
    if parts.rest is not None:
        ways.append(("items", 2, 0, replace(parts, rest=parts.rest / 2), sizes))
    return tuple(
        Gain(way, more, blocks, width, 1 - width / now)
        for way, more, blocks, its_parts, its_sizes in ways
        if (width := half_width(its_parts, its_sizes)) is not None
    )
