"""pass@k against literals, against the count of all draws, and against the binomials of the paper."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.tasks.pass_at_k import pass_at_k


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [
        (1, 0, 1, 0.0),
        (1, 1, 1, 1.0),
        (5, 2, 1, 0.4),
        (5, 2, 2, 0.7),  # 1 − (3·2) / (5·4)
        (10, 3, 5, 1 - 21 / 252),
        (4, 2, 3, 1.0),  # only two samples are wrong
        (200, 1, 100, 0.5),
    ],
)
def test_literals(n: int, c: int, k: int, expected: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_it_is_the_share_of_all_draws_of_k_samples_that_hold_a_right_one(n: int) -> None:
    for c in range(n + 1):
        for k in range(1, n + 1):
            draws = list(combinations([True] * c + [False] * (n - c), k))
            assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-12)


@given(st.integers(1, 300), st.data())
def test_it_is_equation_1_of_the_paper(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    assert pass_at_k(n, c, k) == pytest.approx(1 - comb(n - c, k) / comb(n, k), abs=1e-9)


def test_it_is_unbiased_where_the_share_of_right_samples_is_not() -> None:
    p, n, k, trials = 0.3, 10, 5, 40_000
    counts = np.random.default_rng(0).binomial(n, p, size=trials)
    truth = 1 - (1 - p) ** k
    assert np.mean([pass_at_k(n, int(c), k) for c in counts]) == pytest.approx(truth, abs=0.005)
    assert np.mean(1 - (1 - counts / n) ** k) < truth - 0.02


def test_large_numbers_stay_finite() -> None:
    assert pass_at_k(100_000, 1, 50_000) == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize(("n", "c", "k"), [(5, 6, 1), (5, -1, 1), (5, 2, 0), (5, 2, 6), (0, 0, 1)])
def test_impossible_counts_are_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"got n = {n}, c = {c}, k = {k}"):
        pass_at_k(n, c, k)
