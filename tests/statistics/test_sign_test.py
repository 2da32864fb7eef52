"""The sign-flip test of many differences against scipy and statsmodels: McNemar's exact test, all patterns, samples."""

import numpy as np
import pytest

from balora.statistics import binomial_p, sign_flip_p, sign_test


@pytest.mark.parametrize(("ups", "n"), [(3, 10), (5, 10), (0, 7), (7, 7), (400, 1000), (4_900, 10_000), (1, 1)])
def test_the_binomial_p_is_scipys(ups: int, n: int) -> None:
    from scipy.stats import binomtest

    assert binomial_p(ups, n) == pytest.approx(binomtest(ups, n).pvalue, rel=1e-9)


@pytest.mark.parametrize(("better", "worse", "equal"), [(12, 3, 85), (40, 25, 500), (5, 5, 10), (0, 6, 3)])
def test_right_and_wrong_answers_give_mcnemars_exact_test(better: int, worse: int, equal: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    found = sign_test(np.array([100.0] * better + [-100.0] * worse + [0.0] * equal))
    assert found.method == "binomial"
    assert found.p == pytest.approx(mcnemar([[0, better], [worse, equal]], exact=True).pvalue)
    assert found.smallest == 2.0 ** (1 - better - worse)


def test_few_differences_are_counted_out_as_scipy_does() -> None:
    from scipy.stats import permutation_test

    values = np.random.default_rng(2).normal(0.4, 1, 11)
    theirs = permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    found = sign_test(np.concatenate([values, np.zeros(4)]))
    assert (found.method, found.smallest) == ("exact", 2.0**-10)
    assert found.p == pytest.approx(theirs.pvalue) == sign_flip_p(values.tolist())


@pytest.mark.parametrize("kind", ["distinct", "few sizes", "mixed"])
def test_sampled_patterns_come_close_to_scipys(kind: str) -> None:
    from scipy.stats import permutation_test

    generator = np.random.default_rng(5)
    values = {
        "distinct": generator.normal(0.2, 1, 60),
        "few sizes": generator.choice([-2.0, -1.0, 1.0, 2.0], 80, p=[0.2, 0.2, 0.35, 0.25]),
        "mixed": np.concatenate([generator.normal(0.3, 1, 25), generator.choice([-1.0, 1.0], 60, p=[0.42, 0.58])]),
    }[kind]
    theirs = permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=200_000, batch=20_000, rng=np.random.default_rng(6)
    )
    found = sign_test(values)
    assert found.method == "sampled"
    assert found.p == pytest.approx(theirs.pvalue, abs=4 * np.sqrt(theirs.pvalue / 100_000))
    assert found == sign_test(values), "the patterns are always the same"
    assert sign_test(values, seed=1).p != found.p


def test_the_observed_pattern_counts() -> None:
    found = sign_test(np.linspace(1.0, 2.0, 50))
    assert found.p == found.smallest == 1 / (found.patterns + 1)  # type: ignore[operator]


def test_no_difference_at_all_and_many_of_them() -> None:
    assert sign_test(np.zeros(5)).p == 1.0
    assert sign_test(np.random.default_rng(0).normal(0, 1, 10_000)).patterns == 20_000
