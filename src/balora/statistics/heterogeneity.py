"""Estimate how much a paired difference varies from one pre-trained model to another, and its mean over models.

A random-effects meta-analysis in which the studies are the pre-trained models. In model j = 1 … M, fine-tuning seed
k = 1 … n_j gives the difference

    d_jk = μ + a_j + e_jk,   Var(a_j) = τ²,   Var(e_jk) = σ²,   N = Σ n_j.

- τ² and σ² are those of REML (Searle, Casella and McCulloch 1992; in a balanced design τ² = (MSB − MSW)/n where
  that is above 0). This τ² is also the REML estimate of the meta-analysis of the models' means with sampling variances
  v_j = σ²/n_j (Viechtbauer 2005): both likelihoods depend on τ² in the same way.
- The mean μ̂ = Σ w_j·d̄_j/Σ w_j with w_j = 1/(τ² + v_j) has the interval of Hartung and Knapp 2001: μ̂ ± t_(M−1)·s with
  s² = Σ w_j·(d̄_j − μ̂)²/((M − 1)·Σ w_j). With one seed in every model, or as many in each, it is the t-interval over the
  models' means, whatever τ is.
- The interval of τ is the Q-profile (Viechtbauer 2007) with F in place of χ²: the values of τ² for which
  Σ w_j·(d̄_j − μ̂)²/(M − 1) lies between the 2.5 % and 97.5 % points of F with M − 1 and N − M degrees of freedom, where
  v_j = MSW/n_j. For τ²/σ² that is exact (Wald 1940), as σ² is estimated too. For τ² it is exact at 0 and conservative
  elsewhere. It leaves out 0 exactly where the F test of τ² = 0 rejects at 2.5 %.
- The prediction interval, of a new model's own mean μ + a, is that of Nagashima, Noma and Furukawa 2019: F is drawn,
  and τ² is the value at which the ratio above is that F; then μ comes from Hartung and Knapp's t around μ̂, and a from
  N(0, τ²). The usual μ̂ ± t_(M−2)·√(τ² + s²) (Higgins, Thompson and Spiegelhalter 2009) takes the estimated τ² for the
  true one, though it is often 0: where τ is half of σ it covers 84 % of new models instead of 95 %.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, sqrt

import numpy as np

from balora.statistics.paired import CONFIDENCE, ROUNDING
from balora.statistics.student import critical
from balora.statistics.variance_ratio import f_critical

GRID = 64
"""Values of the intra-class correlation among which the largest likelihood is sought, ever closer together."""
STEPS = 100
CLOSE = 1e-10
"""Relative precision of τ² and of the ends of its interval."""
TAIL = (1 - CONFIDENCE) / 2
DRAWS = 2**15
"""Draws of a new model's mean, each with both signs."""
POINTS, WIDE = 256, 5
"""Values of τ² at which its ratio is computed, from 10^−5 to 10^5 of the variance of the models' means."""


@dataclass(frozen=True)
class Heterogeneity:
    """A difference over pre-trained models: its mean, how much it varies between them, and what a new one has."""

    models: int
    tau: float
    """Standard deviation between models, τ, in the unit of the differences."""
    tau_low: float
    tau_high: float
    """95 % interval of τ."""
    sigma: float
    """Standard deviation within a model, over its fine-tuning seeds, σ."""
    mean: float
    low: float
    high: float
    """95 % interval of the mean over models like these (Hartung and Knapp)."""
    new_low: float | None
    new_high: float | None
    """95 % prediction interval of a new model's mean difference; None with fewer than three models."""

    @property
    def differs(self) -> bool:
        """Whether τ = 0 is ruled out: the effects differ between models."""
        return self.tau_low > 0


class _Groups:
    """The differences by model: how many each has, their means, and their spread within models."""

    def __init__(self, differences: Sequence[float], models: Sequence[Hashable]) -> None:
        by_model: dict[Hashable, list[float]] = {}
        for difference, model in zip(differences, models, strict=True):
            by_model.setdefault(model, []).append(difference)
        self.sizes = np.array([len(values) for values in by_model.values()], dtype=np.float64)
        self.means = np.array([np.mean(values) for values in by_model.values()])
        squares = sum(float(((np.array(values) - np.mean(values)) ** 2).sum()) for values in by_model.values())
        largest = max(map(abs, differences))
        if float(np.ptp(self.means)) <= ROUNDING * largest:
            self.means = np.full(len(self.means), self.means[0])
        self.count, self.models = len(differences), len(by_model)
        self.degrees = self.count - self.models
        self.within = squares if sqrt(squares) > ROUNDING * largest else 0.0
        """Sum of squares within models."""


def heterogeneity(differences: Sequence[float], models: Sequence[Hashable]) -> Heterogeneity | None:
    """Return the spread between models, and the mean over them; None where it cannot be told from that within.

    Args:
        differences: one a block.
        models: the pre-trained model of each block. At least two models, one of them with two blocks or more.
    """
    groups = _Groups(differences, models) if len(differences) else None
    if groups is None or groups.models < 2 or groups.degrees < 1:
        return None
    between, within = reml(differences, models)
    mean, error = _mean(groups, between, within)
    half = critical(groups.models - 1, TAIL) * error
    low, high = _tau_interval(groups)
    new_low, new_high = _prediction(groups) if groups.models > 2 else (None, None)
    return Heterogeneity(
        models=groups.models,
        tau=sqrt(between),
        tau_low=low,
        tau_high=high,
        sigma=sqrt(within),
        mean=mean,
        low=mean - half,
        high=mean + half,
        new_low=new_low,
        new_high=new_high,
    )


