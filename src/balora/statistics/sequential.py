"""Judge a study that looks at its results several times and stops when they suffice: a group-sequential design.

A study looks at its comparisons after n_1 < … < n_K blocks. Of the error level α, the first k looks together may use
α·(n_k/n_K)^ρ (Kim and DeMets 1987), and look k rejects where |Z| ≥ c_k, with c_k from
P(|Z_j| < c_j for j < k, |Z_k| ≥ c_k) = α·(t_k^ρ − t_(k−1)^ρ) (Lan and DeMets 1983), which is summed up over Brownian
motion at t_k = n_k/n_K (Armitage, McPherson and Rowe 1969). As nominal levels, 2·(1 − Φ(c_k)), these boundaries serve
for tests other than the normal one (Jennison and Turnbull 2000, §3.8 and §11.5).

- The interval at a look is the t-interval at the look's nominal level (a repeated confidence interval: Jennison and
  Turnbull 1989). All looks together cover with probability 1 − α, and so does the one at which a comparison stops, for
  whatever reason it stops.
- The p of a comparison is the smallest α with which it would have been rejected by now (Liu and Anderson 2008).
- Over a family these p are corrected by Holm; what is rejected stays rejected (Ye, Li, Liu and Yao 2013).

A comparison is decided at the first look at which it helps, hurts, has no difference larger than the margin, or is the
same in every block; from then on its numbers are those of this look. docs/statistics.md has simulations of these
rules.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import erfc, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from balora.statistics.family import holm
from balora.statistics.paired import LEVEL, deviation, sign_flip_p, t_p
from balora.statistics.student import critical
from balora.statistics.verdict import Comparison, Paired, Verdict, judged

RHO = 1.0
"""ρ of the spending function; 1 spends in proportion to the blocks."""
NODES = 40
"""Nodes of the Gauss-Legendre rule between the boundaries."""
NEWTON = 30
"""Most steps of Newton's iteration for a boundary."""
CLOSE = 1e-13
TABLE = np.concatenate((np.geomspace(1e-9, 0.5, 100), np.linspace(0.5, 0.999, 20)[1:]))
"""Error levels for which nominal levels are computed; between them a p is interpolated, to within 0.04 % of itself."""
NORMAL = NormalDist()
_erfc = np.frompyfunc(erfc, 1, 1)
SMALLEST = 1e-300
"""Stands for a p of 0, whose logarithm is none."""
DECIDED = (Verdict.HELPS, Verdict.HURTS, Verdict.ABOVE, Verdict.BELOW, Verdict.BOUNDED, Verdict.SAME)


class Stages(NamedTuple):
    """One comparison of a sequential study: what is known of it at each look so far."""

    differences: tuple[tuple[float, ...], ...]
    """By look: the paired differences of all blocks up to it."""
    paired: Paired
    """Its margin, direction and widening; its differences are those of the last look."""


def levels(looks: Sequence[int], alpha: float = LEVEL) -> tuple[float, ...]:
    """Return the nominal two-sided level of the test at each of ``looks``, which together make ``alpha``."""
    return _cached_levels(tuple(looks), alpha)


