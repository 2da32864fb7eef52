"""Two lm-eval sample logs give the figures that scipy and statsmodels give; seeds give those of a study's report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparing_cases import log_folder, right_or_wrong, rows_of, write_csv

from balora.comparing.compared import Compared, compare_systems
from balora.comparing.comparison_words import document
from balora.comparing.sources import read_table
from balora.errors import InputError
from balora.statistics import Verdict, joint_interval, sign_flip_p, t_interval


def compared(*given: object, **options: Any) -> Compared:
    return compare_systems(read_table([str(one) for one in given]), **options)


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path, np.ndarray, np.ndarray]:
    """The logs of two models on one task, and their scores in points."""
    base, ours = right_or_wrong(400, 0.5, 0.56)
    folders = (log_folder(tmp_path / "base", {"boolq": base}), log_folder(tmp_path / "ours", {"boolq": ours}))
    return *folders, 100 * np.array(base), 100 * np.array(ours)


def test_two_logs_of_right_and_wrong_answers(logs: tuple[Path, Path, np.ndarray, np.ndarray]) -> None:
    from scipy.stats import binomtest, permutation_test, ttest_rel
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.power import TTestPower

    first, second, base, ours = logs
    found = compared(first, second)
    one, t = found.results[0], ttest_rel(ours, base)
    assert one.paired.mean == pytest.approx(ours.mean() - base.mean())
    assert (one.paired.low, one.paired.high) == pytest.approx(tuple(t.confidence_interval(0.95)))
    higher, lower = int((ours > base).sum()), int((ours < base).sum())
    assert (one.higher, one.lower, one.equal) == (higher, lower, 400 - higher - lower)
    table = [[int(((base > 0) & (ours > 0)).sum()), higher], [lower, int(((base == 0) & (ours == 0)).sum())]]
    assert one.paired.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert one.paired.p == pytest.approx(binomtest(higher, higher + lower).pvalue)
    options = {"n_resamples": 20_000, "batch": 5_000, "rng": np.random.default_rng(0)}
    flips = permutation_test((ours - base,), np.sum, permutation_type="samples", **options)
    assert one.paired.p == pytest.approx(flips.pvalue, abs=0.004)
    sd = float((ours - base).std(ddof=1))
    assert one.paired.detectable == pytest.approx(
        sd * TTestPower().solve_power(nobs=400, alpha=0.05, power=0.8), rel=1e-4
    )
    assert one.paired.adjusted_p == one.paired.p, "a family of one"
    assert (one.test, found.noun) == ("binomial", "item")


def test_scores_between_right_and_wrong(tmp_path: Path) -> None:
    from scipy.stats import permutation_test, ttest_rel

    generator = np.random.default_rng(1)
    base = generator.random(16).round(3)
    ours = np.clip(base + generator.normal(0.08, 0.1, 16), 0, 1).round(3)
    folders = [log_folder(tmp_path / name, {"f1": x.tolist()}, "f1") for name, x in (("base", base), ("ours", ours))]
    one = compared(*folders).results[0]
    theirs = permutation_test((ours - base,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert one.test == "exact"
    assert one.paired.p == pytest.approx(theirs.pvalue)
    interval = ttest_rel(ours, base).confidence_interval(0.95)
    assert (one.paired.low, one.paired.high) == pytest.approx((100 * interval.low, 100 * interval.high))


def test_a_family_is_corrected_as_statsmodels_does(tmp_path: Path) -> None:
    from statsmodels.stats.multitest import multipletests

    scores = right_or_wrong(300, 0.5, 0.55, 0.47, 0.52, seed=3)
    path = write_csv(tmp_path / "four.csv", rows_of(dict(zip("abcd", scores, strict=True))))
    for all_pairs, size in ((False, 3), (True, 6)):
        found = compared(path, all_pairs=all_pairs).results
        assert len(found) == size
        ps = [one.paired.p for one in found]
        assert [one.paired.adjusted_p for one in found] == pytest.approx(multipletests(ps, method="holm")[1])
    assert {(one.system, one.against) for one in found} == {
        ("b", "a"), ("c", "a"), ("d", "a"), ("c", "b"), ("d", "b"), ("d", "c")
    }  # fmt: skip


def test_clusters_give_statsmodels_robust_interval(tmp_path: Path) -> None:
    import statsmodels.api as sm

    base, ours = right_or_wrong(240, 0.5, 0.58, seed=4)
    passages = np.random.default_rng(4).integers(0, 40, 240)
    rows = rows_of({"base": base, "ours": ours}, cluster=[f"passage {p}" for p in passages])
    found = compared(write_csv(tmp_path / "s.csv", rows))
    difference = 100 * (np.array(ours) - np.array(base))
    fit = sm.OLS(difference, np.ones(240)).fit(cov_type="cluster", cov_kwds={"groups": passages}, use_t=True)
    one = found.results[0].paired
    assert (one.low, one.high) == pytest.approx(tuple(fit.conf_int()[0]))
    assert (found.noun, one.n) == ("cluster", len(set(passages.tolist())))
    assert found.tasks[0].clusters == one.n


def test_several_tasks_count_once_each(tmp_path: Path) -> None:
    """A task of 30 items weighs as much as one of 300."""
    small, large = right_or_wrong(30, 0.3, 0.6, seed=5), right_or_wrong(300, 0.5, 0.5, seed=6)
    tasks = [{"small": small[i], "large": large[i]} for i in (0, 1)]
    found = compared(log_folder(tmp_path / "a", tasks[0]), log_folder(tmp_path / "b", tasks[1]))
    by_task = {task: 100 * (np.mean(tasks[1][task]) - np.mean(tasks[0][task])) for task in tasks[0]}
    assert found.results[0].paired.mean == pytest.approx(sum(by_task.values()) / 2)
    assert {one.task: one.difference for one in found.results[0].tasks} == pytest.approx(by_task)
    assert found.systems[0].mean == pytest.approx(50 * (np.mean(small[0]) + np.mean(large[0])))


def seeded(tmp_path: Path, seeds: int = 5, items: int = 40) -> tuple[Path, np.ndarray]:
    """A table of two systems scored with several seeds, and the differences as seeds × items, in points."""
    generator = np.random.default_rng(7)
    scores = (generator.random((2, seeds, items)) < np.array([0.5, 0.65])[:, None, None]).astype(float)
    rows = [
        {"item": f"q{i}", "system": name, "score": scores[s, seed, i], "seed": seed}
        for s, name in enumerate(("base", "ours"))
        for seed in range(seeds)
        for i in range(items)
    ]
    return write_csv(tmp_path / "seeds.csv", rows), 100 * (scores[1] - scores[0])


def test_seeds_are_resampled_as_a_studys_blocks_are(tmp_path: Path) -> None:
    path, differences = seeded(tmp_path)
    found = compared(path)
    one, means = found.results[0], differences.mean(axis=1)
    assert (found.over, found.noun, found.seeds, one.paired.n) == ("seeds", "seed", 5, 5)
    assert (one.paired.low, one.paired.high) == pytest.approx(t_interval(means.tolist()))
    assert one.paired.p == pytest.approx(sign_flip_p(means.tolist()))
    assert one.joint == pytest.approx(joint_interval(means.tolist(), [differences / 100], 1))


def test_a_seed_counts_with_the_mean_over_its_tasks(tmp_path: Path) -> None:
    generator = np.random.default_rng(8)
    sizes = {"small": 10, "large": 30}
    scores = {task: (generator.random((2, 4, n)) < 0.5).astype(float) for task, n in sizes.items()}
    rows = [
        {"task": task, "item": i, "system": name, "score": scores[task][s, seed, i], "seed": seed}
        for task, n in sizes.items()
        for s, name in enumerate(("base", "ours"))
        for seed in range(4)
        for i in range(n)
    ]
    one = compared(write_csv(tmp_path / "s.csv", rows)).results[0]
    by_task = [100 * (found[1] - found[0]) for found in scores.values()]
    means = ((by_task[0].mean(axis=1) + by_task[1].mean(axis=1)) / 2).tolist()
    assert (one.paired.low, one.paired.high) == pytest.approx(t_interval(means))
    assert one.joint == pytest.approx(joint_interval(means, [found / 100 for found in by_task], 2))
    wanting = [row for row in rows if (row["task"], row["seed"]) != ("large", 3)]
    with pytest.raises(InputError, match="seed '3' has scores of 1 of 2 tasks: score it on all of them, leave it out"):
        compared(write_csv(tmp_path / "s.csv", wanting))


def test_over_items_each_item_counts_with_its_mean_over_seeds(tmp_path: Path) -> None:
    path, differences = seeded(tmp_path)
    found = compared(path, over="items")
    values = differences.mean(axis=0)
    one = found.results[0]
    assert (found.over, found.noun, one.paired.n, one.joint) == ("items", "item", 40, None)
    assert (one.paired.low, one.paired.high) == pytest.approx(t_interval(values.tolist()))
    assert "Every item counts with its mean over its seeds" in " ".join(document(found)["methods"])


def test_clusters_within_seeds_widen_the_joint_interval_alone(tmp_path: Path) -> None:
    path, differences = seeded(tmp_path)
    lines = path.read_text().splitlines()
    rows = [f"{lines[0]},cluster", *(f"{line},{int(line[1:].split(',')[0]) // 4}" for line in lines[1:])]
    clustered = tmp_path / "clustered.csv"
    clustered.write_text("\n".join(rows) + "\n")
    one = compared(clustered).results[0]
    means, grouped = differences.mean(axis=1), differences.reshape(5, 10, 4).mean(axis=2)
    assert (one.paired.low, one.paired.high) == pytest.approx(t_interval(means.tolist()))
    assert one.joint == pytest.approx(joint_interval(means.tolist(), [grouped / 100], 1))


def test_a_lower_score_is_better_where_the_log_or_the_user_says_so(tmp_path: Path) -> None:
    losses = [np.full(30, 0.6).tolist(), (0.5 + np.linspace(-0.01, 0.01, 30)).tolist()]
    folders = [log_folder(tmp_path / n, {"t": x}, "brier", higher=False) for n, x in zip("ab", losses, strict=True)]
    found = compared(*folders)
    assert (found.higher_is_better, found.results[0].paired.verdict) == (False, Verdict.HELPS)
    path = write_csv(tmp_path / "s.csv", rows_of({"a": losses[0], "b": losses[1]}))
    assert compared(path).results[0].paired.verdict is Verdict.HURTS
    assert compared(path, lower_is_better=True).results[0].paired.verdict is Verdict.HELPS


@pytest.mark.parametrize(
    ("scale", "high", "difference"),
    [(None, 1.0, 10.0), (None, 100.0, 10.0), ((0.0, 10.0), 10.0, 10.0), ((1, 5), 4.0, 10)],
)
def test_scores_of_any_range_are_shown_in_points(
    tmp_path: Path, scale: tuple[float, float] | None, high: float, difference: float
) -> None:
    low = scale[0] if scale else 0.0
    base = np.linspace(0.2, 0.8, 20)
    scores = {name: (low + high * (base + shift)).tolist() for name, shift in (("a", 0.0), ("b", 0.1))}
    found = compared(write_csv(tmp_path / "s.csv", rows_of(scores)), scale=scale)
    assert found.results[0].paired.mean == pytest.approx(10.0)


def test_the_document_holds_every_number_of_the_comparison(logs: tuple[Path, Path, np.ndarray, np.ndarray]) -> None:
    from balora.cli.output import json_text

    found = compared(logs[0], logs[1], margin=2.5)
    content = json.loads(json_text(document(found)))
    pair, one = content["comparisons"][0], found.results[0]
    assert (pair["difference"], pair["low"], pair["p"]) == (one.paired.mean, one.paired.low, one.paired.p)
    assert (content["margin"], content["range"], content["resampled"]) == (2.5, [0.0, 1.0], "items")
    assert content["systems"][1]["mean"] == pytest.approx(logs[3].mean())
    assert pair["verdict"] in content["answer"]
