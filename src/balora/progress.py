"""Define the progress that a run reports while it goes on, and estimate the time left."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple


class Progress(NamedTuple):
    """One report of progress."""

    phase: str
    """`load`, `reference`, `factors`, `train`, `evaluate`, `measure`, `save`."""
    step: int
    """Steps (or rows, when evaluating) done."""
    steps: int
    """Steps (or rows) in all."""
    loss: float | None = None
    """The last known training loss."""


OnProgress = Callable[[Progress], None]


def time_left(
    waiting: Mapping[str, int], taken: Mapping[str, Sequence[float]], spent: float, workers: int
) -> float | None:
    """Return the seconds until all work is done; None before anything has ended.

    Σ over kinds of (number that has not ended × mean seconds of one), less ``spent``, divided by the workers. A kind of
    which nothing has ended yet is taken to last as long as the mean of all.

    Args:
        waiting: how many of each kind have not ended yet, those under way included.
        taken: seconds of those that have ended, by kind.
        spent: seconds that the ones under way have been going on for, added up.
        workers: how many are worked on at once.
    """
    known = [seconds for group in taken.values() for seconds in group]
    if not known:
        return None
    means = {kind: fmean(group) for kind, group in taken.items() if group}
    work = sum(number * means.get(kind, fmean(known)) for kind, number in waiting.items())
    return max(0.0, work - spent) / max(1, workers)
