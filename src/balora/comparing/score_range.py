"""Find in which range scores lie, refuse mixed units, and turn scores into points of 100."""

from typing import NamedTuple

from balora.comparing.score_table import ScoreTable, SystemScores, described
from balora.errors import InputError, shown

ASKED = "pass the worst and the best possible score with --range LOW HIGH"
UP_TO = 1e-9
"""How far rounding may carry a score beyond its range, as a share of it."""


class Range(NamedTuple):
    """The worst and the best value that a score can have (or the other way round, where lower is better)."""

    low: float
    high: float

    @property
    def factor(self) -> float:
        """How many points of 100 a score of 1 more is worth."""
        return 100 / (self.high - self.low)

    def holds(self, score: float) -> bool:
        """Return whether a score lies in the range."""
        slack = UP_TO * (self.high - self.low)
        return self.low - slack <= score <= self.high + slack


SHARE, POINTS = Range(0.0, 1.0), Range(0.0, 100.0)


def range_of(table: ScoreTable, given: tuple[float, float] | None = None) -> Range:
    """Return the range of all scores of ``table``: the one given; else 0 to 1, or 0 to 100 if scores go beyond 10.

    Scores between 1 and 10 alone may be grades of 10 or points of 100, and a range is asked for.

    Raises:
        InputError: a score lies outside, the range is empty, or units are mixed.
    """
    if given is not None:
        return _given(table, Range(*given))
    largest = {(one.name, task): _largest(one, task) for one in table.systems for task in one.metrics}
    lows = [
        (score.score, key, one.name) for one in table.systems for key, score in one.scores.items() if score.score < 0
    ]
    if lows:
        score, key, name = lows[0]
        raise InputError(f"the score of item {described(key)} of {shown(name)} is {score:g}, below 0: {ASKED}")
    if max(largest.values()) <= SHARE.high:
        return SHARE
    _refuse_mixed(largest)
    if max(largest.values()) <= 10:
        top = max(largest.values())
        raise InputError(f"scores go up to {top:g}, which may be grades or points of 100: {ASKED}, e.g. --range 0 10")
    return _given(table, POINTS)


def _given(table: ScoreTable, wanted: Range) -> Range:
    if not wanted.low < wanted.high < float("inf") or wanted.low == float("-inf"):
        raise InputError(
            f"--range {wanted.low:g} {wanted.high:g}: the first number must be below the second, and finite"
        )
    outside = [
        (one.name, key, score.score)
        for one in table.systems
        for key, score in one.scores.items()
        if not wanted.holds(score.score)
    ]
    if outside:
        name, key, score = outside[0]
        raise InputError(
            f"{len(outside):,} {'score lies' if len(outside) == 1 else 'scores lie'} outside {wanted.low:g} to "
            f"{wanted.high:g}, the first is {score:g}, of item {described(key)} of {shown(name)}: correct it, or "
            f"{ASKED}"
        )
    return wanted


def _largest(system: SystemScores, task: str) -> float:
    return max((score.score for key, score in system.scores.items() if key.task == task), default=0.0)


def _refuse_mixed(largest: dict[tuple[str, str], float]) -> None:
    """Refuse scores of which some are shares of 1 and others go beyond; a system that scores 0 throughout fits both."""
    shares = [key for key, top in largest.items() if 0 < top <= SHARE.high]
    others = [key for key, top in largest.items() if top > SHARE.high]
    if shares and others:
        small, large = shares[0], others[0]
        raise InputError(
            f"mixed units: the scores of {_place(small)} go up to {largest[small]:g}, those of {_place(large)} up to "
            f"{largest[large]:g}: write all of them in one unit, or pass --range 0 100 if they are"
        )


def _place(place: tuple[str, str]) -> str:
    name, task = place
    return shown(name) + (f" in task {shown(task)}" if task else "")
