"""What is compared with what: the arm of reference, families, margins, tuned arms, and intervals over items."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from report_cases import TASKS, Score, prints, records, report_of

import balora.report.records.report as data
from balora.report.markdown import draw
from balora.report.records.measures import MEASURES
from balora.report.records.report import ArmRow, Report
from balora.report.records.wording import VERDICTS, answer, verdict
from balora.statistics import (
    Comparison,
    Paired,
    Verdict,
    compare,
    compare_family,
    holm,
    joint_interval,
    t_interval,
    widening,
)
from balora.study.design.candidates import DesignedArm
from balora.study.design.study import Study
from balora.study.plan.blocks import seeds
from balora.study.plan.plan import Choices, Plan, make_plan
from balora.study.store.study_folder import StudyRecord, describe
from balora.training.record import RunRecord, packed_rows

ARMS = {"warm": {"set": {"adapter.rank": 4}}, "cold": {"set": {"adapter.rank": 2}}}
LEVEL = {"ba-lora": 50.0, "warm": 53.0, "cold": 45.0}


def planned(count: int = 8, **more: object) -> Plan:
    study = Study(**{"study": "made-up", "question": "What if?", "base": "ba-lora", "arms": ARMS, **more})
    return make_plan(study, Choices("a/model", seeds=count), TASKS, prints)


def score(arm: str, task: str, seed: int) -> float:
    return LEVEL[arm] + seed % 11 + (len(arm) * len(task) + seed * len(arm)) % 13 / 13


def made(**more: object) -> Report:
    plan = planned(**more)
    return report_of(plan, records(plan, score))


def test_the_arm_of_reference_is_the_study_s() -> None:
    usual, other = made(), made(against="warm")
    assert (usual.against, other.against, other.base) == ("ba-lora", "warm", "ba-lora")
    assert {one.arm for one in other.differences} == {"ba-lora", "cold"}
    found = {(one.arm, one.measure): one.paired.mean for one in other.differences}
    before = {(one.arm, one.measure): one.paired.mean for one in usual.differences}
    assert found["ba-lora", "nlu_avg"] == pytest.approx(-(before["warm", "nlu_avg"] or 0))
    assert other.answer.startswith("Compared with warm over 8 seeds: in NLU Avg, hurts for ba-lora (−")
    assert "### Differences to warm, seed by seed" in draw(other)
    changes = {(one.arm, one.measure) for one in other.inherited if one.difference is not None}
    assert not any(arm == "warm" for arm, _ in changes)


def test_the_family_is_every_arm_in_every_declared_metric() -> None:
    report = made()
    of = {(one.arm, one.measure): one.paired for one in report.differences}
    assert report.family_size == 4
    assert {key: paired.family for key, paired in of.items()} == {
        (arm, measure): None if measure == "nlg_answer_loss" else 4 for arm in ARMS for measure in report.measures
    }
    inside = [paired for paired in of.values() if paired.family]
    assert [paired.adjusted_p for paired in inside] == holm([paired.p for paired in inside])
    assert of["warm", "nlg_answer_loss"].adjusted_p is None


def test_a_declared_family_is_corrected_alone() -> None:
    report = made(family=["cold"])
    of = {(one.arm, one.measure): one.paired for one in report.differences}
    assert report.family_size == 2
    assert of["cold", "nlu_avg"].adjusted_p == pytest.approx(2 * 2 / 256)
    assert (of["warm", "nlu_avg"].adjusted_p, of["warm", "nlu_avg"].verdict) == (None, "helps")
    assert "p is corrected (Holm) over a family of 2 comparisons (arms);" in " ".join(report.cautions)
    assert "Holm over a family of 2 comparisons;" in draw(report)


def test_one_metric_makes_a_family_of_half_the_size() -> None:
    assert made(metrics=["nlu_avg"]).family_size == 2


def test_the_margin_is_in_points_and_for_the_loss_a_hundredth_of_it() -> None:
    """Warm is 4 points off, up and down in turn: the interval is ±3.58; the made-up loss is a tenth of the score."""
    sign = {seed: (-1) ** place for place, seed in enumerate(seeds(8))}

    def of(margin: float) -> dict[str, Comparison]:
        plan = planned(margin=margin)
        runs = records(plan, lambda arm, task, seed: 50 + 4.0 * sign[seed] * (arm == "warm"))
        return {one.measure: one.paired for one in report_of(plan, runs).differences if one.arm == "warm"}

    unknown, known = "cannot tell: needs about n seeds", "no difference larger than x"
    assert {measure: paired.verdict for measure, paired in of(3.5).items()} == dict.fromkeys(
        ("nlu_avg", "nlg_avg", "nlg_answer_loss"), unknown
    )
    assert [paired.verdict for paired in of(3.6).values()] == [known, known, unknown]
    assert [paired.verdict for paired in of(36).values()] == [known, known, known]
    assert of(36)["nlg_answer_loss"].bound == pytest.approx(0.3575, abs=1e-3)


def test_a_verdict_is_worded_with_its_numbers() -> None:
    bounded, open_ = compare(Paired([0.3, -0.1, 0.2, 0.25], 1.0)), compare(Paired([3.0, -1.0, 2.0, 2.5], 1.0))
    assert verdict(bounded, "points", "seed") == "no difference larger than 0.45 points"
    assert verdict(open_, "points", "block") == f"cannot tell: needs about {open_.needed} blocks"
    assert verdict(compare(Paired([1.0], 1.0)), "points", "block") == "cannot tell: one block"
    assert verdict(compare(Paired([], 1.0)), "points", "block") == "cannot tell: no block in common"
    never = verdict(replace(open_, needed=None), "points", "seed")
    assert never == "cannot tell: with this many comparisons no number of seeds reaches p ≤ 0.05"


def test_every_verdict_has_words_of_its_own() -> None:
    assert list(VERDICTS) == list(Verdict)
    paired = compare(Paired([3.0, -1.0, 2.0, 2.5], 1.0))
    worded = {verdict(replace(paired, verdict=known), "points", "block") for known in Verdict}
    assert len(worded) == len(Verdict)
    assert not [words for words in worded if "seed" in words or "{" in words]


def item_scores(arm: str, task: str, seed: int) -> list[bool]:
    """50 rows; the arm decides how many are right, the row whether it is an easy one, the seed a little."""
    draw = np.random.default_rng([len(arm), len(task), seed])
    ease = np.random.default_rng([7, len(task)]).normal(0, 1, 50) * (1 if arm == "ba-lora" else -1)
    return list(draw.normal(0.2, 1, 50) + ease > 0)


def with_items(plan: Plan, tasks: tuple[str, ...]) -> dict[str, RunRecord]:
    found = records(plan, lambda a, t, s: 100 * float(np.mean(item_scores(a, t, s))))
    for run in plan.runs:
        if run.task in tasks:
            rows = item_scores(run.arm, run.task, run.seed)
            found[run.id] = found[run.id].replace(correct=packed_rows(rows), rows=len(rows))
    return found


def differences_of_items(plan: Plan, arm: str, task: str) -> np.ndarray:
    return np.array(
        [np.subtract(item_scores(arm, task, s), item_scores("ba-lora", task, s), dtype=np.int8) for s in seeds(8)]
    )


def test_the_joint_interval_is_over_the_items_of_the_same_rows() -> None:
    plan = planned()
    report = report_of(plan, with_items(plan, ("cola", "rte", "gsm8k")))
    of = {(one.arm, one.measure): one for one in report.differences}
    items = [differences_of_items(plan, "cold", task) for task in ("cola", "rte")]
    blocks = [100 * float(np.mean([one[b].mean() for one in items])) for b in range(8)]
    expected = joint_interval(blocks, items, 2)
    assert expected is not None
    found = of["cold", "nlu_avg"]
    assert found.joint == pytest.approx(expected)
    assert found.paired.low is not None
    assert expected[0] < found.paired.low - 0.5, "rows differ, so it is wider"
    assert of["cold", "nlg_answer_loss"].joint is None
    text = draw(report)
    assert f"{expected[0]:+.2f} to {expected[1]:+.2f}".replace("-", "−") in text


def test_tasks_without_item_scores_count_by_their_blocks() -> None:
    plan = planned()
    report = report_of(plan, with_items(plan, ("rte",)))
    of = {(one.arm, one.measure): one for one in report.differences}
    blocks = [
        100 * float(np.mean([differences_of_items(plan, "cold", task)[b].mean() for task in ("cola", "rte")]))
        for b in range(8)
    ]
    assert of["cold", "nlu_avg"].joint == pytest.approx(
        joint_interval(blocks, [differences_of_items(plan, "cold", "rte")], 2)
    )
    assert of["cold", "nlg_avg"].joint is None


def test_runs_asked_different_numbers_of_rows_have_no_joint_interval() -> None:
    plan = planned()
    runs = with_items(plan, ("gsm8k",))
    odd = next(run.id for run in plan.runs if (run.arm, run.task) == ("cold", "gsm8k"))
    runs[odd] = runs[odd].replace(correct=packed_rows([True] * 49), rows=49)
    of = {(one.arm, one.measure): one for one in report_of(plan, runs).differences}
    assert of["cold", "nlg_avg"].joint is None
    assert of["warm", "nlg_avg"].joint is not None


CANDIDATES = {"warm": 4, "cold": 2}


def better_but_lucky_once(arm: str, task: str, seed: int) -> float:
    """Warm is better than cold in every block but the first, where cold has a stroke of luck."""
    return 99.0 if (arm, seed) == ("cold", 42) else {"ba-lora": 50.0, "warm": 60.0, "cold": 55.0}[arm] + seed % 7


def alike(arm: str, task: str, seed: int) -> float:
    """Nothing but luck, and of the arms' own."""
    return float(np.random.default_rng([len(arm), ord(arm[0]), seed]).normal(50, 3))


