"""Arms tuned by cross-validation over the blocks: what a block is scored with was chosen without that block."""

from collections.abc import Mapping
from statistics import fmean


def leave_one_out(scores: Mapping[str, Mapping[int, float]], higher_is_better: bool = True) -> dict[int, str]:
    """Return, for every block, the candidate whose mean over all *other* blocks is best; of equals the first.

    Scores over the blocks that a candidate was chosen by would be optimistic: the best of several is partly luck.
    Only candidates that have every other block compete there, and a block counts only if the chosen one has it. With
    one block there is nothing to choose by, and so no block.

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
