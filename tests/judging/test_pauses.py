"""Pauses between requests double up to a limit, and a server that asks to wait is obeyed by all requests."""

import asyncio

import pytest
from tests.judging.judging_cases import FakeClock

from balora.judging.pauses import LONGEST, Pauses, asked_wait


def test_each_pause_is_up_to_twice_the_one_before_and_at_least_half_of_that() -> None:
    clock = FakeClock()
    pauses = Pauses(clock)

    async def fail() -> None:
        for failures in range(1, 41):
            await pauses.after_failure(failures)

    asyncio.run(fail())
    limits = [min(LONGEST, 2.0**power) for power in range(40)]
    assert all(limit / 2 <= slept <= limit for slept, limit in zip(clock.slept, limits, strict=True))
    assert len(set(clock.slept[5:])) > 1, "no jitter"


def test_no_request_begins_before_the_latest_time_that_was_asked_for() -> None:
    clock = FakeClock()
    pauses = Pauses(clock)
    pauses.hold(7)
    pauses.hold(3)
    asyncio.run(pauses.until_allowed())
    asyncio.run(pauses.until_allowed())
    assert clock.slept == [7]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("soon", None),
        ("nan", None),
        ("1e400", float("inf")),
        ("Sat, 28 Nov 2026 10:00:30 GMT", 30),
        ("Sat, 28 Nov 2026 09:00:00 GMT", 0),
        ("Sat, 28 Nov 2026 10:00:30 -0000", 30),
        ("Sat, 99 Nov 2026 10:00:30 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert asked_wait(header, "Sat, 28 Nov 2026 10:00:00 GMT") == seconds


def test_a_date_is_counted_from_this_clock_where_the_server_names_none() -> None:
    assert asked_wait("Sat, 28 Nov 1998 10:00:30 GMT") == 0