def tuned_report(
    monkeypatch: pytest.MonkeyPatch, count: int = 8, scored: Score = better_but_lucky_once, **more: object
) -> Report:
    """The two arms as candidates of one tuned arm."""
    plan = planned(count)
    tuned = {"best": {"over": {"adapter.rank": [4, 2]}, "ablation": {"part": "rank", "action": "add"}}}
    study = Study(**{"study": "made-up", "question": "What if?", "base": "ba-lora", "tuned": tuned, **more})
    designed = [DesignedArm("ba-lora", {}, method="ba-lora")] + [
        DesignedArm(name, {"adapter": {"rank": rank}}, tuned="best") for name, rank in CANDIDATES.items()
    ]
    monkeypatch.setattr(data, "design_arms", lambda study: designed)
    record = StudyRecord(**{**json.loads(describe(plan, "c").model_dump_json()), "study": study})
    return data.build(record, records(plan, scored), {})


def row(report: Report, name: str) -> ArmRow:
    return next(arm for arm in report.arms if arm.name == name)


def test_a_tuned_arm_is_scored_by_what_the_other_blocks_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    report = tuned_report(monkeypatch)
    best = row(report, "best")
    assert [arm.name for arm in report.arms] == ["ba-lora", "best", "warm", "cold"]
    # the first block's 99 counts for every other block's choice: 55 + 44/7 = 61.3 > 60, and not for its own
    assert best.choices["nlu_avg"] == {"warm": 1, "cold": 7}
    assert best.by_seed["nlu_avg"][42] == row(report, "warm").by_seed["nlu_avg"][42]
    assert best.by_seed["nlu_avg"][1024] == row(report, "cold").by_seed["nlu_avg"][1024]
    assert max(best.by_seed["nlu_avg"].values()) < 99, "luck is not chosen for itself"
    # the loss is a tenth of the score, and the lower the better
    assert best.choices["nlg_answer_loss"] == {"warm": 7, "cold": 1}
    assert best.tasks["gsm8k"].mean == pytest.approx(best.averages["nlg_avg"].mean)
    assert best.task_losses["gsm8k"].mean == pytest.approx(best.averages["nlg_answer_loss"].mean)


