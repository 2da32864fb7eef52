"""Estimate a mean paired difference over items that may lie in clusters and in several tasks, and judge it.

The mean over T tasks counts each task once: D = Σ_t d̄_t/T. The standard error is that of Miller 2024 ("Adding Error
Bars to Evals", arXiv:2411.00640: paired differences, clustered standard errors): U_c is the sum of the deviations from
d̄_t within cluster c, and Var(d̄_t) = G/(G − 1)·Σ_c U_c²/n². With every item a cluster of its
own this is the paired t-test's s²/n. The factor G/(G − 1), which the paper leaves out, is the usual small-sample
correction; the interval takes Student's t with G − 1 degrees of freedom, over several tasks with Welch's and
Satterthwaite's.
"""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

from balora.statistics.family import holm
from balora.statistics.paired import CONFIDENCE, ROUNDING
from balora.statistics.power import detectable, hedges
from balora.statistics.sign_test import SignTest, sign_test
from balora.statistics.student import critical
from balora.statistics.verdict import Comparison, Paired, Verdict, needed_units, verdict_of


class Estimate(NamedTuple):
    """A mean difference, how certain it is, and the exact test of it."""

    mean: float
    error: float | None
    """Standard error; None where a task has only one unit."""
    degrees: float | None
    units: int
    """How many items or clusters (of all tasks together) differ independently."""
    test: SignTest | None
    is_zero: bool
    """Whether every single difference is 0."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean; None without a standard error."""
        if self.error is None or self.degrees is None:
            return None
        half = critical(self.degrees, (1 - CONFIDENCE) / 2) * self.error
        return self.mean - half, self.mean + half


def estimate(tasks: Sequence[np.ndarray], clusters: Sequence[np.ndarray | None] | None = None) -> Estimate:
    """Return the mean of ``tasks``' means with its standard error and its test.

    Args:
        tasks: the differences of each task, one an item; no task is empty.
        clusters: of each task the number of every item's cluster, from 0 on without gaps; None: each item is its own.
    """
    shared = clusters or [None] * len(tasks)
    sums, sizes = zip(*(_units(one, of) for one, of in zip(tasks, shared, strict=True)), strict=True)
    means = [float(one.mean()) for one in tasks]
    mean, units = sum(means) / len(means), sum(map(len, sums))
    is_zero = not any(one.any() for one in tasks)
    if min(map(len, sums)) < 2:
        return Estimate(mean, None, None, units, None, is_zero)
    weights = [1 / (len(tasks) * len(one)) for one in tasks]
    parts = [(w * _error(s, n, m), len(s) - 1) for w, s, n, m in zip(weights, sums, sizes, means, strict=True)]
    largest = max(float(np.abs(one).max()) for one in tasks)
    error = sqrt(sum(part**2 for part, _ in parts))
    error = error if error * sqrt(units) > ROUNDING * largest else 0.0
    test = sign_test(np.concatenate([w * s for w, s in zip(weights, sums, strict=True)]))
    return Estimate(mean, error, _degrees(parts), units, test, is_zero)


def _units(differences: np.ndarray, clusters: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of the differences in each cluster, and how many items it has."""
    if clusters is None:
        return differences, np.ones(len(differences))
    return np.bincount(clusters, weights=differences), np.bincount(clusters)


def _error(sums: np.ndarray, sizes: np.ndarray, mean: float) -> float:
    """Return n times the standard error of a task's mean: √(G/(G − 1)·Σ U²) with U = Σ d − size·d̄ of each cluster."""
    count = len(sums)
    return sqrt(count / (count - 1) * float(((sums - sizes * mean) ** 2).sum()))


def _degrees(parts: Sequence[tuple[float, int]]) -> float:
    """Return Welch's and Satterthwaite's degrees of freedom of a sum of variances; ``parts`` are (error, degrees)."""
    if len(parts) == 1:
        return parts[0][1]
    below = sum(part**4 / degrees for part, degrees in parts)
    return sum(part**2 for part, _ in parts) ** 2 / below if below else float(sum(degrees for _, degrees in parts))


def judge_family(family: Sequence[Estimate], margin: float, *, higher_is_better: bool = True) -> list[Comparison]:
    """Judge the estimates of a declared family; p is corrected by Holm over all of it."""
    adjusted = holm([one.test.p if one.test else None for one in family])
    pairs = [Paired([] if one.is_zero else [1.0], margin, higher_is_better) for one in family]
    return [_judged(*known, len(family)) for known in zip(family, pairs, adjusted, strict=True)]


def _judged(one: Estimate, paired: Paired, adjusted: float | None, family: int) -> Comparison:
    if one.test is None or one.interval is None or one.error is None or adjusted is None:
        return Comparison(one.units, one.mean, None, None, None, None, Verdict.ONE_SEED, family=family)
    low, high = one.interval
    sd = one.error * sqrt(one.units)
    verdict = verdict_of(paired, low, high, adjusted)
    return Comparison(
        n=one.units,
        mean=one.mean,
        low=low,
        high=high,
        p=one.test.p,
        smallest_p=one.test.smallest,
        verdict=verdict,
        adjusted_p=adjusted,
        effect_size=hedges(one.units, one.mean, sd),
        detectable=detectable(one.units, sd) if sd else None,
        needed=needed_units(one.units, max(paired.margin, abs(one.mean)), sd, family, verdict),
        bound=max(abs(low), abs(high)) if verdict is Verdict.BOUNDED else None,
        family=family,
    )
