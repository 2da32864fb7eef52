"""Compute tails and critical values of Student's t, central and noncentral, without scipy, whose import takes 0.6 s.

T = (Z + δ)/S with Z normal and S = √(χ²_m/m) independent of it, so P(T > t) = E[Φ(δ − t·S)]. The mean over S is taken
on the scale of log S, where its density is smooth, and falls off faster than exponentially on the right and as e^(m·u)
on the left: there the trapezoid rule is exact to rounding with a few hundred points.
"""

from functools import lru_cache
from math import erfc, sqrt
from statistics import NormalDist

import numpy as np

POINTS = 400
NEGLIGIBLE = 1e-19
STEPS = 100
CLOSE = 1e-14
"""Relative step at which Newton's iteration ends."""
ROOT = sqrt(0.5)
NORMAL = NormalDist()


def above(t: float, degrees: float, shift: float = 0.0) -> float:
    """Return P(T > t) for T with ``degrees`` > 0 degrees of freedom and noncentrality ``shift``."""
    return sum(weight * 0.5 * erfc((t * size - shift) * ROOT) for size, weight in chi_values(degrees))


@lru_cache(maxsize=4096)
def critical(degrees: float, tail: float) -> float:
    """Return the t that a central T exceeds with probability ``tail`` < 1/2.

    By Newton's iteration from the normal quantile: it is smaller, and P(T > t) is convex, so that no step goes too far.
    """
    t = NORMAL.inv_cdf(1 - tail)
    for _ in range(STEPS):
        density = sum(weight * size * NORMAL.pdf(t * size) for size, weight in chi_values(degrees))
        step = (above(t, degrees) - tail) / density
        t += step
        if abs(step) <= CLOSE * t:
            break
    return t


@lru_cache(maxsize=64)
def chi_values(degrees: float) -> list[tuple[float, float]]:
    """Return values of S with their probabilities; log S has the density 2(m/2)^(m/2)/Γ(m/2)·e^(m·u − m·e^(2u)/2)."""
    width = 12 / sqrt(2 * degrees)
    logs = np.linspace(-width - 40 / degrees, width, POINTS)
    logarithms = degrees * logs - degrees / 2 * np.exp(2 * logs)
    weights = np.exp(logarithms - logarithms.max())
    weights /= weights.sum()
    return [(s, w) for s, w in zip(np.exp(logs).tolist(), weights.tolist(), strict=True) if w > NEGLIGIBLE]
