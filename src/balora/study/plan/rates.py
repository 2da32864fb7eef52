"""Choose the learning rate of each start of the adapter from the scores of a search; pure and torch-free.

The rule was fixed before any study used it: of the rates that were tried, the one with the highest mean over the seeds
of the search, less :data:`SPREADS` standard deviations over them. A rate at the edge of where training breaks has a
high mean on lucky seeds and a large spread.
"""

from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import Literal, NamedTuple

from balora.errors import ConfigError, TrainingError
from balora.settings import Family, Settings
from balora.study.plan.profiles import Rates

SPREADS = 1.0
"""How many standard deviations over the seeds are taken off the mean of a rate."""
Criterion = Literal["score", "answer loss"]


class RatePoint(Settings):
    """What one method reached at one learning rate with one seed: the mean over the tasks of a family."""

    family: Family
    start: str
    """How the adapter starts; `full` without an adapter."""
    regularized: bool
    rate: float
    seed: int
    value: float | None
    """Score in points, or answer loss in nats a token; none where a run failed, as it does when training diverges."""


class RateSearch(Settings):
    """A search for learning rates: what was tried, what came out, and what was chosen."""

    grid: tuple[float, ...]
    """The rates that were tried for every start, those of a widening included."""
    widened: bool = False
    """Whether the grid was widened because the best rate of some start lay at its end."""
    seeds: tuple[int, ...]
    criteria: dict[Family, Criterion]
    """What the rates of a family were chosen by."""
    points: tuple[RatePoint, ...]
    rates: dict[Family, dict[str, float]]
    """What was chosen, by family and start."""

    @property
    def at_the_end(self) -> tuple[tuple[Family, str], ...]:
        """The family and start of each chosen rate that lies at an end of the grid: a better one may lie beyond."""
        ends = (self.grid[0], self.grid[-1])
        return tuple(
            (f, start) for f, by_start in self.rates.items() for start, rate in by_start.items() if rate in ends
        )


class Merit(NamedTuple):
    """How one start did at one rate, over the seeds of a search."""

    rate: float
    mean: float
    """Mean over the seeds of the mean over the methods with this start, the higher the better."""
    spread: float
    """Standard deviation over the seeds; 0 with one seed."""

    @property
    def value(self) -> float:
        """What rates are chosen by."""
        return self.mean - SPREADS * self.spread


def merits(points: Iterable[RatePoint], criterion: Criterion) -> list[Merit]:
    """Return how one start did at each rate, in rising order; without the rates at which a run failed."""
    by_rate: dict[float, list[RatePoint]] = {}
    for point in points:
        by_rate.setdefault(point.rate, []).append(point)
    sign = 1.0 if criterion == "score" else -1.0
    found = []
    for rate, group in sorted(by_rate.items()):
        seeds: dict[int, list[float | None]] = {}
        for point in group:
            seeds.setdefault(point.seed, []).append(point.value)
        if not any(value is None for values in seeds.values() for value in values):
            means = [sign * fmean(value for value in values if value is not None) for values in seeds.values()]
            found.append(Merit(rate, fmean(means), stdev(means) if len(means) > 1 else 0.0))
    return found


def choose_rates(points: Sequence[RatePoint], criteria: dict[Family, Criterion]) -> dict[Family, dict[str, float]]:
    """Return the rate of each start in each family by the rule above; of equal ones the smallest.

    Raises:
        TrainingError: a start has no rate at which all of its runs ended well.
    """
    chosen: dict[Family, dict[str, float]] = {}
    for family, start in dict.fromkeys((point.family, point.start) for point in points):
        own = [point for point in points if (point.family, point.start) == (family, start)]
        found = merits(own, criteria[family])
        if not found:
            tried = ", ".join(f"{rate:g}" for rate in sorted({point.rate for point in own}))
            raise TrainingError(
                f"no learning rate for the start {start!r} in {family.upper()}: at each of {tried} a run failed: see "
                "the runs of the search in the folder `rates`, or give smaller ones with --rate-grid"
            )
        chosen.setdefault(family, {})[start] = max(found, key=lambda merit: (merit.value, -merit.rate)).rate
    return chosen


def wider(grid: Sequence[float], search: RateSearch) -> tuple[float, ...]:
    """Return the rates to add to ``grid`` where a chosen one lies at its end: two beyond, in the grid's own steps."""
    found = {rate for by_start in search.rates.values() for rate in by_start.values()}
    down, up = grid[1] / grid[0], grid[-1] / grid[-2]
    below = (rounded(grid[0] / down**2), rounded(grid[0] / down)) if grid[0] in found else ()
    above = (rounded(grid[-1] * up), rounded(grid[-1] * up**2)) if grid[-1] in found else ()
    return (*below, *above)


def rounded(rate: float) -> float:
    """Return a rate to six significant digits, as a person would write it."""
    return float(f"{rate:.6g}")


def rate_for(rates: Rates, family: Family, start: str) -> float | None:
    """Return the learning rate of ``start`` in ``family``; None where no rate of that family was looked for.

    Raises:
        ConfigError: rates are known of other starts alone.
    """
    of_family = rates.get(family)
    if of_family is None:
        return None
    if start not in of_family:
        raise ConfigError(
            f"no learning rate was found for the start {start!r} (only for {', '.join(of_family)}): give all arms one "
            "rate with --set training.learning_rate=…"
        )
    return of_family[start]
