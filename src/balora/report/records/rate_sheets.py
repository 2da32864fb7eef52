"""Show what a study, and the search before it, found at each learning rate; pure and torch-free.

An ablation of the start at one rate confounds the start with the size of its steps, so the scores over the rates stand
beside the differences between two starts: at each rate, and with each start at its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import NamedTuple

from balora.report.records.averages import Scored
from balora.report.records.measures import BySeed, Measure, differences
from balora.settings import Family, dotted
from balora.statistics import Comparison, Paired, compare, compare_family, t_interval
from balora.study.design.candidates import DesignedArm
from balora.study.design.deltas import RATE, without_base_rate
from balora.study.plan.profiles import Rates
from balora.study.plan.rates import RatePoint
from balora.study.plan.testbed_profiles import find_profile
from balora.study.store.study_folder import StudyRecord
from balora.training.record import RunRecord
from balora.training.spec import METHODS, RunSpec

MADE_OF = {"method", "adapter.init", "objective.preset", RATE}
"""Settings in which the arms of a sheet may differ."""
FEWEST = 2
"""Rates that make a sheet."""


@dataclass(frozen=True)
class RateScore:
    """One method at one learning rate."""

    method: str
    start: str
    regularized: bool
    rate: float
    n: int
    """Blocks, or seeds of the search."""
    mean: float
    low: float | None
    high: float | None
    """95 % t-interval of the mean over the blocks; none for a search, whose seeds are few, or with one block."""
    is_chosen: bool
    """Whether this is the rate of its start."""


@dataclass(frozen=True)
class RateContrast:
    """Another start against that of the base, block by block, at one rate or with each start at its own."""

    start: str
    against: str
    regularized: bool
    rate: float
    """Of the other start."""
    against_rate: float
    at_own_rates: bool
    """Whether each start has the rate that it has in this study, which may be the same for both; else both have one."""
    paired: Comparison
    """With each start at its own rate, corrected over all such comparisons of averages; at one rate, judged alone."""


@dataclass(frozen=True)
class RateSheet:
    """Scores over the learning rates in one measure."""

    key: str
    """Of the measure, or of the family and criterion of a search."""
    label: str
    unit: str
    higher_is_better: bool
    source: str
    """`blocks`, or `search`: on other seeds and rows, before the study."""
    scores: tuple[RateScore, ...]
    contrasts: tuple[RateContrast, ...] = ()
    """At each rate first, and then with each start at its own."""


def rate_sheets(
    record: StudyRecord, runs: Mapping[str, RunRecord], designed: Sequence[DesignedArm], scored: Sequence[Scored]
) -> tuple[RateSheet, ...]:
    """Return a sheet for each measure of a study whose arms have several rates, and for each family of a search."""
    specs = _specs(record, runs)
    found = [draft for one in scored if (draft := _of_blocks(record, one, designed, specs)) is not None]
    family = compare_family([one.paired for draft in found for one in draft.asked if draft.in_family(one)])
    together = iter(family)
    sheets = [draft.judged(together) for draft in found]
    return tuple(sheet for sheet in (*sheets, *_of_search(record)) if sheet.scores)


def _specs(record: StudyRecord, runs: Mapping[str, RunRecord]) -> dict[tuple[str, Family], RunSpec]:
    """Return the settings of one run of each arm in each family."""
    specs: dict[tuple[str, Family], RunSpec] = {}
    for entry in record.runs:
        if entry.id in runs:
            spec = runs[entry.id].spec
            specs.setdefault((entry.arm, spec.objective.family), spec)
    return specs


def rates_of_starts(record: StudyRecord) -> Rates:
    """Return the rates that the starts have in this study: found by its search, else those of the testbed."""
    if record.rate_search is not None:
        return record.rate_search.rates
    return find_profile(record.profile, record.model).rates or {}


def method_name(start: str, regularized: bool) -> str:
    """Return the name of the method with this start, with or without the regularizers."""
    for name, preset in METHODS.items():
        adapter, objective = preset["adapter"], preset["objective"]
        has_terms = objective["preset"] != "none"
        if adapter is not None and (adapter["init"], has_terms) == (start, regularized):
            return name
    return f"{start}+reg" if regularized else start


class _Asked(NamedTuple):
    """A comparison of two starts before it is judged."""

    start: str
    against: str
    regularized: bool
    rate: float
    against_rate: float
    at_own_rates: bool
    paired: Paired


class _Draft(NamedTuple):
    """A sheet and its comparisons before they are judged."""

    sheet: RateSheet
    asked: Sequence[_Asked]
    secondary: bool

    def in_family(self, one: _Asked) -> bool:
        """Whether ``one`` answers the question: an average, with each start at its own rate."""
        return one.at_own_rates and not self.secondary

    def judged(self, together: Iterator[Comparison]) -> RateSheet:
        """Return the sheet with its comparisons; those of the family are taken from ``together``, in order."""
        found = [next(together) if self.in_family(one) else compare(one.paired) for one in self.asked]
        pairs = zip(self.asked, found, strict=True)
        return replace(self.sheet, contrasts=tuple(RateContrast(*one[:-1], paired) for one, paired in pairs))


Point = tuple[str, bool, float]
"""Start, whether with regularizers, and rate."""


def _of_blocks(
    record: StudyRecord, scored: Scored, designed: Sequence[DesignedArm], specs: Mapping[tuple[str, Family], RunSpec]
) -> _Draft | None:
    measure = scored.measure
    points: dict[Point, BySeed] = {}
    for arm in designed:
        spec = specs.get((arm.name, measure.family))
        delta, _ = without_base_rate(arm.delta)
        if spec is None or arm.tuned is not None or not set(dotted(delta)) <= MADE_OF or not scored.by_seed[arm.name]:
            continue
        key = (spec.start, spec.objective.regularized, spec.training.learning_rate)
        points.setdefault(key, scored.by_seed[arm.name])
    if RATE not in record.study.grid or len({rate for *_, rate in points}) < FEWEST:
        return None
    own = rates_of_starts(record).get(measure.family, {})
    base = specs.get((designed[0].name, measure.family))
    asked = [] if base is None else _asked(points, base.start, own, measure, record.study.margin)
    scores = (_score(point, list(points[point].values()), own.get(point[0]) == point[2]) for point in sorted(points))
    sheet = RateSheet(
        measure.key, measure.label, measure.unit, measure.higher_is_better, source="blocks", scores=tuple(scores)
    )
    return _Draft(sheet, asked, measure.secondary)


def _score(point: Point, values: Sequence[float], is_chosen: bool, *, interval: bool = True) -> RateScore:
    start, regularized, rate = point
    low, high = t_interval(values) if interval and len(values) > 1 else (None, None)
    name = method_name(start, regularized)
    return RateScore(name, start, regularized, rate, len(values), fmean(values), low, high, is_chosen)


def _asked(
    points: Mapping[Point, BySeed], base: str, own: Mapping[str, float], measure: Measure, margin: float
) -> list[_Asked]:
    """Return the other starts against the ``base``'s: at each rate that both have, then each at its own."""
    found = []
    others = [pair for pair in dict.fromkeys((start, with_terms) for start, with_terms, _ in points) if pair[0] != base]
    for start, with_terms in others:
        rates = sorted(rate for other, terms, rate in points if (other, terms) == (start, with_terms))
        pairs = [(rate, rate, False) for rate in rates]
        if start in own and base in own:
            pairs.append((own[start], own[base], True))
        for rate, against_rate, is_own in pairs:
            here, there = points.get((start, with_terms, rate)), points.get((base, with_terms, against_rate))
            if here is None or there is None:
                continue
            paired = Paired(differences(here, there), measure.margin(margin), measure.higher_is_better)
            found.append(_Asked(start, base, with_terms, rate, against_rate, is_own, paired))
    return found


