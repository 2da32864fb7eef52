"""Compute intervals over blocks and test items together, by a hierarchical bootstrap of paired differences; no torch.

Another study would have other blocks, and another test other items. With D[b, i] the difference of two arms on item i
in block b (1, 0 or −1: both arms answered the same items in the same block), D = mean + block effect + item effect +
rest. Both kinds of effect are resampled: the blocks' means, and for each task its items, the same ones for both arms
and in every block.

Plain resampling of rows and columns is wrong twice: the rest counts three times (Owen 2007), and with few blocks the
spread is too small. So item effects are shrunk to the variance that is theirs (a two-way analysis of variance; cf. the
reflated residuals of Carpenter, Goldstein and Rasbash 2003), and block effects are scaled so that alone they give the
t-interval. The interval is the mean ± 1.96 standard deviations of the resampled means; as both effects are resampled
independently and only that deviation is used, it is summed in closed form, as for infinitely many replicates. A test
draws the replicates and gets the same.
"""

from collections.abc import Sequence
from math import hypot, sqrt
from statistics import NormalDist

import numpy as np

from balora.statistics.paired import CONFIDENCE, t_interval

NORMAL = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""Standard deviations from the mean to the ends of the interval."""


def joint_interval(
    differences: Sequence[float], items: Sequence[np.ndarray], tasks: int, *, widening: float = 1.0
) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean difference over blocks and items; None with one block or without items.

    Never narrower than the t-interval over blocks alone, and equal to it where items do not matter.

    Args:
        differences: one a block, in points: means over all tasks.
        items: for every task with items, blocks × items: 1 where the arm alone was right, −1 where the other alone was.
            Tasks without items are in ``differences`` only: their items are taken as given.
        tasks: how many tasks a difference is the mean of.
        widening: of the t-interval, for a tuned arm.
    """
    if len(differences) < 2 or not items:
        return None
    low, high = t_interval(differences, widening=widening)
    of_items = 100 / tasks * sqrt(sum(variance_of_items(one) for one in items))
    middle, half = (low + high) / 2, hypot((high - low) / 2, NORMAL * of_items)
    return middle - half, middle + half


def variance_of_items(differences: np.ndarray) -> float:
    """Return the variance that a mean over items, drawn anew, has by the items' own effects: max(0, s² − σ²/n)/m.

    s² is the variance of the m items' means over n blocks; σ² is that of the rest, which is in the blocks' means too.
    """
    blocks, items = differences.shape
    if items < 2:
        return 0.0
    of_items = differences.mean(axis=0, dtype=np.float64)
    of_blocks = differences.mean(axis=1, dtype=np.float64)
    rest = differences - of_items - of_blocks[:, None] + of_items.mean()
    noise = float((rest**2).sum()) / ((blocks - 1) * (items - 1))
    return float(max(0.0, of_items.var(ddof=1) - noise / blocks)) / float(items)
