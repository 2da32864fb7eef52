"""Paired statistics against scipy and statsmodels, and on literals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balora.statistics import (
    contrast_values,
    contrasts,
    sign_flip_p,
    smallest_p,
    summarize,
    t_interval,
)

numbers = st.lists(st.floats(-100, 100, allow_nan=False), min_size=2, max_size=9)


def test_summary_of_literals() -> None:
    assert summarize([1.0, 2.0, 6.0]).mean == 3.0
    assert summarize([1.0, 2.0, 6.0]).sd == pytest.approx(np.sqrt(7.0))  # (4 + 1 + 9)/(3 − 1), not /3
    assert (summarize([5.0]).mean, summarize([5.0]).sd) == (5.0, None)
    assert (summarize([]).n, summarize([]).mean) == (0, None)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(numbers)
def test_interval_is_scipys(values: list[float]) -> None:
    from scipy import stats

    spread = stats.sem(values)
    low, high = t_interval(values)
    half = float(stats.t.ppf(0.975, len(values) - 1) * spread)
    assert low == pytest.approx(np.mean(values) - half, abs=1e-9)
    assert high == pytest.approx(np.mean(values) + half, abs=1e-9)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9))
def test_exact_sign_flips_are_scipys(values: list[int]) -> None:
    """Integers, so that ties between patterns are true ties in both."""
    from scipy.stats import permutation_test

    theirs = permutation_test(
        (np.array(values, dtype=float),),
        lambda x, axis: np.abs(np.sum(x, axis=axis)),
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert sign_flip_p([float(v) for v in values]) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_sign_flips_by_hand() -> None:
    # patterns of ±1 ±2 ±4: sums 7, 5, 3, 1 and opposites; observed 1 + 2 + 4 = 7 → 2 of 8
    assert sign_flip_p([1.0, 2.0, 4.0]) == 0.25
    assert sign_flip_p([1.0, 2.0, -4.0]) == 1.0  # observed 1: every pattern is as extreme
    assert sign_flip_p([-1.0, 2.0, 4.0]) == 0.5  # observed 5: 7, 5 and opposites
    assert sign_flip_p([0.1] * 8) == smallest_p(8) == 2 / 256  # 0.1 is inexact: ties must survive rounding
    assert sign_flip_p([5.0] * 2) == smallest_p(2) == 0.5


def test_sampled_patterns_reach_as_far_as_is_said() -> None:
    assert smallest_p(20) == 2**-19
    assert sign_flip_p([1.0] * 40) == smallest_p(40) == 1 / 200_001


def test_many_seeds_are_sampled_and_repeatable() -> None:
    values = list(np.random.default_rng(1).normal(0.1, 1.0, 24))
    np.random.seed(3)
    first = sign_flip_p(values)
    np.random.seed(4)
    assert sign_flip_p(values) == first
    from scipy import stats

    assert first == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)


def test_two_by_two_contrasts_on_literals() -> None:
    cells = {("a", "on"): {1: 10.0}, ("b", "on"): {1: 7.0}, ("a", "off"): {1: 9.0}, ("b", "off"): {1: 4.0}}
    found = {c.name: contrast_values(c, cells) for c in contrasts({"start": ("a", "b"), "terms": ("on", "off")})}
    assert found == {
        "start: b − a": [-4.0],  # mean of −3 and −5
        "terms: off − on": [-2.0],  # mean of −1 and −3
        "(start: b − a) × (terms: off − on)": [-2.0],  # (4 − 9) − (7 − 10)
    }


def test_contrasts_are_the_coefficients_of_a_regression() -> None:
    """Independent oracle: least squares on sum-to-zero codes of an unreplicated 3×2×2 design with a block per seed."""
    rng = np.random.default_rng(0)
    factors = {"f": ("a", "b", "c"), "g": ("x", "y"), "h": ("u", "v")}
    values = {(f, g, h): rng.normal() for f in "abc" for g in "xy" for h in "uv"}
    found = {c.name: contrast_values(c, {k: {1: v} for k, v in values.items()}) for c in contrasts(factors)}
    rows, y = [], []
    for (f, g, h), value in values.items():
        F = [(f == "b") - (f == "a"), (f == "c") - (f == "a")]
        G, H = (g == "y") - 0.5, (h == "v") - 0.5
        rows.append([1, *F, G, H, *(x * G for x in F), *(x * H for x in F), G * H, *(x * G * H for x in F)])
        y.append(value)
    beta = np.linalg.solve(np.array(rows, dtype=float), np.array(y))
    b, c = beta[1], beta[2]  # deviations of levels b and c; level a's is −b − c
    assert found["f: b − a"][0] == pytest.approx(b - (-b - c))
    assert found["g: y − x"][0] == pytest.approx(beta[3])
    assert found["(g: y − x) × (h: v − u)"][0] == pytest.approx(beta[9])
    assert found["(f: c − a) × (g: y − x)"][0] == pytest.approx(beta[6] + beta[5] + beta[6])


def test_contrasts_use_only_complete_seeds() -> None:
    contrast = contrasts({"start": ("a", "b")})[0]
    assert contrast_values(contrast, {("a",): {1: 1.0, 2: 5.0}, ("b",): {2: 7.0, 3: 9.0}}) == [2.0]
    assert contrast_values(contrast, {("a",): {1: 1.0}}) == []


def test_effects_are_those_of_an_analysis_of_variance() -> None:
    """Independent oracle: ordinary least squares with blocks as a factor, in a complete design of two factors."""
    import pandas
    from statsmodels.formula.api import ols

    draw = np.random.default_rng(3)
    cells = {(f, g): {b: draw.normal() for b in range(6)} for f in "xy" for g in "uv"}
    rows = [{"f": f, "g": g, "b": b, "y": y} for (f, g), values in cells.items() for b, y in values.items()]
    fit = ols("y ~ C(f, Sum) * C(g, Sum) + C(b)", pandas.DataFrame(rows)).fit()
    found = {c.name: np.mean(contrast_values(c, cells)) for c in contrasts({"f": "xy", "g": "uv"})}
    # sum coding: the first level is +1 and the second −1, so a difference is −2 of a coefficient, an interaction +4
    assert found["f: y − x"] == pytest.approx(-2 * fit.params["C(f, Sum)[S.x]"])
    assert found["g: v − u"] == pytest.approx(-2 * fit.params["C(g, Sum)[S.u]"])
    assert found["(f: y − x) × (g: v − u)"] == pytest.approx(4 * fit.params["C(f, Sum)[S.x]:C(g, Sum)[S.u]"])
