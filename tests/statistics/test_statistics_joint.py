"""The bootstrap over blocks and items, and the choice among candidates, on literals and against slower oracles."""

import numpy as np
import pytest

from balora.statistics import Paired, compare, joint_interval, leave_one_out, sign_flip_p, t_interval, widening


def crossed(seed: int, n: int, m: int, of_items: float) -> np.ndarray:
    """Blocks × items of −1, 0 and 1 whose items differ by ``of_items``."""
    draw = np.random.default_rng(seed)
    values = draw.normal(0.1, 0.6, (n, m)) + draw.normal(0, of_items, m)
    return np.clip(np.round(values), -1, 1).astype(np.int8)


def half(interval: tuple[float, float] | None) -> float:
    assert interval is not None
    return (interval[1] - interval[0]) / 2


def test_without_differences_between_items_it_is_the_t_interval() -> None:
    differences = [1.0, 2.0, 4.0, 0.5]
    same = [np.ones((4, 50), dtype=np.int8)]
    assert joint_interval(differences, same, 1) == pytest.approx(t_interval(differences))


def test_items_widen_it_by_their_own_variance() -> None:
    """Independent oracle: a two-way analysis of variance by loops gives σ² of items; the parts add up in squares."""
    n, m = 6, 80
    items = crossed(0, n, m, 0.8)
    differences = list(100 * items.mean(axis=1))
    grand = items.mean()
    rest = sum(
        (items[b, i] - items[b].mean() - items[:, i].mean() + grand) ** 2 for b in range(n) for i in range(m)
    ) / ((n - 1) * (m - 1))
    of_items = (items.mean(axis=0).var(ddof=1) - rest / n) / m
    low, high = t_interval(differences)
    expected = np.hypot((high - low) / 2, 1.96 * 100 * np.sqrt(of_items))
    assert half(joint_interval(differences, [items], 1)) == pytest.approx(expected, rel=1e-4)
    assert expected > 1.3 * (high - low) / 2, "the setting can tell"


def test_noise_alone_is_not_counted_again() -> None:
    items = crossed(1, 8, 300, 0.0)
    differences = list(100 * items.mean(axis=1))
    low, high = t_interval(differences)
    assert half(joint_interval(differences, [items], 1)) == pytest.approx((high - low) / 2, rel=0.1)


def test_a_task_counts_by_its_share_of_the_average() -> None:
    items, differences = crossed(2, 4, 40, 0.9), [0.0, 0.1, -0.1, 0.0]
    one, two = half(joint_interval(differences, [items], 1)), half(joint_interval(differences, [items], 2))
    assert two == pytest.approx(one / 2, rel=0.02)
    both = half(joint_interval(differences, [items, items], 2))
    assert both == pytest.approx(one / np.sqrt(2), rel=0.05), "independent tasks"


def test_more_items_of_the_same_kind_narrow_it() -> None:
    items, differences = crossed(3, 4, 40, 0.9), [0.0, 0.1, -0.1, 0.0]
    once, often = joint_interval(differences, [items], 1), joint_interval(differences, [np.tile(items, 9)], 1)
    assert half(often) == pytest.approx(half(once) / 3, rel=0.06)


def test_it_is_the_bootstrap_that_draws_its_replicates() -> None:
    """Independent oracle: 20,000 replicates of blocks and items with replacement, drawn one by one from the effects."""
    draw, n, tasks = np.random.default_rng(5), 5, [crossed(5, 5, 60, 0.7), crossed(6, 5, 30, 1.0)]
    differences = [100 * float(np.mean([one[b].mean() for one in tasks])) for b in range(n)]
    low, high = t_interval(differences)
    effects = np.array(differences) - np.mean(differences)
    blocks = effects[draw.integers(0, n, (20_000, n))].mean(axis=1)
    replicates = blocks * ((high - low) / 2 / 1.96 / blocks.std())
    for one in tasks:
        m, means = one.shape[1], one.mean(axis=0) - one.mean()
        rest = (one - one.mean(axis=0)) - (one - one.mean(axis=0)).mean(axis=1, keepdims=True)
        share = 1 - (rest**2).sum() / ((n - 1) * (m - 1)) / n / means.var(ddof=1)
        replicates += 100 / 2 * np.sqrt(share * m / (m - 1)) * means[draw.integers(0, m, (20_000, m))].mean(axis=1)
    assert half(joint_interval(differences, tasks, 2)) == pytest.approx(1.96 * replicates.std(), rel=0.015)
    assert half(joint_interval(differences, tasks, 2)) > 1.2 * (high - low) / 2, "the setting can tell"


def test_its_middle_is_the_mean() -> None:
    ends = joint_interval([1.0, 3.0, 2.0, 2.5, 0.0], [crossed(4, 5, 60, 0.5)], 1)
    assert ends is not None
    assert sum(ends) / 2 == pytest.approx(1.7)


