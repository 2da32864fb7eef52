"""Joint uncertainty over blocks and test items: a hierarchical bootstrap of paired differences; numpy, no torch.

Another study would have other blocks, and another test other items. With D[b, i] the difference of two arms on item i
in block b (1, 0 or −1: both arms answered the same items in the same block), D = mean + block effect + item effect +
rest. Both kinds of effect are resampled: the blocks' means, and for each task its items, the same ones for both arms
and in every block.

Plain resampling of rows and columns is wrong twice: the rest counts three times (Owen 2007), and with few blocks the
spread is too small. So item effects are first shrunk to the variance that is theirs (a two-way analysis of variance;
cf. the reflated residuals of Carpenter, Goldstein and Rasbash 2003), and block effects are scaled so that alone they
give the t-interval. The joint interval is then no narrower than that, and equal to it where items do not matter.
"""

from collections.abc import Sequence

import numpy as np

from balora.study.statistics.paired import t_interval

REPLICATES = 2000
NORMAL = 1.959963984540054
"""Standard deviations from the middle to the ends of 95 %."""


def joint_interval(differences: Sequence[float], items: Sequence[np.ndarray], tasks: int) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean difference over blocks and items; none with one block or without items.

    Args:
        differences: one a block, in points: means over all tasks.
        items: for every task with items, blocks × items: 1 where the arm alone was right, −1 where the other alone was.
            Tasks without items are in ``differences`` only: their items are taken as given.
        tasks: how many tasks a difference is the mean of.
    """
    if len(differences) < 2 or not items:
        return None
    low, high = t_interval(differences)
    generator = np.random.default_rng(0)
    replicates = _blocks(generator, np.asarray(differences), (high - low) / 2)
    for one in items:
        replicates += 100 * _items(generator, one) / tasks
    mean, half = float(np.mean(differences)), NORMAL * float(replicates.std())
    return mean - half, mean + half


def _blocks(generator: np.random.Generator, differences: np.ndarray, half: float) -> np.ndarray:
    """Return resampled mean block effects whose spread is that of the t-interval with half-width ``half``."""
    effects = differences - differences.mean()
    drawn = effects[generator.integers(0, len(effects), (REPLICATES, len(effects)))].mean(axis=1)
    spread = float(drawn.std())
    scaled: np.ndarray = drawn * (half / (NORMAL * spread)) if spread else drawn
    return scaled


def _items(generator: np.random.Generator, differences: np.ndarray) -> np.ndarray:
    """Return resampled mean item effects; items with the same sum over blocks are drawn together, as they are equal."""
    blocks, items = differences.shape
    values, counts = np.unique(differences.sum(axis=0, dtype=np.int64), return_counts=True)
    means = values / blocks
    drawn = generator.multinomial(items, counts / items, REPLICATES) @ means / items
    shrunk: np.ndarray = (drawn - differences.mean()) * np.sqrt(_share_of_items(differences))
    return shrunk


def _share_of_items(differences: np.ndarray) -> float:
    """Return which share of the variance of item means is the items' own, rather than the rest's: 1 − σ²/(n·s²)."""
    blocks, items = differences.shape
    if items < 2:
        return 0.0
    mean, of_items, of_blocks = differences.mean(), differences.mean(axis=0), differences.mean(axis=1)
    between_items = float(((of_items - mean) ** 2).sum())
    total = float(((differences - mean) ** 2).sum())
    rest = total - blocks * between_items - items * float(((of_blocks - mean) ** 2).sum())
    if between_items == 0:
        return 0.0
    return float(max(0.0, 1 - max(0.0, rest) / ((blocks - 1) * blocks * between_items)))
