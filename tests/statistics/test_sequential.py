"""Looks: levels against an integral of the normal distribution, intervals, p, decisions that stay."""

import numpy as np
import pytest

from balora.statistics import (
    DECIDED,
    Paired,
    Stages,
    Verdict,
    compare_family,
    holm,
    judge_alone,
    judge_stages,
    levels,
    sequential_p,
    t_interval,
    widening_of,
)

LOOKS = (8, 16, 24, 32, 48, 64)


def stages(values: np.ndarray, margin: float = 1.0, looks: tuple[int, ...] = LOOKS) -> Stages:
    by_look = tuple(tuple(values[:look]) for look in looks if look <= len(values))
    return Stages(by_look, Paired(by_look[-1], margin))


def noise(seed: int, n: int = 64, mean: float = 0.0, sd: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, sd, n)


def test_one_look_spends_everything() -> None:
    assert levels((12,)) == pytest.approx((0.05,))
    assert levels((7,), 0.001) == pytest.approx((0.001,))


def test_the_first_level_is_the_share_of_the_blocks() -> None:
    assert levels(LOOKS)[0] == pytest.approx(0.05 * 8 / 64, rel=1e-12)


@pytest.mark.parametrize("looks", [(8, 16), (8, 64), (8, 16, 24), (10, 11, 40)])
@pytest.mark.parametrize("alpha", [0.05, 0.4, 0.002])
def test_levels_spend_the_error_in_proportion_to_the_blocks(looks: tuple[int, ...], alpha: float) -> None:
    """Oracle: scipy's integral of the joint normal distribution of Z at the looks between the boundaries."""
    from scipy.stats import multivariate_normal, norm

    bounds = [norm.isf(level / 2) for level in levels(looks, alpha)]
    times = np.array(looks)
    joint = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    for k in range(1, len(looks) + 1):
        inside = multivariate_normal.cdf(
            bounds[:k], cov=joint[:k, :k], lower_limit=[-b for b in bounds[:k]], abseps=1e-10, releps=1e-10
        )
        assert 1 - inside == pytest.approx(alpha * looks[k - 1] / looks[-1], rel=1e-3)


@pytest.mark.parametrize("alpha", [0.4, 0.05, 0.05 / 6, 1e-6])
def test_the_p_of_a_look_at_its_level_is_the_whole_error_level(alpha: float) -> None:
    for number, level in enumerate(levels(LOOKS, alpha)):
        assert sequential_p([1.0] * number + [level], LOOKS) == pytest.approx(alpha, rel=5e-4)


def test_p_is_the_smallest_of_the_looks_so_far() -> None:
    first, second = sequential_p([0.001], LOOKS), sequential_p([1.0, 0.0001], LOOKS)
    assert sequential_p([0.001, 0.0001], LOOKS) == min(first, second)
    assert sequential_p([0.001, 0.9], LOOKS) == first
    assert sequential_p([1.0, 1.0], LOOKS) == 1.0
    assert sequential_p([0.0], LOOKS) < 1e-8


def test_the_interval_is_a_t_interval_at_the_level_of_its_look() -> None:
    values = noise(0, 24)
    found = judge_alone(stages(values), LOOKS)
    assert (found.low, found.high) == pytest.approx(t_interval(values, 1 - levels(LOOKS)[2]), rel=1e-12)
    assert found.n == 24
    assert found.look is None


def test_a_single_look_judges_as_a_fixed_study_does() -> None:
    rows = [noise(seed, 12, mean) for seed, mean in enumerate((2.0, 0.0, 0.3))]
    fixed = compare_family([Paired(row, 0.9) for row in rows])
    found = judge_stages([stages(row, 0.9, (12,)) for row in rows], (12,))
    for one, other in zip(found, fixed, strict=True):
        assert one.verdict == other.verdict
        assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-12)


def test_what_is_decided_stays_as_it_was() -> None:
    """A clear effect at the first looks that is gone later, beside one that stays open."""
    early = np.concatenate((noise(1, 16, 3.0, 0.5), noise(2, 48, -3.0, 0.5)))
    found, other = judge_stages([stages(early), stages(noise(3, 64, sd=9.0))], LOOKS)
    assert found.verdict is Verdict.HELPS
    assert found.n == found.look == 16, "after 8 blocks the exact test cannot reach the level"
    assert (found.low, found.high) == pytest.approx(t_interval(early[:16], 1 - levels(LOOKS)[1]), rel=1e-12)
    assert other.verdict is Verdict.UNDECIDED
    assert (other.n, other.look) == (64, None)


def test_no_difference_ends_a_comparison_too() -> None:
    (found,) = judge_stages([stages(noise(4, 64, sd=0.3))], LOOKS)
    assert found.verdict is Verdict.BOUNDED
    assert found.look == 8
    low, high = t_interval(noise(4, 64, sd=0.3)[:8], 1 - levels(LOOKS)[0])
    assert found.bound == pytest.approx(max(abs(low), abs(high)))


def test_p_is_corrected_over_the_family_at_every_look() -> None:
    rows = [noise(5, 16, 0.95), noise(6, 16, 0.0, 3.0), noise(7, 16, 0.0, 3.0)]
    alone = judge_stages([stages(rows[0], 0.1)], LOOKS)[0]
    found = judge_stages([stages(row, 0.1) for row in rows], LOOKS)
    assert alone.adjusted_p == alone.p
    assert [one.adjusted_p for one in found] == holm([one.p for one in found])
    assert found[0].p == alone.p
    assert {one.family for one in found} == {3}


def test_a_comparison_whose_arm_stopped_keeps_its_last_look() -> None:
    open_ = stages(noise(8, 16, sd=5.0))
    whole = stages(noise(9, 32, sd=5.0))
    found = judge_stages([open_, whole], LOOKS)
    assert [one.n for one in found] == [16, 32]


def test_no_difference_at_all_is_decided_at_the_first_look() -> None:
    found, _ = judge_stages([stages(np.zeros(16)), stages(noise(1, 16, sd=9.0))], LOOKS)
    assert found.verdict is Verdict.SAME
    assert (found.n, found.look) == (8, 8)


@pytest.mark.parametrize("n", [0, 1])
def test_without_two_blocks_nothing_is_decided(n: int) -> None:
    (found,) = judge_stages([Stages(((1.5,) * n,), Paired((1.5,) * n, 1.0))], LOOKS)
    assert found.verdict not in DECIDED
    assert (found.n, found.p, found.look) == (n, None, None)


def test_a_tuned_arm_is_widened_at_every_look() -> None:
    values = noise(10, 8)
    one = stages(values)
    wide = judge_alone(one._replace(paired=one.paired._replace(widening=2.0)), LOOKS)
    plain = judge_alone(one, LOOKS)
    assert wide.high - wide.low == pytest.approx(2 * (plain.high - plain.low))
    assert wide.p >= plain.p


def test_intervals_are_wider_the_earlier_the_look() -> None:
    factors = [widening_of(look, LOOKS, number) for number, look in enumerate(LOOKS)]
    assert factors == sorted(factors, reverse=True)
    assert 1.1 < factors[-1] < 1.2
    assert 1.6 < factors[0] < 1.7


def test_an_open_comparison_says_how_many_blocks_would_be_enough() -> None:
    (found,) = judge_stages([stages(noise(11, 64, sd=9.0))], LOOKS)
    assert found.needed is not None
    assert found.needed > 64