def _of_search(record: StudyRecord) -> list[RateSheet]:
    search = record.rate_search
    if search is None:
        return []
    sheets = []
    for family, criterion in search.criteria.items():
        by_point: dict[Point, list[RatePoint]] = {}
        for point in search.points:
            if point.family == family:
                by_point.setdefault((point.start, point.regularized, point.rate), []).append(point)
        values = {key: [p.value for p in group if p.value is not None] for key, group in sorted(by_point.items())}
        is_score = criterion == "score"
        sheets.append(
            RateSheet(
                key=f"{family}-search",
                label=f"{family.upper()} {criterion} on held-out rows",
                unit="points" if is_score else "nats/token",
                higher_is_better=is_score,
                source="search",
                scores=tuple(
                    _score(key, found, search.rates[family].get(key[0]) == key[2], interval=False)
                    for key, found in values.items()
                    if found
                ),
            )
        )
    return sheets


def verdict_by_rate(sheet: RateSheet, start: str, regularized: bool) -> dict[str, tuple[float, ...]]:
    """Return the common rates by what another start does there: `ahead`, `behind`, or `open` where neither shows."""
    found: dict[str, list[float]] = {"ahead": [], "behind": [], "open": []}
    for one in sheet.contrasts:
        if (one.start, one.regularized) == (start, regularized) and not one.at_own_rates:
            side = {"helps": "ahead", "hurts": "behind"}.get(one.paired.verdict.value, "open")
            found[side].append(one.rate)
    return {side: tuple(rates) for side, rates in found.items()}