def reml(differences: Sequence[float], models: Sequence[Hashable]) -> tuple[float, float]:
    """Return (τ², σ²) that maximise the restricted likelihood; needs two models, one of them with two blocks.

    With σ² profiled out, minus twice its logarithm is, for θ = τ²/σ² and w_j = n_j/(1 + n_j·θ),

        (N − 1)·log(SSW + Σ w_j·(d̄_j − μ̂)²) + Σ log(1 + n_j·θ) + log Σ w_j.
    """
    groups = _Groups(differences, models)
    if groups.within == 0:
        return float(np.var(groups.means, ddof=1)), 0.0
    correlation = _smallest(lambda rho: _deviance(groups, rho / (1 - rho)))
    ratio = correlation / (1 - correlation)
    weights = groups.sizes / (1 + groups.sizes * ratio)
    within = (groups.within + float(_squares(groups.means, weights))) / (groups.count - 1)
    return ratio * within, within


def _deviance(groups: _Groups, ratios: np.ndarray) -> np.ndarray:
    scale = 1 + ratios[:, None] * groups.sizes
    weights = groups.sizes / scale
    squares = groups.within + _squares(groups.means, weights)
    found: np.ndarray = (groups.count - 1) * np.log(squares) + np.log(scale).sum(axis=1) + np.log(weights.sum(axis=1))
    return found


def _squares(means: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return Q = Σ w_j·(d̄_j − μ̂)² with μ̂ = Σ w_j·d̄_j/Σ w_j, for every row of weights."""
    total = weights.sum(axis=-1, keepdims=True)
    middle = (weights * means).sum(axis=-1, keepdims=True) / total
    squares: np.ndarray = (weights * (means - middle) ** 2).sum(axis=-1)
    return squares


def _smallest(function: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return where in 0 ≤ x < 1 a function is smallest: of a grid the best point, then of a finer one around it, …"""
    low, high = 0.0, 1 - CLOSE
    while high - low > CLOSE:
        points = np.linspace(low, high, GRID)
        best = int(np.argmin(function(points)))
        low, high = float(points[max(0, best - 1)]), float(points[min(GRID - 1, best + 1)])
    return 0.0 if low == 0.0 else (low + high) / 2


def _mean(groups: _Groups, between: float, within: float) -> tuple[float, float]:
    """Return the weighted mean over models, and the standard error of Hartung and Knapp."""
    variances = between + within / groups.sizes
    weights = 1 / variances if variances.all() else np.ones_like(variances)
    mean = float((weights * groups.means).sum() / weights.sum())
    return mean, sqrt(float(_squares(groups.means, weights)) / (groups.models - 1) / float(weights.sum()))


def _tau_interval(groups: _Groups) -> tuple[float, float]:
    """Return the values of τ that the spread of the models' means allows."""
    over, square = groups.models - 1, groups.within / groups.degrees
    if float(np.ptp(groups.means)) == 0.0:
        return 0.0, 0.0

    def ratio(between: float) -> float:
        variances = between + square / groups.sizes
        return float(_squares(groups.means, 1 / variances)) / over if variances.all() else inf

    low, high = (_crossing(ratio, f_critical(over, groups.degrees, tail), groups.means) for tail in (TAIL, 1 - TAIL))
    return sqrt(low), sqrt(high)


def _crossing(ratio: Callable[[float], float], wanted: float, means: np.ndarray) -> float:
    """Return the τ² ≥ 0 at which a falling ``ratio`` is ``wanted``; 0 where it is below that everywhere."""
    if ratio(0.0) <= wanted:
        return 0.0
    low, high = 0.0, float(np.var(means, ddof=1))
    while ratio(high) > wanted:
        low, high = high, 4 * high
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if ratio(middle) > wanted else (low, middle)
        if high - low <= CLOSE * high:
            break
    return (low + high) / 2


def _prediction(groups: _Groups) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % points of a new model's mean; draws come with both signs, so they are symmetric."""
    spread, square = float(np.var(groups.means, ddof=1)), groups.within / groups.degrees
    if spread == 0.0:
        return float(groups.means[0]), float(groups.means[0])
    between = spread * np.logspace(-WIDE, WIDE, POINTS)
    weights = 1 / (between[:, None] + square / groups.sizes)
    middles = (weights * groups.means).sum(axis=1) / weights.sum(axis=1)
    ratios = _squares(groups.means, weights) / (groups.models - 1)
    errors = np.sqrt(ratios / weights.sum(axis=1))
    drawn, students, normals = _draws(groups.models - 1, groups.degrees)
    # the grid falls from the largest ratio, at the smallest τ², which stands for 0
    place = np.interp(drawn, ratios[::-1], np.arange(POINTS - 1, -1, -1))
    middle, error, tau = (np.interp(place, np.arange(POINTS), row) for row in (middles, errors, np.sqrt(between)))
    off = error * students + tau * normals
    low, high = np.quantile(np.concatenate((middle + off, middle - off)), (TAIL, 1 - TAIL))
    return float(low), float(high)


@lru_cache(maxsize=16)
def _draws(over: int, under: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return draws of F, of Student's t with ``over`` degrees of freedom, and of a normal variable; always the same."""
    draw = np.random.default_rng(0)
    return draw.f(over, under, DRAWS), draw.standard_t(over, DRAWS), draw.standard_normal(DRAWS)
