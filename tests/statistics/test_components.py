"""The parts of a difference's variance, and what more runs should bring: closed forms, oracles, what cannot be told."""

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from balora.statistics import (
    Components,
    Missing,
    blocks_for,
    components,
    gains,
    half_width,
    heterogeneity,
    t_interval,
)
from balora.statistics.hierarchy import variance_of_items

PARTS = Components((2, 2, 2, 2), (), pretraining=9.0, finetuning=3.0, items=0.5, rest=1.0)
"""Four models with two blocks each: τ² = 9, σ² = 4."""
OWN = Components((1,) * 8, (Missing.NO_REPLICATES,), together=12.0, items=0.5, rest=1.0)
GIVEN = Components((8,), (Missing.ONE_MODEL, Missing.NO_ITEMS), finetuning=4.0)
PAIRS = [0, 0, 1, 1, 2, 2]


def answers(seed: int, models: int, each: int, items: int, spread: tuple[float, float, float, float]) -> np.ndarray:
    """Blocks × items of normal differences with standard deviations (τ, φ, γ, ε)."""
    draw, (tau, phi, gamma, epsilon) = np.random.default_rng(seed), spread
    blocks = np.repeat(draw.normal(0, tau, models), each) + draw.normal(0, phi, models * each)
    rest = draw.normal(0, epsilon, (models * each, items))
    values: np.ndarray = blocks[:, None] + draw.normal(0, gamma, items) + rest
    return values


def test_closed_form() -> None:
    """Blocks of 25 and 75 points on one model, −50 and 0 on the other: means 50 and −25, 1250 within."""
    items = np.array([[1, 0, 0, 0], [1, 1, 1, 0], [-1, -1, 0, 0], [0, -1, 1, 0]], dtype=np.int8)
    differences = list(100 * items.mean(axis=1))
    found = components(differences, ["a", "a", "b", "b"], [items], 1)
    assert (found.pretraining or 0) + (found.within or 0) / 2 == pytest.approx((50 + 25) ** 2 / 2, rel=1e-6)
    assert found.within == pytest.approx(1250, rel=1e-6)
    # all 16 residuals are ± 1/4; 2 models · 1 · 3 degrees of freedom, 4 items
    assert found.rest == pytest.approx(100**2 * 16 * (1 / 4) ** 2 / 6 / 4)
    assert found.items == pytest.approx(100**2 * variance_of_items(items))
    assert found.missing == ()


def test_the_parts_between_blocks_add_up_to_what_the_blocks_show() -> None:
    items = [answers(k, 3, 2, 50, (0.1, 0.1, 0.3, 0.5)) for k in range(2)]
    differences = list(100 * np.mean([one.mean(axis=1) for one in items], axis=0))
    found, spread = components(differences, PAIRS, items, 2), heterogeneity(differences, PAIRS)
    assert spread is not None
    assert found.pretraining == pytest.approx(spread.tau**2)
    assert (found.finetuning or 0) + (found.rest or 0) == pytest.approx(spread.sigma**2)
    assert found.within == pytest.approx(spread.sigma**2)
    assert found.total == pytest.approx(spread.tau**2 + spread.sigma**2 + (found.items or 0))


def test_the_parts_are_those_that_were_drawn() -> None:
    """Means over 60 made-up studies against the truth; standard errors are about a tenth of each."""
    spread, items = (0.06, 0.04, 0.5, 0.4), 60
    made = []
    for seed in range(60):
        one = answers(seed, 24, 3, items, spread)
        found = components(list(100 * one.mean(axis=1)), list(np.repeat(np.arange(24), 3)), [one])
        made.append([found.pretraining, found.finetuning, found.items, found.rest])
    wanted = [36, 16, 100**2 * 0.25 / items, 100**2 * 0.16 / items]
    assert np.mean(np.array(made, dtype=float), axis=0) == pytest.approx(wanted, rel=0.1)


def test_items_count_by_their_tasks_share_of_the_average() -> None:
    one = answers(1, 3, 2, 40, (0.1, 0.1, 0.5, 0.5))
    differences = list(100 * one.mean(axis=1) / 2)
    alone, half = components(differences, PAIRS, [one], 1), components(differences, PAIRS, [one], 2)
    assert half.items == pytest.approx((alone.items or 0) / 4)
    assert half.missing == (Missing.SOME_ITEMS,), "the other task has no item scores"
    twice = components(differences, PAIRS, [one, one], 2)
    assert twice.items == pytest.approx((alone.items or 0) / 2)
    assert twice.missing == ()


def test_fine_tuning_never_falls_below_0() -> None:
    """Blocks that answer other items right, yet as many: all of the little within models is in the rest."""
    items = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1]], dtype=np.int8)
    found = components([25.0, 26.0, 75.0, 76.0], [0, 0, 1, 1], [items])
    assert (found.finetuning, found.rest) == (0, pytest.approx(found.within))
    assert found.within == pytest.approx(0.5, rel=1e-6)


def test_a_model_for_each_block_leaves_pre_training_and_fine_tuning_together() -> None:
    one = answers(4, 6, 1, 50, (0.2, 0.1, 0.3, 0.5))
    differences = list(100 * one.mean(axis=1))
    found = components(differences, list(range(6)), [one])
    assert (found.pretraining, found.finetuning, found.within) == (None, None, None)
    assert found.missing == (Missing.NO_REPLICATES,)
    assert (found.together or 0) + (found.rest or 0) == pytest.approx(np.var(differences, ddof=1))
    left = one - one.mean(axis=0) - one.mean(axis=1, keepdims=True) + one.mean()
    assert found.rest == pytest.approx(100**2 * (left**2).sum() / 5 / 49 / 50)