def test_candidates_are_shown_and_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    report = tuned_report(monkeypatch)
    assert {one.arm for one in report.differences} == {"best"}
    assert report.family_size == 2
    assert (row(report, "warm").tuned, row(report, "best").tuned) == ("best", None)
    text = draw(report)
    assert "| best | add rank; the best of its candidates over all other seeds (NLU Avg: warm (1), cold (7); " in text
    assert "| warm | candidate of best, not compared: adapter.rank 4 | 6" in text
    json.dumps(asdict(report), allow_nan=False)


def test_the_choice_widens_the_interval_of_a_tuned_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    for against, arm in ((None, "best"), ("best", "ba-lora")):
        report = tuned_report(monkeypatch, scored=alike, against=against)
        for measure, sign in (("nlu_avg", 1), ("nlg_answer_loss", -1)):
            paired = next(one.paired for one in report.differences if (one.arm, one.measure) == (arm, measure))
            base = row(report, "ba-lora").by_seed[measure]
            table = [[sign * (row(report, name).by_seed[measure][s] - base[s]) for s in base] for name in CANDIDATES]
            values = [row(report, "best").by_seed[measure][s] - base[s] for s in base]
            assert widening(np.array(table)) > 1.1, "the setting can tell"
            low, high = t_interval(values, widening=widening(np.array(table)))
            assert (paired.low, paired.high) == pytest.approx((low, high) if against is None else (-high, -low))


