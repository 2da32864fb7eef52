"""Verdicts: a fixed list, each word only where it is earned."""

import numpy as np
import pytest

from balora.statistics import (
    Comparison,
    Paired,
    Verdict,
    compare,
    compare_family,
    needed,
    sign_flip_p,
    t_interval,
)

SURE = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95]


@pytest.mark.parametrize(
    ("values", "margin", "verdict"),
    [
        ([], 1.0, "cannot tell: no seed in common"),
        ([3.0], 1.0, "cannot tell: one seed"),
        ([0.0, 0.0], 1.0, "the same in every seed"),
        ([5.0, -5.0, 2.5], 1.0, "cannot tell: needs about n seeds"),
        ([1.0, 1.1, 0.9], 1.0, "cannot tell: needs about n seeds"),  # leaves out 0, but three seeds cannot reach 0.05
        ([1.0, 1.1, 0.9], 1.5, "no difference larger than x"),
        ([0.1, -0.1, 0.0, 0.05], 1.0, "no difference larger than x"),
        ([0.5, 0.5, 0.5], 1.0, "cannot tell: needs about n seeds"),  # an interval without width proves nothing
        (SURE, 0.5, "helps"),
        (SURE, 5.0, "helps"),  # small, but certain
        ([-x for x in SURE], 0.5, "hurts"),
    ],
)
def test_each_verdict_is_given_where_it_is_earned(values: list[float], margin: float, verdict: str) -> None:
    found = compare(Paired(values, margin))
    assert found.verdict is Verdict(verdict)
    assert (found.bound is not None) == (verdict == "no difference larger than x")


def test_the_bound_is_the_farther_end_of_the_interval() -> None:
    values = [0.3, -0.1, 0.2, 0.25, 0.1]
    found, mirrored = compare(Paired(values, 1.0)), compare(Paired([-x for x in values], 1.0))
    low, high = t_interval(values)
    assert found.bound == mirrored.bound == pytest.approx(high)
    assert high > -low
    assert compare(Paired(values, high + 1e-9)).verdict == "no difference larger than x"
    assert compare(Paired(values, high - 1e-9)).verdict == "cannot tell: needs about n seeds"


def test_a_smaller_loss_helps() -> None:
    assert compare(Paired([-x for x in SURE], 0.1, higher_is_better=False)).verdict == "helps"
    assert compare(Paired(SURE, 0.1, higher_is_better=False)).verdict == "hurts"


def test_an_interaction_neither_helps_nor_hurts() -> None:
    assert compare(Paired(SURE, 0.1, None)).verdict == "above 0"
    assert compare(Paired([-x for x in SURE], 0.1, None)).verdict == "below 0"


def test_a_family_is_corrected_together() -> None:
    alone = compare(Paired(SURE, 0.5))
    assert (alone.p, alone.adjusted_p, alone.family, alone.verdict) == (2 / 64, None, None, "helps")
    noise = Paired([0.3, -0.2, 0.1, -0.4, 0.2, 0.1], 0.5)
    pair = compare_family([noise, Paired(SURE, 0.5)])
    assert [one.family for one in pair] == [2, 2]
    assert pair[1].adjusted_p == 4 / 64
    assert pair[1].p == 2 / 64
    assert pair[1].verdict == "cannot tell: needs about n seeds", "0.03 alone, 0.06 among two"
    assert pair[0].adjusted_p == pytest.approx(sign_flip_p(noise.differences))


def test_comparisons_without_a_result_count_for_the_family() -> None:
    sure, missing, single = compare_family([Paired(SURE, 0.5), Paired([], 0.5), Paired([1.0], 0.5)])
    assert sure.adjusted_p == 6 / 64
    assert (missing.adjusted_p, missing.family, single.adjusted_p) == (None, 3, None)


def test_the_interval_must_leave_out_0_as_well() -> None:
    """One wild block makes the t-interval wide while every sign is the same."""
    values = [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 9.0]
    found = compare(Paired(values, 0.5))
    assert found.p is not None
    assert found.p <= 0.05
    assert found.low is not None
    assert found.low < 0
    assert found.verdict == "cannot tell: needs about n seeds"


def _needed(values: list[float], margin: float, family: int = 1) -> Comparison:
    return compare_family([Paired(values, margin)] * family)[0]


def test_how_many_seeds_are_needed() -> None:
    noisy = [3.0, -2.0, 0.5, -1.0]
    mean, sd = float(np.mean(noisy)), float(np.std(noisy, ddof=1))
    assert _needed(noisy, 1.0).needed == needed(1.0, sd)
    assert _needed(noisy, 1.0, 5).needed == needed(1.0, sd, 0.01), "at the level of the family's first step"
    moved = [x + 2 for x in noisy]
    assert _needed(moved, 1.0).needed == needed(mean + 2, sd), "of the observed mean, where that is larger"
    assert _needed([-x for x in moved], 1.0).needed == needed(mean + 2, sd)
    assert _needed([1.0, 1.1, 0.9], 1.0).needed == 6, "the exact test needs six, whatever the spread"
    assert _needed([1.0, 1.1, 0.9], 1.0, 7).needed == 9
    assert _needed([1.0, 1.0, 1.0], 1.0, 7).needed == 9, "no spread: what the exact test needs"


def test_undecided_though_there_are_enough() -> None:
    """The interval straddles the margin by chance: half as wide, it would lie on one side of it or of 0."""
    values = [x * 0.7 + 0.5 for x in (-1.0, 1.0, -1.0, 1.0, -0.5, 0.5, -0.5, 0.5)]
    found = compare(Paired(values, 0.95))
    assert needed(0.95, float(np.std(values, ddof=1))) <= 8
    assert found.verdict == "cannot tell: needs about n seeds"
    assert found.needed == 16


def test_one_seed_and_no_spread_claim_nothing() -> None:
    alone = compare(Paired([2.0], 1.0))
    assert (alone.mean, alone.low, alone.p, alone.smallest_p, alone.detectable, alone.needed) == (2.0, *[None] * 5)
    same = compare(Paired([2.0, 2.0, 2.0], 1.0))
    assert (same.effect_size, same.detectable) == (None, None)


def test_differences_that_are_equal_but_for_rounding_have_no_spread() -> None:
    """Two blocks with one difference are luck on a coarse score, not an interval of width nought."""
    rounded = [75.3 - 75.14, 50.16 - 50.0 + 1e-14]
    assert rounded[0] != rounded[1]
    found = compare(Paired(rounded, margin=1.0))
    assert found.verdict == "cannot tell: needs about n seeds"
    assert found.detectable is None
    assert found.low == found.high == pytest.approx(0.16)
