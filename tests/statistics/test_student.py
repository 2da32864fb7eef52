"""Student's t, central and noncentral, against scipy; tables of textbooks."""

import pytest

from balora.statistics.student import above, critical

DEGREES = (1, 2, 3, 4.7, 7, 19, 100, 999.5, 9_999, 1e6)


@pytest.mark.parametrize("degrees", DEGREES)
def test_critical_values_and_tails_are_scipys(degrees: float) -> None:
    from scipy.stats import t

    for tail in (0.25, 0.025, 0.025 / 12, 1e-5):
        assert critical(degrees, tail) == pytest.approx(float(t.isf(tail, degrees)), rel=1e-10)
    for value in (-1.5, 0.0, 0.1, 1.0, 3.0, 8.0):
        assert above(value, degrees) == pytest.approx(float(t.sf(value, degrees)), rel=1e-9, abs=1e-18)


@pytest.mark.parametrize("degrees", [2, 3, 4.7, 7, 19, 100, 9_999])
def test_noncentral_tails_are_scipys(degrees: float) -> None:
    from scipy.special import nctdtr

    for shift in (0.5, 2.8, 8.0):
        for value in (1.0, 2.0, 5.0):
            assert above(value, degrees, shift) == pytest.approx(1 - float(nctdtr(degrees, shift, value)), abs=1e-12)
            assert above(-value, degrees, -shift) == pytest.approx(1 - above(value, degrees, shift), abs=1e-12)


def test_the_table_in_every_textbook() -> None:
    assert [round(critical(m, 0.025), 3) for m in (1, 2, 5, 10, 30)] == [12.706, 4.303, 2.571, 2.228, 2.042]
    assert above(0.0, 5) == pytest.approx(0.5)
