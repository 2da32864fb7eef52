"""Wait between requests: longer after each failure, and as long as a server that limits its rate asks for."""

import asyncio
import math
import random
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

FIRST, LONGEST = 1.0, 30.0
"""Seconds before the second request, and the most before any further one: each pause doubles the one before."""
LONGEST_WAIT = 600.0
"""Most seconds that a server may ask to wait for; one that asks for more is given up."""


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> float:
        """Return seconds on a clock that never runs backwards."""

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Pauses:
    """The pauses of all requests of one round: when a server asks one of them to wait, the others wait too."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._not_before = clock.now()
        self._random = random.Random()  # of its own, and unseeded: workers must not ask again at the same instant

    async def after_failure(self, failures: int) -> None:
        """Wait before a request that has failed ``failures`` times: twice as long each time, minus up to half."""
        pause = min(LONGEST, FIRST * 2 ** min(failures - 1, 30))
        await self._clock.sleep(pause * self._random.uniform(0.5, 1))

    def hold(self, seconds: float) -> None:
        """Let no request begin within the next ``seconds``."""
        self._not_before = max(self._not_before, self._clock.now() + seconds)

    async def until_allowed(self) -> None:
        """Wait until a request may begin."""
        while (left := self._not_before - self._clock.now()) > 0:  # others may ask to wait meanwhile
            await self._clock.sleep(left)


def asked_wait(retry_after: str | None, date: str | None = None) -> float | None:
    """Return the seconds that a server asks to wait in the header `Retry-After`: a number, or a date (RFC 9110).

    Args:
        retry_after: the header's value.
        date: the value of the header `Date`, from which a date is counted; none means this machine's clock.
    """
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        until, now = _read_date(retry_after), _read_date(date or "")
        if until is None:
            return None
        seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return None if math.isnan(seconds) else max(0.0, seconds)


def _read_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
