"""What paired seeds can say: intervals, exact sign flips, factorial contrasts; numpy and scipy, no torch.

Seeds are blocks: two arms with one seed saw the same rows in the same order, so only differences within a seed are
compared. Nothing here corrects for the number of comparisons; the report prints how many there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import Literal, NamedTuple

import numpy as np

CONFIDENCE = 0.95
EXACT_UP_TO = 20
"""Blocks up to which all sign patterns are counted (2^20, a million); beyond, a seeded sample of them."""
SAMPLED = 200_000

Verdict = Literal[
    "better",
    "worse",
    "leans better",
    "leans worse",
    "above 0",
    "below 0",
    "leans above 0",
    "leans below 0",
    "no difference found",
    "the same in every seed",
    "cannot tell from one seed",
    "no seed in common",
]
"""The only words for a paired difference. *better*, *worse*: the interval leaves out 0 and p ≤ 0.05. *leans*: the
interval leaves out 0, but p does not reach 0.05. *above*, *below*: the same for an interaction, where neither side is
the good one. *no difference found* is not *no difference*."""


@dataclass(frozen=True)
class Summary:
    """Mean and spread over seeds."""

    n: int
    mean: float | None
    sd: float | None
    """Standard deviation over seeds (n − 1); none with fewer than two."""


@dataclass(frozen=True)
class Comparison:
    """Paired differences over seeds."""

    n: int
    mean: float | None
    low: float | None
    high: float | None
    """95 % t-interval of the mean difference; none with fewer than two seeds."""
    p: float | None
    """Two-sided exact sign-flip p; none with fewer than two seeds."""
    smallest_p: float | None
    """The smallest p that so many seeds can reach: 2/2^n."""
    verdict: Verdict


def summarize(values: Sequence[float]) -> Summary:
    """Return mean and standard deviation of one value a seed."""
    if not values:
        return Summary(0, None, None)
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Summary(len(values), float(np.mean(values)), sd)


def compare(differences: Sequence[float], *, higher_is_better: bool | None = True) -> Comparison:
    """Return what the paired ``differences`` (one a seed) say about their mean.

    ``higher_is_better`` is none for an interaction, which is neither good nor bad.
    """
    n = len(differences)
    if n == 0:
        return Comparison(0, None, None, None, None, None, "no seed in common")
    mean = float(np.mean(differences))
    if n == 1:
        return Comparison(1, mean, None, None, None, None, "cannot tell from one seed")
    low, high = t_interval(differences)
    p = sign_flip_p(differences)
    verdict = _verdict(differences, low, high, p, higher_is_better)
    return Comparison(n, mean, low, high, p, smallest_p(n), verdict)


def _verdict(differences: Sequence[float], low: float, high: float, p: float, higher_is_better: bool | None) -> Verdict:
    if not np.any(differences):
        return "the same in every seed"
    if low <= 0 <= high:
        return "no difference found"
    leans = p > 1 - CONFIDENCE
    if higher_is_better is None:
        if low > 0:
            return "leans above 0" if leans else "above 0"
        return "leans below 0" if leans else "below 0"
    if (low > 0) is higher_is_better:
        return "leans better" if leans else "better"
    return "leans worse" if leans else "worse"


def t_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return mean ± t·sd/√n with n − 1 degrees of freedom; ``values`` are at least two."""
    from scipy.special import stdtrit

    n, mean = len(values), float(np.mean(values))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * float(np.std(values, ddof=1)) / sqrt(n)
    return mean - half, mean + half


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the two-sided p of the mean difference when each seed's sign is as likely as its opposite.

    The share of all 2^n sign patterns whose sum is at least as far from 0 as the one observed. Beyond 20 seeds a
    sample of 200,000 patterns, always the same, with the observed one counted in.
    """
    values = np.asarray(differences, dtype=np.float64)
    observed = abs(values.sum())
    exact = len(values) <= EXACT_UP_TO
    sums = _all_sums(values) if exact else _sampled_sums(values)
    tolerance = 1e-12 * np.abs(values).sum()
    extreme = int(np.count_nonzero(np.abs(sums) >= observed - tolerance))
    return extreme / len(sums) if exact else (extreme + 1) / (len(sums) + 1)


def _all_sums(values: np.ndarray) -> np.ndarray:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums + value, sums - value))
    return sums


def _sampled_sums(values: np.ndarray) -> np.ndarray:
    generator = np.random.default_rng(0)
    sums = np.zeros(SAMPLED)
    for value in values:
        sums += value * generator.choice((-1.0, 1.0), SAMPLED)
    return sums


def smallest_p(n: int) -> float:
    """Return the smallest p of ``n`` paired seeds: only the observed signs and their opposite are as extreme."""
    return float(2.0 ** (1 - n))


Levels = tuple[str, ...]


class Contrast(NamedTuple):
    """A question that a factorial can answer, as weights of its cells."""

    factors: tuple[str, ...]
    """One: a main effect. Two: an interaction."""
    name: str
    weights: dict[Levels, float]


def contrasts(factors: Mapping[str, Sequence[str]]) -> list[Contrast]:
    """Return main effects and two-way interactions of a full factorial, each level against its factor's first.

    Main effect of b: mean over the other factors of y[b] − y[first].
    Interaction of b and d: mean over the rest of (y[b,d] − y[b,first]) − (y[first,d] − y[first,first]).
    """
    names = list(factors)
    found = []
    for i, factor in enumerate(names):
        found += [_contrast(factors, {factor: level}) for level in factors[factor][1:]]
        for other in names[:i]:
            found += [
                _contrast(factors, {other: there, factor: here})
                for there in factors[other][1:]
                for here in factors[factor][1:]
            ]
    return sorted(found, key=lambda contrast: len(contrast.factors))


def _contrast(factors: Mapping[str, Sequence[str]], raised: Mapping[str, str]) -> Contrast:
    averaged = 1
    for factor, levels in factors.items():
        averaged *= 1 if factor in raised else len(levels)
    weights: dict[Levels, float] = {}
    for cell in product(*factors.values()):
        weight = 1.0 / averaged
        for factor, level in zip(factors, cell, strict=True):
            if factor in raised:
                weight *= {raised[factor]: 1.0, factors[factor][0]: -1.0}.get(level, 0.0)
        if weight:
            weights[cell] = weight
    parts = [f"{factor}: {level} − {factors[factor][0]}" for factor, level in raised.items()]
    name = parts[0] if len(parts) == 1 else " × ".join(f"({part})" for part in parts)
    return Contrast(tuple(raised), name, weights)


def contrast_values(contrast: Contrast, cells: Mapping[Levels, Mapping[int, float]]) -> list[float]:
    """Return the contrast once for every seed that all its cells have."""
    parts = [(weight, cells.get(cell, {})) for cell, weight in contrast.weights.items()]
    shared = sorted(set.intersection(*(set(values) for _, values in parts)))
    return [sum(weight * values[seed] for weight, values in parts) for seed in shared]
