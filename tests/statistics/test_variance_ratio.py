"""Tails and critical values of the F distribution, against scipy."""

import pytest
from scipy.stats import f as oracle

from balora.statistics.variance_ratio import f_above, f_critical


@pytest.mark.parametrize(("over", "under"), [(1, 1), (1, 12), (2, 3), (3, 4), (7, 8), (15, 2), (16, 5), (63, 64)])
def test_it_is_scipys(over: int, under: float) -> None:
    for ratio in (0.001, 0.3, 1.0, 4.0, 250.0):
        assert f_above(ratio, over, under) == pytest.approx(oracle.sf(ratio, over, under), abs=1e-12)
    for tail in (0.975, 0.5, 0.025):
        assert f_critical(over, under, tail) == pytest.approx(oracle.isf(tail, over, under), rel=1e-10)


def test_closed_form() -> None:
    """With 2 and k degrees of freedom P(F > f) = (1 + 2·f/k)^(−k/2)."""
    assert f_above(3.0, 2, 4.0) == pytest.approx((1 + 6 / 4) ** -2, abs=1e-13)


def test_no_ratio_is_below_zero() -> None:
    assert f_above(0.0, 3, 4) == f_above(-1.0, 3, 4) == 1.0
