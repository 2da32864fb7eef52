"""What paired differences say, in words from a fixed list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from balora.statistics.family import fewest_blocks, holm
from balora.statistics.paired import LEVEL, deviation, sign_flip_p, smallest_p, t_interval, t_p
from balora.statistics.power import detectable, hedges, needed

Verdict = Literal[
    "helps",
    "hurts",
    "above 0",
    "below 0",
    "no difference larger than x",
    "cannot tell: needs about n seeds",
    "the same in every seed",
    "cannot tell: one seed",
    "cannot tell: no seed in common",
]
"""The only words for a paired difference; docs/statistics.md says when each is used.

*helps*, *hurts*: the interval leaves out 0 and p ≤ 0.05, Holm's where the comparison is in a family. *above 0*, *below
0*: the same for an interaction, where neither side is the good one. *no difference larger than x*: the whole interval
lies within ± the margin, and x is its farther end. A page fills in x (`bound`) and n (`needed`)."""


class Paired(NamedTuple):
    """One question: the paired differences, and what would matter."""

    differences: Sequence[float]
    """One a block."""
    margin: float
    """The smallest difference that would matter, in the unit of the differences."""
    higher_is_better: bool | None = True
    """None for an interaction, which is neither good nor bad."""
    widening: float = 1.0
    """By how much the mean varies more than the differences alone say; above 1 for a tuned arm."""


@dataclass(frozen=True)
class Comparison:
    """Paired differences over seeds."""

    n: int
    mean: float | None
    low: float | None
    high: float | None
    """95 % t-interval of the mean difference; none with fewer than two seeds. Not corrected for a family."""
    p: float | None
    """Two-sided exact sign-flip p (of a tuned arm that of its widened t, where it is larger); none below two seeds."""
    smallest_p: float | None
    """The smallest p that so many seeds can reach: 2/2^n."""
    verdict: Verdict
    adjusted_p: float | None = None
    """p after Holm's correction over the declared family; none outside it."""
    effect_size: float | None = None
    """Mean over standard deviation of the differences (d_z) with Hedges' correction; none below three seeds."""
    detectable: float | None = None
    """The smallest true difference that so many seeds with this spread find with 80 % power: paired t-test, two-sided,
    α = 0.05, uncorrected. None without a spread."""
    needed: int | None = None
    """Seeds needed to find a difference of the margin (of the observed mean, where that is larger) with 80 % power at
    the level of the family's first step, 0.05/m; at least what the exact test needs to reach it."""
    bound: float | None = None
    """The x of *no difference larger than x*; none with any other verdict."""
    family: int | None = None
    """How many comparisons were corrected together with this one, itself included; none outside a family."""


def compare(paired: Paired) -> Comparison:
    """Return what paired differences say when they are asked about alone."""
    p = _p(paired)
    return _comparison(paired, p, None, None)


def compare_family(family: Sequence[Paired]) -> list[Comparison]:
    """Return what each of a declared family says, with p corrected over all of them."""
    ps = [_p(paired) for paired in family]
    return [_comparison(*known, len(family)) for known in zip(family, ps, holm(ps), strict=True)]


def _p(paired: Paired) -> float | None:
    if len(paired.differences) < 2:
        return None
    p = sign_flip_p(paired.differences)
    return p if paired.widening == 1 else max(p, t_p(paired.differences, paired.widening))


def _comparison(paired: Paired, p: float | None, adjusted: float | None, family: int | None) -> Comparison:
    n = len(paired.differences)
    if n == 0:
        return Comparison(0, None, None, None, None, None, "cannot tell: no seed in common", family=family)
    mean = float(np.mean(paired.differences))
    if p is None:
        return Comparison(1, mean, None, None, None, None, "cannot tell: one seed", family=family)
    low, high = t_interval(paired.differences, widening=paired.widening)
    verdict = _verdict(paired, low, high, p if adjusted is None else adjusted)
    sd = deviation(paired.differences)
    spread = sd * paired.widening
    return Comparison(
        n=n,
        mean=mean,
        low=low,
        high=high,
        p=p,
        smallest_p=smallest_p(n),
        verdict=verdict,
        adjusted_p=adjusted,
        effect_size=hedges(n, mean, sd),
        detectable=detectable(n, spread) if sd else None,
        needed=_needed(n, max(paired.margin, abs(mean)), spread, family or 1, verdict),
        bound=max(abs(low), abs(high)) if verdict == "no difference larger than x" else None,
        family=family,
    )


def _verdict(paired: Paired, low: float, high: float, p: float) -> Verdict:
    if not np.any(paired.differences):
        return "the same in every seed"
    if p <= LEVEL and not low <= 0 <= high:
        if paired.higher_is_better is None:
            return "above 0" if low > 0 else "below 0"
        return "helps" if (low > 0) is paired.higher_is_better else "hurts"
    if low < high and max(abs(low), abs(high)) <= paired.margin:
        return "no difference larger than x"
    return "cannot tell: needs about n seeds"


def _needed(n: int, size: float, sd: float, family: int, verdict: Verdict) -> int | None:
    """Return how many blocks would settle it; none where no number of them reaches the family's level."""
    fewest = fewest_blocks(family)
    if fewest is None:
        return None
    enough = max(fewest, needed(size, sd, LEVEL / family) if sd else fewest)
    # Enough to find the margin, and yet undecided: the interval straddles the margin. Half as wide it lies on one side.
    return 2 * n if verdict == "cannot tell: needs about n seeds" and enough <= n else enough