def test_one_model_shows_no_pre_training() -> None:
    found = components([1.0, 2.0, 4.0], [7, 7, 7])
    assert (found.pretraining, found.together, found.items, found.rest) == (None, None, None, None)
    assert found.finetuning == pytest.approx(np.var([1, 2, 4], ddof=1))
    assert found.missing == (Missing.ONE_MODEL, Missing.NO_ITEMS)


def test_one_block_shows_nothing() -> None:
    found = components([1.0], [0], [np.ones((1, 9), dtype=np.int8)])
    assert found == Components((1,), (Missing.ONE_BLOCK,))
    assert (found.total, found.within, found.of_a_block) == (0, None, None)
    assert components([], []) == Components((), (Missing.NO_BLOCK,))
    assert gains(found) == gains(components([], [])) == ()


def test_unbalanced_designs_and_single_items_are_no_trouble() -> None:
    one = np.array([[1], [0], [1], [-1]], dtype=np.int8)
    found = components([100.0, 0.0, 100.0, -100.0], [0, 1, 1, 1], [one])
    assert found.sizes == (3, 1)
    assert (found.items, found.rest) == (0, 0)


def test_the_width_of_a_design_in_closed_form() -> None:
    t = stats.t.isf(0.025, [3, 7, 11, 7])
    assert half_width(PARTS, (2, 2, 2, 2)) == pytest.approx(t[0] * sqrt((9 + 4 / 2) / 4))
    assert half_width(PARTS, (1,) * 8) == pytest.approx(t[1] * sqrt(13 / 8))
    mixed = 1 / sqrt(4 / (9 + 4 / 2) + 8 / (9 + 4))
    assert half_width(PARTS, (2, 2, 2, 2, *(1,) * 8)) == pytest.approx(t[2] * mixed)
    assert half_width(GIVEN, (8,)) == pytest.approx(t[3] * sqrt(4 / 8))
    assert half_width(PARTS, (8,)) == pytest.approx(t[3] * sqrt(4 / 8)), "eight seeds of one of these models"


def test_the_width_of_the_same_design_is_that_of_its_interval() -> None:
    values = [1.0, 2.5, 0.5, 3.0, -1.0]
    low, high = t_interval(values)
    for models in (range(5), [0] * 5):
        parts = components(values, list(models))
        assert half_width(parts, parts.sizes) == pytest.approx((high - low) / 2)
    found, six = heterogeneity([*values, 0.0], PAIRS), components([*values, 0.0], PAIRS)
    assert found is not None
    assert found.tau > 0
    assert half_width(six, six.sizes) == pytest.approx((found.high - found.low) / 2, rel=1e-6)


def test_a_width_that_the_parts_do_not_show_is_none() -> None:
    assert half_width(OWN, (2, 2)) is None, "seeds within a model are unknown"
    assert half_width(OWN, (4,)) is None
    assert half_width(GIVEN, (1, 1)) is None, "other models are unknown"
    assert half_width(GIVEN, (2, 2)) is None
    assert half_width(PARTS, (1,)) is None, "one block has no interval"
    assert half_width(Components((1,), (Missing.ONE_BLOCK,)), (1, 1)) is None


def test_the_blocks_for_a_width_are_the_fewest() -> None:
    for parts, variance in ((PARTS, 13), (OWN, 13), (GIVEN, 4)):
        n = blocks_for(parts, 1.0)
        assert n is not None
        widths = [stats.t.isf(0.025, k - 1) * sqrt(variance / k) for k in (n - 1, n)]
        assert widths[0] > 1 >= widths[1]
    assert blocks_for(PARTS, 100.0) == 2
    assert blocks_for(PARTS, 0.001) == int(np.ceil(stats.norm.isf(0.025) ** 2 * 13 / 0.001**2))
    assert blocks_for(Components((1,), (Missing.ONE_BLOCK,)), 1.0) is None


def test_gains_are_ratios_of_widths() -> None:
    now = half_width(PARTS, PARTS.sizes) or 0
    seeds, models, items = gains(PARTS)
    assert (seeds.way, seeds.more, seeds.blocks) == ("seeds", 2, 8)
    assert seeds.half_width == pytest.approx(half_width(PARTS, (4, 4, 4, 4)))
    assert (models.way, models.more, models.blocks) == ("models", 8, 8)
    assert models.half_width == pytest.approx(half_width(PARTS, (2, 2, 2, 2, *(1,) * 8)))
    assert (items.way, items.more, items.blocks) == ("items", 2, 0)
    assert items.half_width == pytest.approx(stats.t.isf(0.025, 3) * sqrt((9 + 3.5 / 2) / 4))
    for one in (seeds, models, items):
        assert one.narrowing == pytest.approx(1 - one.half_width / now)
    assert models.narrowing > seeds.narrowing > items.narrowing > 0


def test_gains_name_only_what_the_parts_tell() -> None:
    assert [(one.way, one.more) for one in gains(OWN)] == [("models", 8), ("items", 2)]
    assert [(one.way, one.more) for one in gains(GIVEN)] == [("seeds", 8)]
    unbalanced = Components((3, 2, 1, 1), (), pretraining=1.0, finetuning=1.0)
    assert [(one.way, one.more, one.blocks) for one in gains(unbalanced)] == [("seeds", 2, 8), ("models", 8, 8)]


def test_nothing_is_gained_where_nothing_differs() -> None:
    assert gains(components([0.0, 0.0, 0.0, 0.0], [0, 0, 1, 1])) == ()
    assert half_width(components([0.0, 0.0, 0.0, 0.0], [0, 0, 1, 1]), (2, 2, 2)) == 0
