"""The mean difference over items, clusters and tasks against scipy's paired t-test and statsmodels' robust errors."""

from math import sqrt

import numpy as np
import pytest

from balora.statistics import Verdict, estimate, judge_family
from balora.statistics.estimate import Estimate
from balora.statistics.sign_test import SignTest


def differences(n: int, seed: int = 0, shift: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 4, n)


def test_single_items_are_the_paired_t_test() -> None:
    from scipy.stats import ttest_1samp

    values = differences(40)
    found, theirs = estimate([values]), ttest_1samp(values, 0)
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert found.mean / (found.error or 0) == pytest.approx(theirs.statistic)
    assert (found.units, found.degrees) == (40, 39)


@pytest.mark.parametrize("seed", [1, 2])
def test_clusters_are_statsmodels_robust_errors(seed: int) -> None:
    import statsmodels.api as sm

    generator = np.random.default_rng(seed)
    clusters = np.sort(np.unique(generator.integers(0, 25, 140), return_inverse=True)[1])
    values = differences(140, seed) + 3 * generator.normal(size=25)[clusters]
    fit = sm.OLS(values, np.ones(140)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    found = estimate([values], [clusters])
    assert found.error == pytest.approx(float(fit.bse[0]))
    assert found.interval == pytest.approx(tuple(fit.conf_int()[0]))
    assert found.units == len(set(clusters.tolist()))
    assert found.error > 1.3 * (estimate([values]).error or 0), "items of a cluster are not independent"


def test_millers_formula_written_out() -> None:
    """Miller 2024: SE² = Σ_c Σ_i Σ_j (s_ic − s̄)(s_jc − s̄)/n², here times G/(G − 1)."""
    values, clusters = differences(30, 3), np.repeat(np.arange(10), 3)
    rest = values - values.mean()
    double = sum(
        rest[i] * rest[j] for i in range(30) for j in range(30) if clusters[i] == clusters[j]
    )  # the slow sum over pairs
    assert estimate([values], [clusters]).error == pytest.approx(sqrt(double) / 30 * sqrt(10 / 9))


def test_every_task_counts_once_and_welch_gives_the_degrees() -> None:
    """The mean of two tasks is half of a difference of means with one sign turned: Welch's test has the same error."""
    from scipy.stats import ttest_ind

    first, second = differences(50, 4), 3 * differences(12, 5)
    found, theirs = estimate([first, second]), ttest_ind(first, -second, equal_var=False)
    assert found.mean == pytest.approx((first.mean() + second.mean()) / 2)
    assert found.degrees == pytest.approx(theirs.df)
    assert found.interval == pytest.approx(tuple(half / 2 for half in theirs.confidence_interval(0.95)))


def test_the_test_flips_clusters_and_weighs_tasks() -> None:
    from scipy.stats import permutation_test

    values, clusters, other = differences(24, 6), np.repeat(np.arange(8), 3), differences(5, 7)
    sums = np.concatenate([values.reshape(8, 3).sum(axis=1) / 24, other / 5]) / 2
    theirs = permutation_test((sums,), np.sum, permutation_type="samples", n_resamples=np.inf)
    found = estimate([values, other], [clusters, None])
    assert found.test is not None
    assert found.test.p == pytest.approx(theirs.pvalue)


def test_a_task_with_one_unit_has_no_interval() -> None:
    found = estimate([differences(9), np.array([1.0])])
    assert (found.error, found.interval, found.test) == (None, None, None)
    assert judge_family([found], 1.0)[0].verdict is Verdict.ONE_SEED


def made(mean: float, error: float, p: float, units: int = 100) -> Estimate:
    return Estimate(mean, error, units - 1, units, SignTest(p, "exact", 1e-9), is_zero=False)


def test_verdicts_use_the_corrected_p_and_the_direction() -> None:
    family = [made(5, 1, 0.02), made(-5, 1, 0.001), made(0.1, 0.2, 0.6), made(0.5, 1, 0.6)]
    assert [one.verdict for one in judge_family(family, 1.0)] == [
        Verdict.UNDECIDED,  # 0.02 · 3 > 0.05
        Verdict.HURTS,
        Verdict.BOUNDED,
        Verdict.UNDECIDED,
    ]
    assert [one.adjusted_p for one in judge_family(family, 1.0)][:2] == pytest.approx([0.06, 0.004])
    turned = judge_family(family, 1.0, higher_is_better=False)
    assert turned[1].verdict is Verdict.HELPS
    assert judge_family([made(5, 1, 0.02)], 1.0)[0].verdict is Verdict.HELPS


def test_detectable_and_needed_are_those_of_the_units_spread() -> None:
    from statsmodels.stats.power import TTestPower

    one = judge_family([made(2, 1, 0.06, units=64)], 1.0)[0]
    sd = 1.0 * sqrt(64)
    assert one.detectable == pytest.approx(sd * TTestPower().solve_power(nobs=64, alpha=0.05, power=0.8), rel=1e-4)
    wanted = TTestPower().solve_power(effect_size=2 / sd, alpha=0.05, power=0.8)
    assert one.needed == int(np.ceil(wanted))


def test_no_difference_at_all_is_the_same_and_one_that_cancels_is_not() -> None:
    assert judge_family([estimate([np.zeros(9)])], 1.0)[0].verdict is Verdict.SAME
    cancelled = estimate([np.array([1.0, -1.0] * 4)], [np.repeat(np.arange(4), 2)])
    assert judge_family([cancelled], 1.0)[0].verdict is Verdict.UNDECIDED
