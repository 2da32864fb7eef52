"""Compute mean, t-interval and exact sign-flip p of paired differences; numpy alone.

Seeds are blocks: two arms with one seed saw the same rows in the same order, so only differences within a seed are
compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np

from balora.statistics.student import above, critical

CONFIDENCE = 0.95
LEVEL = 0.05
"""Significance level of every test: 1 − CONFIDENCE, written out because that difference of floats is not 0.05."""
EXACT_UP_TO = 20
"""Blocks up to which all sign patterns are counted (2^20, a million); beyond, a seeded sample of them."""
SAMPLED = 200_000
ROUNDING = 1e-9
"""Relative spread of values that count as equal."""
BITS = 8
"""Signs looked up at once when patterns are sampled."""


@dataclass(frozen=True)
class Summary:
    """Mean and spread over seeds."""

    n: int
    mean: float | None
    sd: float | None
    """Standard deviation over seeds (n − 1); None with fewer than two."""


def summarize(values: Sequence[float]) -> Summary:
    """Return mean and standard deviation of one value a seed."""
    if not values:
        return Summary(0, None, None)
    sd = deviation(values) if len(values) > 1 else None
    return Summary(len(values), float(np.mean(values)), sd)


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation (n − 1); 0 where the values differ by no more than rounding."""
    sd = float(np.std(values, ddof=1))
    return sd if sd > ROUNDING * float(np.max(np.abs(values))) else 0.0


def t_interval(
    values: Sequence[float], confidence: float = CONFIDENCE, *, widening: float = 1.0
) -> tuple[float, float]:
    """Return mean ± t·sd/√n (times ``widening``) with n − 1 degrees of freedom; ``values`` are at least two."""
    n, mean = len(values), float(np.mean(values))
    half = critical(n - 1, (1 - confidence) / 2) * deviation(values) / sqrt(n) * widening
    return mean - half, mean + half


def t_p(values: Sequence[float], widening: float = 1.0) -> float:
    """Return the two-sided p of the t-test whose interval is :func:`t_interval`'s."""
    n, error = len(values), deviation(values) / sqrt(len(values)) * widening
    return 2 * above(abs(float(np.mean(values))) / error, n - 1) if error else 0.0


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the two-sided p of the mean difference when each block's sign is as likely as its opposite.

    The share of all 2^n sign patterns whose sum is at least as far from 0 as the one observed. Beyond 20 blocks a
    sample of 200,000 patterns, always the same, with the observed one counted in.
    """
    values = np.asarray(differences, dtype=np.float64)
    exact = len(values) <= EXACT_UP_TO
    # a pattern and its opposite are equally extreme: the first sign may stay
    sums = values[0] + all_sums(values[1:]) if exact else _sampled_sums(values)
    tolerance = 1e-12 * np.abs(values).sum()
    extreme = int(np.count_nonzero(np.abs(sums) >= abs(values.sum()) - tolerance))
    return extreme / len(sums) if exact else (extreme + 1) / (len(sums) + 1)


def all_sums(values: np.ndarray) -> np.ndarray:
    """Return the sum of ``values`` under every pattern of signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums + value, sums - value))
    return sums


def _sampled_sums(values: np.ndarray) -> np.ndarray:
    """Return the sums of sampled patterns: eight signs at a time, as one random byte that a table is read with."""
    sums = np.zeros(SAMPLED)
    for start, byte in zip(range(0, len(values), BITS), _sampled_bytes(len(values)), strict=True):
        sums += all_sums(values[start : start + BITS]).take(byte, mode="clip")  # bounds are known
    return sums


@lru_cache(maxsize=1)
def _sampled_bytes(n: int) -> list[np.ndarray]:
    """Return the signs of every pattern for ``n`` blocks, eight signs a byte (fewer in the last)."""
    generator = np.random.default_rng(0)
    bits = (min(BITS, n - start) for start in range(0, n, BITS))
    return [generator.integers(0, 2**width, SAMPLED, dtype=np.uint8).astype(np.intp) for width in bits]


def smallest_p(n: int) -> float:
    """Return the smallest p of ``n`` blocks: 2/2^n, as only the observed signs and their opposite are as extreme.

    Where patterns are sampled, the observed one alone: 1/200,001.
    """
    return float(2.0 ** (1 - n)) if n <= EXACT_UP_TO else 1 / (SAMPLED + 1)