def test_one_block_or_no_items_is_no_interval() -> None:
    assert joint_interval([1.0], [np.ones((1, 9), dtype=np.int8)], 1) is None
    assert joint_interval([1.0, 2.0], [], 1) is None
    assert joint_interval([1.0, 2.0], [np.ones((2, 1), dtype=np.int8)], 1) == pytest.approx(t_interval([1.0, 2.0]))


def test_a_candidate_is_chosen_by_the_other_blocks() -> None:
    scores = {"a": {1: 9.0, 2: 1.0, 3: 1.0}, "b": {1: 2.0, 2: 2.0, 3: 2.0}}
    # without block 1: a 1, b 2; without 2: a 5, b 2; without 3: a 5, b 2
    assert leave_one_out(scores) == {1: "b", 2: "a", 3: "a"}
    assert leave_one_out(scores, higher_is_better=False) == {1: "a", 2: "b", 3: "b"}


def test_of_equals_the_first_is_chosen() -> None:
    assert leave_one_out({"z": {1: 1.0, 2: 1.0}, "a": {1: 1.0, 2: 1.0}}) == {1: "z", 2: "z"}


def test_candidates_that_lack_a_block_do_not_compete_there() -> None:
    scores = {"failed": {1: 100.0}, "whole": {1: 1.0, 2: 2.0, 3: 3.0}}
    assert leave_one_out(scores) == {1: "whole", 2: "whole", 3: "whole"}
    part = {"a": {1: 5.0, 2: 5.0}, "b": {1: 1.0, 2: 1.0, 3: 1.0}}  # block 3 is not finished
    assert leave_one_out(part) == {1: "b", 2: "b"}, "block 3 would be a's, which lacks it"


def test_one_block_has_nothing_to_choose_by() -> None:
    assert leave_one_out({"a": {1: 1.0}, "b": {1: 2.0}}) == {}
    assert leave_one_out({"a": {}, "b": {}}) == {}


def test_a_choice_that_is_never_in_doubt_widens_nothing() -> None:
    draw = np.random.default_rng(0)
    best, behind = draw.normal(0, 1, (1, 6)), draw.normal(-50, 1, (3, 6))
    assert widening(best) == 1
    assert widening(np.concatenate((best, behind))) == pytest.approx(1)
    assert widening(np.concatenate((behind, best))) == pytest.approx(1)
    assert widening(np.ones((3, 4))) == 1, "no spread at all"
    lucky = np.array([[-1.0] * 8, [-4.9] + [-0.5] * 7])
    assert widening(lucky) == 1, "what is chosen may vary less, but nothing is narrowed"
    assert widening(draw.normal(0, 1, (3, 1))) == 1


@pytest.mark.parametrize("blocks", [8, 14])
def test_a_choice_among_equals_widens(blocks: int) -> None:
    """Independent oracle: the spread of the tuned mean over many studies, against what single studies say of theirs."""
    draw, means, stated, widened = np.random.default_rng(1), [], [], []
    for _ in range(300):
        table = draw.normal(0, 1, (6, blocks))
        chosen = leave_one_out({str(k): dict(enumerate(row)) for k, row in enumerate(table)})
        values = [table[int(name), block] for block, name in chosen.items()]
        means.append(np.mean(values))
        stated.append(np.var(values, ddof=1) / blocks)
        widened.append(stated[-1] * widening(table) ** 2)
    true = np.var(means)
    assert np.mean(stated) < 0.75 * true
    assert 0.9 * true < np.mean(widened) < 1.6 * true


def test_what_is_widened_is_all_that_rests_on_the_spread() -> None:
    values = [1.0, 2.0, 1.5, 0.5, 2.5, 1.0]
    plain, wide = compare(Paired(values, 1.0)), compare(Paired(values, 1.0, True, 3.0))
    assert half((wide.low or 0, wide.high or 0)) == pytest.approx(3 * half((plain.low or 0, plain.high or 0)))
    assert wide.detectable == pytest.approx(3 * (plain.detectable or 0))
    assert (wide.needed or 0) > (plain.needed or 0)
    assert wide.effect_size == plain.effect_size
    assert plain.p == sign_flip_p(values) == 2 / 64
    from scipy.stats import t

    error = 3 * np.std(values, ddof=1) / np.sqrt(6)
    assert wide.p == pytest.approx(2 * t.sf(np.mean(values) / error, 5))
    assert (plain.verdict, wide.verdict) == ("helps", "cannot tell: needs about n seeds")
    assert half(joint_interval(values, [np.zeros((6, 9))], 1, widening=3.0)) == pytest.approx(
        3 * half(t_interval(values))
    )
