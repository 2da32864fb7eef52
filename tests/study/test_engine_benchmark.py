"""Test the sums of `python -m benchmarks engine` on spans that can be added up by hand."""

import pytest
from benchmarks.engine import STUDY_RUNS, Measured, Span, overhead_of_a_study

SPANS = (
    Span("a", 0, 6, 1.0),
    Span("b", 0, 7, 1.0),
    Span("c", 6, 8, 1.9),
    Span("d", 7, 9, 1.9),
    Span("e", 8, 10, 1.9),
    Span("f", 9, 11, 2.0),
)
"""Two workers that take five seconds to start."""


def test_overhead_is_the_time_that_is_in_no_runs_record() -> None:
    measured = Measured(2, 11.5, SPANS)
    assert measured.idle == pytest.approx(2 * 11.5 - 9.7)
    assert measured.steady == (7, 9), "from the first end of the second worker to the last run handed out"
    assert [measured.inside(span) for span in SPANS] == [0, 0, 0.5, 1, 0.5, 0]
    assert measured.steady_overhead == pytest.approx(1 - (0.95 + 1.9 + 0.95) / 4)
    assert measured.steady_rate({"c": 1, "d": 1, "e": 3, "f": 9, "a": 9, "b": 9}) == pytest.approx((0.5 + 1 + 1.5) / 2)
    once, seconds = 13.3 - 0.2, STUDY_RUNS * 9.7 / 6
    assert overhead_of_a_study(measured) == pytest.approx((once + seconds / 0.95 - seconds) / (once + seconds / 0.95))