def test_others_can_be_compared_with_a_tuned_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    report = tuned_report(monkeypatch, against="best")
    assert {one.arm for one in report.differences} == {"ba-lora"}
    assert report.against == "best"


def test_with_one_block_there_is_nothing_to_choose_by(monkeypatch: pytest.MonkeyPatch) -> None:
    report = tuned_report(monkeypatch, count=1)
    assert row(report, "best").averages["nlu_avg"].n == 0
    assert "One seed: there is no other seed to choose the settings of best by, so no score." in report.cautions
    assert {one.paired.verdict for one in report.differences} == {"cannot tell: no seed in common"}
    assert "nothing to choose by" in draw(report)


def test_the_answer_names_each_verdict_once_with_the_arms_that_earned_it() -> None:
    measure = MEASURES["nlu_avg"]
    unsure, more = Paired([3.0, -1.0, 2.0, 2.5], 1.0), Paired([8.0, -1.0, 2.0, 2.5], 1.0)
    sure = Paired([1.0, 1.1, 0.9, 1.0, 1.05, 0.95], 0.5)
    small, smaller = Paired([0.3, -0.1, 0.2, 0.25], 1.0), Paired([0.1, -0.1, 0.1, 0.1], 1.0)
    asked = {"a": unsure, "b": sure, "c": more, "d": small, "e": smaller, "f": Paired([0.0, 0.0, 0.0, 0.0], 1.0)}
    said = answer("base", 6, "seed", [(arm, measure, compare(paired)) for arm, paired in asked.items()])
    few, many = compare(unsure).needed, compare(more).needed
    assert said == (
        f"Compared with base over 6 seeds: in NLU Avg, cannot tell for a and c (need about {few} to {many} seeds), "
        "helps for b (+1.00, not corrected), no difference larger than 0.45 points for d and e, the "
        "same in every seed for f."
    )
    (corrected,) = compare_family([sure])
    assert "helps for b (+1.00)." in answer("base", 6, "seed", [("b", measure, corrected)])
    others = [("a", measure, compare(unsure)), ("b", MEASURES["nlg_avg"], compare(Paired([1.0], 1)))]
    assert answer("base", 1, "seed", others) == (
        f"Compared with base over 1 seed: in NLU Avg, cannot tell for a (needs about {few} seeds); in NLG Avg, cannot "
        "tell for b (one seed)."
    )
