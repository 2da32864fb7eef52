"""Announce the largest rank of adapters that will be attached to the same weights; torch-free."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LARGEST: ContextVar[int] = ContextVar("largest rank", default=0)


@contextmanager
def ranks_up_to(rank: int) -> Iterator[None]:
    """Inside, exact factors that are worth caching are computed for ``rank`` at least and cut where less is due.

    So a sweep over ranks decomposes each weight once. A cut of the factors for a larger rank differs from the factors
    for its own by rounding; which of the two is used depends on ``rank`` alone and not on what lies in the cache.
    """
    before = _LARGEST.set(rank)
    try:
        yield
    finally:
        _LARGEST.reset(before)


def largest_rank() -> int:
    """Return the rank given to the innermost :func:`ranks_up_to`; 0 outside."""
    return _LARGEST.get()
