"""Compute the power of the paired t-test, the blocks it needs, and the standardised effect.

A difference of δ with standard deviation σ over n blocks gives t a noncentral distribution with n − 1 degrees of
freedom and noncentrality δ·√n/σ.
"""

from functools import lru_cache
from math import ceil, exp, lgamma, log, sqrt
from statistics import NormalDist

from balora.statistics.paired import LEVEL
from balora.statistics.student import above, critical

POWER = 0.8
"""The chance of finding a true difference that a design should have."""
HALVINGS = 60
NORMAL = NormalDist()


def power(n: int, effect: float, level: float = LEVEL) -> float:
    """Return the chance that a two-sided paired t-test of ``n`` ≥ 2 blocks finds a mean of ``effect`` = δ/σ."""
    return _power(n - 1, abs(effect) * sqrt(n), level)


def _power(degrees: int, noncentrality: float, level: float) -> float:
    beyond = critical(degrees, level / 2)
    return above(beyond, degrees, noncentrality) + above(beyond, degrees, -noncentrality)


def detectable(n: int, sd: float, level: float = LEVEL) -> float:
    """Return the smallest true mean that ``n`` ≥ 2 blocks of standard deviation ``sd`` find with 80 % power."""
    return _noncentrality(n - 1, level) * sd / sqrt(n)


@lru_cache(maxsize=4096)
def _noncentrality(degrees: int, level: float) -> float:
    low, high = 0.0, 1.0
    while _power(degrees, high, level) < POWER:
        high *= 2
    for _ in range(HALVINGS):
        if high - low <= 1e-12 * high:
            break
        middle = (low + high) / 2
        low, high = (middle, high) if _power(degrees, middle, level) < POWER else (low, middle)
    return high


def needed(size: float, sd: float, level: float = LEVEL) -> int:
    """Return the fewest blocks that find a true mean of ``size`` > 0 with 80 % power.

    Upwards from the normal approximation, ((z₁₋α/₂ + z₀.₈)·sd/size)², which is never more than the t-test needs.
    """
    n = max(2, ceil(((NORMAL.inv_cdf(1 - level / 2) + NORMAL.inv_cdf(POWER)) * sd / size) ** 2))
    while n <= LARGE and power(n, size / sd, level) < POWER:
        n += 1
    return n


LARGE = 5_000
"""Blocks beyond which the normal approximation is the answer: it is at most a few too low."""


def hedges(n: int, mean: float, sd: float) -> float | None:
    """Return mean/sd with Hedges' exact small-sample correction; None below three blocks or without spread.

    J(m) = Γ(m/2) / (√(m/2)·Γ((m − 1)/2)) with m = n − 1 (Hedges 1981): d_z alone is too large on average by 1/J.
    """
    if n < 3 or sd == 0:
        return None
    m = n - 1
    return mean / sd * exp(lgamma(m / 2) - lgamma((m - 1) / 2) - log(m / 2) / 2)
