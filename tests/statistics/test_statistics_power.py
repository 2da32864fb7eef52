"""Power, standardised effects and Holm against statsmodels; early warnings on literals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora.statistics import design_warning, detectable, fewest_blocks, hedges, holm, needed, power, smallest_p


@pytest.mark.parametrize("level", [0.05, 0.05 / 6])
@pytest.mark.parametrize("n", [3, 5, 8, 16, 32, 200])
def test_power_is_statsmodels(n: int, level: float) -> None:
    from statsmodels.stats.power import TTestPower

    for effect in (0.0, 0.1, -0.5, 1.2):
        assert power(n, effect, level) == pytest.approx(TTestPower().power(effect, n, level), abs=1e-7)
    if n > 3:  # with three blocks and a small level statsmodels' search runs into its own nan
        theirs = TTestPower().solve_power(nobs=n, alpha=level, power=0.8)
        assert detectable(n, 2.5, level) == pytest.approx(2.5 * theirs, rel=1e-4)
    assert power(n, detectable(n, 2.5, level) / 2.5, level) == pytest.approx(0.8)


def test_two_blocks_can_be_asked_too() -> None:
    """Far from 0 scipy's noncentral t has no lower tail to give; a million pairs of draws do."""
    draw = np.random.default_rng(0).normal(detectable(2, 1.0), 1, (1_000_000, 2))
    t = draw.mean(axis=1) / (draw.std(axis=1, ddof=1) / np.sqrt(2))
    assert np.mean(np.abs(t) > 12.7062) == pytest.approx(0.8, abs=0.002)


@pytest.mark.parametrize(("size", "sd"), [(0.1, 1.0), (1.0, 2.0), (3.0, 3.0), (2.0, 1.0), (0.01, 1.0)])
@pytest.mark.parametrize("level", [0.05, 0.05 / 7])
def test_needed_is_the_first_number_with_the_power(size: float, sd: float, level: float) -> None:
    from statsmodels.stats.power import TTestPower

    n = needed(size, sd, level)
    assert TTestPower().power(size / sd, n, level) >= 0.8 or n > 5000
    assert TTestPower().power(size / sd, n - 1, level) < 0.8
    assert TTestPower().power(size / sd, n, level) == pytest.approx(0.8, abs=1e-4) or n < 5000


def test_the_standardised_effect_is_unbiased() -> None:
    """Hedges' correction on 5 blocks: 1 − 3/(4·4 − 1) = 0.8 to two digits; without it the mean would be 1.25."""
    assert hedges(5, 3.0, 1.5) == pytest.approx(2.0 * 0.7979, abs=1e-4)  # √(2/4)·Γ(2)/Γ(1.5)
    draw = np.random.default_rng(1).normal(1.0, 1.0, (40_000, 5))
    found = [hedges(5, m, s) for m, s in zip(draw.mean(axis=1), draw.std(axis=1, ddof=1), strict=True)]
    assert np.mean([one for one in found if one is not None]) == pytest.approx(1.0, abs=0.02)
    assert (hedges(2, 1.0, 1.0), hedges(5, 1.0, 0.0)) == (None, None)


@pytest.mark.slow
@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_statsmodels(ps: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests

    assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1])


def test_holm_by_hand_and_with_gaps() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # 0.04·1 may not be below 0.03·2
    assert holm([0.01, None, 0.02]) == [pytest.approx(0.03), None, pytest.approx(0.04)], "declared, so it counts"
    assert holm([]) == []


@pytest.mark.parametrize(
    ("blocks", "family", "warning"),
    [
        (8, 6, None),
        (6, 1, None),
        (
            8,
            7,
            "8 blocks: the exact test cannot give a p below 0.0078, which over a family of 7 comparisons cannot reach "
            "0.05: use at least 9 blocks or a smaller `family`",
        ),
        (3, 1, "3 blocks: the exact test cannot give a p below 0.25, which cannot reach 0.05: use at least 6 blocks"),
        (
            1,
            3,
            "1 block: spread, intervals and p cannot be computed: use at least 7 blocks or a smaller `family`",
        ),
        (1, 1, "1 block: spread, intervals and p cannot be computed: use at least 6 blocks"),
        (
            30,
            20_000,
            "30 blocks: the exact test cannot give a p below 5e-06, which over a family of 20000 comparisons cannot "
            "reach 0.05: use a smaller `family`",
        ),
    ],
)
def test_a_design_that_cannot_answer_is_told_early(blocks: int, family: int, warning: str | None) -> None:
    assert design_warning(blocks, family) == warning


@pytest.mark.parametrize("family", [1, 2, 6, 7, 30])
def test_the_fewest_blocks_are_enough_and_one_less_is_not(family: int) -> None:
    n = fewest_blocks(family)
    assert n is not None
    assert holm([smallest_p(n)] + [1.0] * (family - 1))[0] <= 0.05 < holm([smallest_p(n - 1)] + [1.0] * (family - 1))[0]  # type: ignore[operator]
    assert fewest_blocks(10**6) is None
