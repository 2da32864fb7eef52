"""Judge paired differences: interval, p, and one of nine verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from balora.statistics.family import fewest_blocks, holm
from balora.statistics.paired import LEVEL, deviation, sign_flip_p, smallest_p, t_interval, t_p
from balora.statistics.power import detectable, hedges, needed


class Verdict(StrEnum):
    """What a paired difference shows. The values are what records and files hold; a report words them its own way.

    docs/statistics.md defines when each is given.
    """

    HELPS = "helps"
    """The interval leaves out 0 and p ≤ 0.05, Holm's where the comparison is in a family."""
    HURTS = "hurts"
    ABOVE = "above 0"
    """As *helps*, for an interaction, where neither side is the good one."""
    BELOW = "below 0"
    BOUNDED = "no difference larger than x"
    """The whole interval lies within ± the margin; x, its farther end, is in `Comparison.bound`."""
    UNDECIDED = "cannot tell: needs about n seeds"
    """n is in `Comparison.needed`."""
    SAME = "the same in every seed"
    ONE_SEED = "cannot tell: one seed"
    NO_SEED = "cannot tell: no seed in common"


class Paired(NamedTuple):
    """What a comparison is made from: the paired differences, and the smallest one that would matter."""

    differences: Sequence[float]
    """One a block."""
    margin: float
    """The smallest difference that would matter, in the unit of the differences."""
    higher_is_better: bool | None = True
    """None for an interaction, which is neither good nor bad."""
    widening: float = 1.0
    """By how much the mean varies more than the differences alone show; above 1 for a tuned arm."""


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
    look: int | None = None
    """In a study that goes on until it is answered: after how many blocks this was decided; none while it is open."""


def compare(paired: Paired) -> Comparison:
    """Judge one comparison alone, without a correction."""
    return judged(paired, _p(paired), None, None)


def compare_family(family: Sequence[Paired]) -> list[Comparison]:
    """Judge the comparisons of a declared family, with p corrected over all of them."""
    ps = [_p(paired) for paired in family]
    return [judged(*known, len(family)) for known in zip(family, ps, holm(ps), strict=True)]


def _p(paired: Paired) -> float | None:
    if len(paired.differences) < 2:
        return None
    p = sign_flip_p(paired.differences)
    return p if paired.widening == 1 else max(p, t_p(paired.differences, paired.widening))


def judged(paired: Paired, p: float | None, adjusted: float | None, family: int | None) -> Comparison:
    """Return the comparison of ``paired`` with its p, and with the one corrected in a family of so many."""
    n = len(paired.differences)
    if n == 0:
        return Comparison(0, None, None, None, None, None, Verdict.NO_SEED, family=family)
    mean = float(np.mean(paired.differences))
    if p is None:
        return Comparison(1, mean, None, None, None, None, Verdict.ONE_SEED, family=family)
    low, high = t_interval(paired.differences, widening=paired.widening)
    verdict = verdict_of(paired, low, high, p if adjusted is None else adjusted)
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
        needed=needed_units(n, max(paired.margin, abs(mean)), spread, family or 1, verdict),
        bound=max(abs(low), abs(high)) if verdict is Verdict.BOUNDED else None,
        family=family,
    )


def verdict_of(paired: Paired, low: float, high: float, p: float) -> Verdict:
    """Return the verdict that an interval and a p, corrected in a family, earn."""
    if not np.any(paired.differences):
        return Verdict.SAME
    if p <= LEVEL and not low <= 0 <= high:
        if paired.higher_is_better is None:
            return Verdict.ABOVE if low > 0 else Verdict.BELOW
        return Verdict.HELPS if (low > 0) is paired.higher_is_better else Verdict.HURTS
    if low < high and max(abs(low), abs(high)) <= paired.margin:
        return Verdict.BOUNDED
    return Verdict.UNDECIDED


def needed_units(n: int, size: float, sd: float, family: int, verdict: Verdict) -> int | None:
    """Return how many blocks would settle it; none where no number of them reaches the family's level."""
    fewest = fewest_blocks(family)
    if fewest is None:
        return None
    enough = max(fewest, needed(size, sd, LEVEL / family) if sd else fewest)
    # Enough to find the margin, and yet undecided: the interval straddles the margin. Half as wide it lies on one side.
    return 2 * n if verdict is Verdict.UNDECIDED and enough <= n else enough
