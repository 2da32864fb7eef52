"""Compare the systems of a score table pair by pair: means, intervals, exact tests, corrections, verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from balora.comparing.pairing import check_pairs
from balora.comparing.score_range import Range, range_of
from balora.comparing.score_table import ItemScore, Key, ScoreTable, SystemScores
from balora.errors import InputError, shown
from balora.statistics import Comparison, Estimate, estimate, joint_interval, judge_family

Over = Literal["items", "seeds"]
MARGIN = 1.0
"""Points of 100 that are the smallest difference that matters, unless another margin is given."""


@dataclass(frozen=True)
class SystemMean:
    """One system: where its scores are from, and their means in points of 100."""

    name: str
    source: str
    mean: float
    """Over the tasks, each with the same weight."""
    tasks: dict[str, float]


@dataclass(frozen=True)
class TaskFacts:
    """One task: by what it is scored, and on how many items."""

    name: str
    metric: str
    items: int
    clusters: int | None
    """None where every item stands alone."""


@dataclass(frozen=True)
class TaskDifference:
    """The difference of two systems in one task: descriptive, in no family."""

    task: str
    difference: float
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True)
class PairResult:
    """One system against another one."""

    system: str
    against: str
    paired: Comparison
    test: str | None
    """How p was computed: `binomial` (McNemar's exact test), `exact` or `sampled` sign flips."""
    patterns: int | None
    """How many patterns of signs were sampled."""
    higher: int
    """Scores (of an item in a seed) that are higher for ``system``, lower, and equal."""
    lower: int
    equal: int
    joint: tuple[float, float] | None
    """The interval over seeds and items together."""
    tasks: tuple[TaskDifference, ...]


@dataclass(frozen=True)
class Compared:
    """Everything that a comparison shows."""

    systems: tuple[SystemMean, ...]
    tasks: tuple[TaskFacts, ...]
    results: tuple[PairResult, ...]
    over: Over
    noun: str
    """What is resampled: `item`, `cluster` or `seed`."""
    seeds: int
    """How many seeds every item was scored with; 0 where the scores name none."""
    range: Range
    margin: float
    higher_is_better: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Rows:
    """The scores of all systems as arrays, in points of 100: one column a system, one row a key."""

    keys: list[Key]
    places: dict[str, list[int]]
    """Of every task the numbers of its rows."""
    points: dict[str, np.ndarray]
    clusters: np.ndarray | None
    """Number of each row's cluster, from 0 on in each task."""


def compare_systems(
    table: ScoreTable,
    *,
    margin: float = MARGIN,
    all_pairs: bool = False,
    over: Over | None = None,
    scale: tuple[float, float] | None = None,
    lower_is_better: bool = False,
    other_prompts: bool = False,
) -> Compared:
    """Compare every system with the first, or (``all_pairs``) with each before it.

    Args:
        table: the systems; items must pair up.
        margin: the smallest difference that matters, in points of 100.
        all_pairs: compare every pair; the family is larger then.
        over: what is resampled: seeds where there are several, else items.
        scale: worst and best possible score; found from the scores without it.
        lower_is_better: the lower score is the better one (a loss, an error).
        other_prompts: see :func:`balora.comparing.pairing.check_pairs`.

    Raises:
        InputError: items do not pair up, scores lie outside their range, or there are no seeds to resample.
    """
    if not 0 < margin < float("inf"):
        raise InputError(f"--margin {margin:g}: the margin is a positive number of points of 100")
    chosen, seeds = _chosen(table, over)
    table = averaged(table) if seeds and chosen == "items" else table
    notes = table.notes + check_pairs(table, other_prompts=other_prompts)
    bounds = range_of(table, scale)
    rows = _rows(table, bounds)
    pairs = [(b, a) for a, b in combinations([one.name for one in table.systems], 2)]
    pairs = pairs if all_pairs else [pair for pair in pairs if pair[1] == table.systems[0].name]
    estimates = [_estimate(rows, table.tasks, *pair, chosen) for pair in pairs]
    better = _better(table, lower_is_better)
    found = judge_family(estimates, margin, higher_is_better=better)
    noun = "seed" if chosen == "seeds" else "item" if rows.clusters is None else "cluster"
    return Compared(
        systems=tuple(_mean(rows, one, table.tasks) for one in table.systems),
        tasks=tuple(_facts(rows, task, table.systems[0].metrics.get(task, "")) for task in table.tasks),
        results=tuple(
            _result(rows, table.tasks, *known, chosen) for known in zip(pairs, found, estimates, strict=True)
        ),
        over=chosen,
        noun=noun,
        seeds=len(seeds),
        range=bounds,
        margin=margin,
        higher_is_better=better,
        notes=notes,
    )


def _chosen(table: ScoreTable, over: Over | None) -> tuple[Over, list[str]]:
    """Return what is resampled, and the seeds of the first system."""
    seeds = sorted({key.seed for one in table.systems for key in one.scores} - {""})
    if over == "seeds" and len(seeds) < 2:
        there = f"one seed ({shown(seeds[0])})" if seeds else "no named seed"
        raise InputError(
            f"--over seeds: the scores are of {there}: score with several seeds and name them in a column `seed`, or "
            "use --over items"
        )
    return over or ("seeds" if len(seeds) > 1 else "items"), seeds


def _better(table: ScoreTable, lower_is_better: bool) -> bool:
    """Return whether the higher score is the better one: as told, else as the sources say, else yes."""
    said = next((one.higher_is_better for one in table.systems if one.higher_is_better is not None), None)
    return not lower_is_better and said is not False


def averaged(table: ScoreTable) -> ScoreTable:
    """Return the table with the mean of each item over its seeds in place of its scores."""
    return ScoreTable(tuple(map(_averaged, table.systems)), table.notes)


def _averaged(system: SystemScores) -> SystemScores:
    items: dict[Key, list[ItemScore]] = {}
    for key, score in system.scores.items():
        items.setdefault(Key(key.task, key.item), []).append(score)
    means = {key: all_[0]._replace(score=sum(one.score for one in all_) / len(all_)) for key, all_ in items.items()}
    return SystemScores(system.name, system.source, means, system.metrics, system.higher_is_better, system.notes)


def _rows(table: ScoreTable, bounds: Range) -> _Rows:
    keys = list(table.systems[0].scores)
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key.task, []).append(place)
    points = {
        one.name: (np.array([one.scores[key].score for key in keys]) - bounds.low) * bounds.factor
        for one in table.systems
    }
    if not table.clustered:
        return _Rows(keys, places, points, None)
    numbers: dict[str, dict[str, int]] = {}
    clusters = []
    for key in keys:
        known = numbers.setdefault(key.task, {})
        clusters.append(known.setdefault(table.systems[0].scores[key].cluster, len(known)))
    return _Rows(keys, places, points, np.array(clusters))


