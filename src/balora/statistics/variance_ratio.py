"""Compute tails and critical values of the F distribution, without scipy, whose import takes 0.6 s.

F = (X/m)/S² with X ~ χ²_m, and S² = χ²_k/k independent of it, so P(F > f) = E[P(X > m·f·S²)]: a mean over S, as that
by which Student's t is computed. For whole m the tail of χ² is a finite sum (Abramowitz and Stegun 26.4.4 and 26.4.5).
"""

from functools import lru_cache
from math import erfc, exp, lgamma

import numpy as np

from balora.statistics.student import chi_values

HALVINGS = 200
CLOSE = 1e-13


def f_above(f: float, over: int, under: float) -> float:
    """Return P(F > f) for F with ``over`` (a whole number) and ``under`` degrees of freedom."""
    if f <= 0:
        return 1.0
    sizes, weights = np.array(chi_values(under)).T
    return float((weights * _chi_square_above(over * f * sizes**2, over)).sum())


def _chi_square_above(x: np.ndarray, degrees: int) -> np.ndarray:
    """Return P(χ² > x): with h = x/2 the sum of e^(−h)·h^k/Γ(k + 1) over k = 0, 1, …, degrees/2 − 1.

    For odd ``degrees`` k = 1/2, 3/2, …, and erfc(√h) is added.
    """
    half, first = x / 2, 0.5 * (degrees % 2)
    tail = np.array([erfc(root) for root in np.sqrt(half)]) if first else np.zeros_like(half)
    for term in range(degrees // 2):
        k = first + term
        tail = tail + np.exp(k * np.log(half) - half - lgamma(k + 1))
    return tail


@lru_cache(maxsize=1024)
def f_critical(over: int, under: float, tail: float) -> float:
    """Return the f that F exceeds with probability ``tail``, by halving an interval of log f."""
    low, high = -1.0, 1.0
    while f_above(exp(low), over, under) < tail:
        low *= 2
    while f_above(exp(high), over, under) > tail:
        high *= 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if f_above(exp(middle), over, under) > tail else (low, middle)
        if high - low <= CLOSE * max(1.0, abs(high)):
            break
    return exp((low + high) / 2)
