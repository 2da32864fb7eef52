"""Choose the settings of tuned arms by cross-validation over blocks: each is scored by the choice of the others."""

from collections.abc import Mapping
from itertools import product
from math import sqrt
from statistics import fmean

import numpy as np

EXACT_UP_TO = 10
"""Blocks up to which all patterns of signs are made; beyond, as many as that are drawn."""


def leave_one_out(scores: Mapping[str, Mapping[int, float]], higher_is_better: bool = True) -> dict[int, str]:
    """Return, for every block, the candidate whose mean over all *other* blocks is best; of equals the first.

    Scores over the blocks that a candidate was chosen by would be optimistic: the best of several is partly luck.
    Only candidates that have every other block compete there, and a block counts only if the chosen one has it. With
    one block there are no others, and the result is empty.

    Args:
        scores: candidate → block → score.
        higher_is_better: whether the best mean is the largest.
    """
    blocks = sorted(set().union(*scores.values()))
    sign = 1 if higher_is_better else -1
    chosen = {}
    for block in blocks:
        others = [other for other in blocks if other != block]
        means = {
            name: sign * fmean(values[other] for other in others)
            for name, values in scores.items()
            if others and all(other in values for other in others)
        }
        best = max(means, key=means.__getitem__, default=None)
        if best is not None and block in scores[best]:
            chosen[block] = best
    return chosen


def widening(candidates: np.ndarray) -> float:
    """Return the factor, at least 1, by which the spread of a tuned arm's mean exceeds that of its differences alone.

    A candidate that is lucky in one block is the likelier to be chosen for all others, so the blocks' scores are not
    independent. Here the choice is made anew many times, each block's residuals with random signs and the candidates'
    means fixed (a wild bootstrap): where candidates are alike the spread grows, where one is clearly best it does not.

    Args:
        candidates: candidates × blocks: differences to the arm of reference, the higher the better.
    """
    blocks = candidates.shape[1]
    if len(candidates) < 2 or blocks < 2:
        return 1.0
    alone = float(_chosen(candidates[None])[0].std(ddof=1)) / sqrt(blocks)
    means = candidates.mean(axis=1, keepdims=True)
    residuals = (candidates - means) * sqrt(blocks / (blocks - 1))
    spread = float(_chosen(means + _signs(blocks)[:, None, :] * residuals).mean(axis=1).std())
    return max(1.0, spread / alone) if alone else 1.0


def _chosen(made: np.ndarray) -> np.ndarray:
    """Return, for every pattern × candidates × blocks, the values of the candidates chosen by the other blocks."""
    best = (made.sum(axis=2, keepdims=True) - made).argmax(axis=1)
    values: np.ndarray = np.take_along_axis(made, best[:, None, :], axis=1)[:, 0, :]
    return values


def _signs(blocks: int) -> np.ndarray:
    if blocks <= EXACT_UP_TO:
        return np.array(list(product((1.0, -1.0), repeat=blocks)))
    return np.random.default_rng(0).choice((1.0, -1.0), (2**EXACT_UP_TO, blocks))