def _differences(rows: _Rows, tasks: Sequence[str], system: str, against: str) -> dict[str, np.ndarray]:
    return {task: (rows.points[system] - rows.points[against])[rows.places[task]] for task in tasks}


def _estimate(rows: _Rows, tasks: Sequence[str], system: str, against: str, over: Over) -> Estimate:
    found = _differences(rows, tasks, system, against)
    if over == "seeds":
        return estimate([np.array(list(_by_seed(rows, found).values()))])
    return estimate(
        list(found.values()), None if rows.clusters is None else [rows.clusters[rows.places[t]] for t in tasks]
    )


def _by_seed(rows: _Rows, differences: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the mean over the tasks of each seed."""
    means: dict[str, list[float]] = {}
    for task, values in differences.items():
        seeds = np.array([rows.keys[place].seed for place in rows.places[task]])
        for seed in dict.fromkeys(seeds.tolist()):
            means.setdefault(seed, []).append(float(values[seeds == seed].mean()))
    for seed, found in means.items():
        if len(found) < len(differences):
            raise InputError(
                f"seed {shown(seed)} has scores of {len(found)} of {len(differences)} tasks: score it on all of them, "
                "leave it out, or pass --over items"
            )
    return {seed: sum(found) / len(found) for seed, found in means.items()}


def _result(
    rows: _Rows, tasks: Sequence[str], pair: tuple[str, str], found: Comparison, one: Estimate, over: Over
) -> PairResult:
    differences = _differences(rows, tasks, *pair)
    values = np.concatenate(list(differences.values()))
    higher, lower = int((values > 0).sum()), int((values < 0).sum())
    return PairResult(
        *pair,
        paired=found,
        test=one.test.method if one.test else None,
        patterns=one.test.patterns if one.test else None,
        higher=higher,
        lower=lower,
        equal=len(values) - higher - lower,
        joint=_joint(rows, differences) if over == "seeds" else None,
        tasks=tuple(_task_difference(rows, task, *pair, over) for task in tasks) if len(tasks) > 1 else (),
    )


def _task_difference(rows: _Rows, task: str, system: str, against: str, over: Over) -> TaskDifference:
    one = _estimate(rows, [task], system, against, over)
    low, high = one.interval or (None, None)
    return TaskDifference(task, one.mean, low, high, one.test.p if one.test else None)


def _joint(rows: _Rows, differences: dict[str, np.ndarray]) -> tuple[float, float] | None:
    """Return the interval over seeds and items (or clusters); None where some seed lacks an item."""
    grids = [_grid(rows, task, values) for task, values in differences.items()]
    whole = [grid / 100 for grid in grids if grid is not None]
    if len(whole) < len(grids):
        return None
    return joint_interval(list(_by_seed(rows, differences).values()), whole, len(grids))


def _grid(rows: _Rows, task: str, values: np.ndarray) -> np.ndarray | None:
    """Return differences of one task as seeds × items; the items of a cluster become one."""
    places = rows.places[task]
    seeds = {seed: i for i, seed in enumerate(dict.fromkeys(rows.keys[place].seed for place in places))}
    items = {item: i for i, item in enumerate(dict.fromkeys(rows.keys[place].item for place in places))}
    if len(places) != len(seeds) * len(items):
        return None
    grid = np.zeros((len(seeds), len(items)))
    of_item = np.zeros(len(items), dtype=int)
    for place, value in zip(places, values.tolist(), strict=True):
        key = rows.keys[place]
        grid[seeds[key.seed], items[key.item]] = value
        of_item[items[key.item]] = items[key.item] if rows.clusters is None else rows.clusters[place]
    if rows.clusters is None:
        return grid
    count = int(of_item.max()) + 1
    return np.stack([np.bincount(of_item, weights=line, minlength=count) for line in grid]) * count / len(items)


def _mean(rows: _Rows, system: SystemScores, tasks: Sequence[str]) -> SystemMean:
    means = {task: float(rows.points[system.name][rows.places[task]].mean()) for task in tasks}
    return SystemMean(system.name, system.source, sum(means.values()) / len(means), means)


def _facts(rows: _Rows, task: str, metric: str) -> TaskFacts:
    places = rows.places[task]
    items = len({rows.keys[place].item for place in places})
    clusters = None if rows.clusters is None else len(set(rows.clusters[places].tolist()))
    return TaskFacts(task, metric, items, clusters)
