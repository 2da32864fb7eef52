"""Correct the p values of a family of comparisons (Holm), and warn of designs in which no p can be small enough.

Holm's ten lines are written here because importing `statsmodels` takes two seconds; the tests compare the two.
"""

from collections.abc import Sequence

from balora.statistics.paired import EXACT_UP_TO, LEVEL, smallest_p


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Return the p adjusted by Holm's step-down, in the order given.

    The i-th smallest of m is multiplied by m + 1 − i, and none is smaller than the one before it. A comparison without
    a p (None) still counts for the family, which was declared before the results.
    """
    order = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(ps) - rank)))
        adjusted[place] = largest
    return adjusted


def fewest_blocks(family: int) -> int | None:
    """Return the fewest blocks whose smallest p, corrected in a family of that size, is ≤ 0.05; None if none is."""
    enough = (n for n in range(2, EXACT_UP_TO + 2) if smallest_p(n) * max(family, 1) <= LEVEL)
    return next(enough, None)


def design_warning(blocks: int, family: int, noun: str = "block") -> str | None:
    """Return why ``blocks`` cannot confirm anything in a family of so many comparisons; None if they can.

    Args:
        blocks: blocks (or seeds) that every arm runs with.
        family: comparisons that are corrected together; 1 for a single one.
        noun: what the text calls a block.
    """
    if blocks > 1 and smallest_p(blocks) * max(family, 1) <= LEVEL:
        return None
    fewest, count = fewest_blocks(family), f"{blocks} {noun}{'s' * (blocks != 1)}"
    advice = ["a smaller `family`"] if family > 1 else []
    if fewest is not None and fewest > blocks:
        advice.insert(0, f"at least {fewest} {noun}s")
    if blocks < 2:
        return f"{count}: spread, intervals and p cannot be computed: use {' or '.join(advice)}"
    over = f"which over a family of {family} comparisons cannot reach" if family > 1 else "which cannot reach"
    least = f"the exact test cannot give a p below {smallest_p(blocks):.2g}"
    return f"{count}: {least}, {over} 0.05: use {' or '.join(advice)}"