@lru_cache(maxsize=256)
def _cached_levels(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    return tuple(float(level) for level in _levels(looks, np.array([alpha]))[:, 0])


def sequential_p(ps: Sequence[float], looks: Sequence[int]) -> float:
    """Return the smallest error level with which one of the tests so far, one p a look, would have rejected."""
    table = np.log(_table(tuple(looks)))
    found = (
        np.interp(np.log(max(p, SMALLEST)), at, np.log(TABLE), right=0.0) for p, at in zip(ps, table, strict=False)
    )
    return min((float(np.exp(one)) for one in found), default=1.0)


def judge_stages(family: Sequence[Stages], looks: Sequence[int]) -> list[Comparison]:
    """Judge the comparisons of a declared family at every look so far, and return each as of the look that decided it.

    Args:
        family: each with as many looks of ``differences`` as there were, one at least.
        looks: all looks that were planned.
    """
    known: list[Comparison | None] = [None] * len(family)
    ps: list[list[float]] = [[] for _ in family]
    for number in range(max((len(one.differences) for one in family), default=0)):
        now = [_at(one, number) for one in family]
        for place, paired in enumerate(now):
            if not _is_decided(known[place]):
                ps[place].append(_p(paired))
        adjusted = holm([sequential_p(known_ps, looks) for known_ps in ps])
        for place, paired in enumerate(now):
            if not _is_decided(known[place]):
                known[place] = _judged(paired, ps[place], adjusted[place], looks, number, len(family))
    return [one for one in known if one is not None]


def judge_alone(one: Stages, looks: Sequence[int]) -> Comparison:
    """Judge a comparison in no family at the last look so far, with the interval and the p of that look."""
    ps = [_p(_at(one, number)) for number in range(len(one.differences))]
    found = _judged(_at(one, len(ps) - 1), ps, None, looks, len(ps) - 1, 1)
    return replace(found, look=None, family=None, adjusted_p=None)


def widening_of(n: int, looks: Sequence[int], number: int) -> float:
    """Return by how much the interval of ``n`` ≥ 2 blocks at look ``number`` is wider than a fixed study's."""
    return critical(n - 1, levels(looks)[number] / 2) / critical(n - 1, LEVEL / 2)


def _at(one: Stages, number: int) -> Paired:
    return one.paired._replace(differences=one.differences[min(number, len(one.differences) - 1)])


def _is_decided(one: Comparison | None) -> bool:
    return one is not None and one.verdict in DECIDED


def _p(paired: Paired) -> float:
    """Return the p of one look: the exact test's, or where it is larger that of the t-test that makes the interval."""
    if len(paired.differences) < 2 or not any(paired.differences):
        return 1.0
    of_t = t_p(paired.differences, paired.widening) if deviation(paired.differences) else 0.0
    return max(of_t, sign_flip_p(paired.differences)) if of_t <= LEVEL else of_t


def _judged(
    paired: Paired, ps: Sequence[float], adjusted: float | None, looks: Sequence[int], number: int, family: int
) -> Comparison:
    n = len(paired.differences)
    if n < 2:
        return judged(paired, None, None, family)
    wider = paired._replace(widening=paired.widening * widening_of(n, looks, number))
    found = judged(wider, sequential_p(ps, looks), adjusted, family)
    return replace(found, look=looks[number] if found.verdict in DECIDED else None)


@lru_cache(maxsize=64)
def _table(looks: tuple[int, ...]) -> np.ndarray:
    return _levels(looks, TABLE)


def _levels(looks: tuple[int, ...], alphas: np.ndarray) -> np.ndarray:
    """Return looks × ``alphas``, the nominal levels, by the recursion of the module's docstring."""
    times = np.array(looks) / looks[-1]
    spent = np.diff(times**RHO, prepend=0.0)[:, None] * alphas
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    found = np.empty((len(looks), len(alphas)))
    points = np.zeros((1, len(alphas)))  # where the motion may be, given that no boundary was crossed
    masses = np.ones((1, len(alphas)))
    for k, step in enumerate(np.diff(times, prepend=0.0)):
        farthest = sqrt(times[k]) * np.array([-NORMAL.inv_cdf(one / 2) for one in spent[k]])
        bounds = _bounds(points, masses, sqrt(step), spent[k], farthest)
        found[k] = 2 * _above(bounds / sqrt(times[k]))
        inside = nodes[:, None] * bounds
        density = (_normal((inside[:, None, :] - points) / sqrt(step)) * masses).sum(axis=1) / sqrt(step)
        points, masses = inside, density * weights[:, None] * bounds
    return found


def _bounds(points: np.ndarray, masses: np.ndarray, step: float, spent: np.ndarray, farthest: np.ndarray) -> np.ndarray:
    """Return the boundary ±b beyond which the next position, symmetric around 0, lies with probability ``spent``.

    By Newton's iteration on the logarithm of the tail, which is concave, down from ``farthest``: the boundary of a
    motion that was free before.
    """
    bounds = farthest
    for _ in range(NEWTON):
        distances = (bounds - points) / step
        beyond = 2 * (_above(distances) * masses).sum(axis=0)
        slopes = 2 * (_normal(distances) * masses).sum(axis=0) / step
        moves = np.log(beyond / spent) * beyond / slopes
        bounds = bounds + moves
        if np.abs(moves).max() < CLOSE:
            break
    return bounds


def _normal(z: np.ndarray) -> np.ndarray:
    """Return the standard normal density."""
    values: np.ndarray = np.exp(-(z**2) / 2) / sqrt(2 * np.pi)
    return values


def _above(z: np.ndarray) -> np.ndarray:
    """Return P(Z > z)."""
    return 0.5 * np.asarray(_erfc(z * sqrt(0.5)), dtype=np.float64)
