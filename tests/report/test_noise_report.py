"""Where a report says the noise comes from: the records, the sentences, the tables and the figure; collapsed runs."""

import random
from collections.abc import Callable
from dataclasses import asdict
from math import sqrt
from typing import Any

import numpy as np
import pytest
from report_cases import additive, dossier_of, plan_of, records, report_of, study_of

from balora.report.figures.noise_shares import noise_shares
from balora.report.latex import draw as draw_latex
from balora.report.markdown import draw
from balora.report.records.noise_sources import Noise
from balora.report.records.report import Report
from balora.report.tables.noise_tables import collapsed_by_arm, collapsed_runs, over_models, sources, worth
from balora.report.tables.table import text
from balora.statistics import Missing, components, heterogeneity
from balora.study.plan.plan import Plan
from balora.study.plan.prepare import prepare
from balora.training.record import RunRecord, packed_rows

ROWS = 40


def on_testbed(profile: str = "quick", seeds: int | None = None) -> Plan:
    return prepare("formulation-swap", profile=profile, seeds=seeds)


def answered(plan: Plan, chance: Callable[[str, str, int, int | None], float]) -> dict[str, RunRecord]:
    """Runs whose items are right with a chance by arm, task, seed and pre-training; scores are their shares."""
    made = {}
    for run in plan.runs:
        draw = random.Random(f"{run.arm} {run.task} {run.seed}")
        right = [draw.random() < chance(run.arm, run.task, run.seed, run.block.pretraining) for _ in range(ROWS)]
        made[run.id] = (100 * sum(right) / ROWS, packed_rows(right))
    known = records(plan, lambda arm, task, seed: 0.0)
    return {
        id: run.replace(score=made[id][0], rows=ROWS, correct=made[id][1], metrics={"answer_loss": 1.0})
        for id, run in known.items()
    }


def by_model(arm: str, task: str, seed: int, pretraining: int | None) -> float:
    """The arm `swapped` gains on model 0 and loses on model 1."""
    shift = {0: 0.25, 1: -0.25, 2: 0.1, 3: -0.2}.get(pretraining or 0, 0.0) if arm == "swapped" else 0.0
    return min(1.0, 0.7 + shift + (seed % 7) / 100)


@pytest.fixture(scope="module")
def report() -> Report:
    plan = on_testbed()
    return report_of(plan, answered(plan, by_model))


def found(report: Report, arm: str, measure: str) -> Noise:
    return next(one for one in report.noise if (one.arm, one.measure) == (arm, measure))


def test_every_difference_has_its_noise(report: Report) -> None:
    assert [(one.arm, one.measure) for one in report.noise] == [(one.arm, one.measure) for one in report.differences]


def test_the_records_are_the_statistics_of_the_blocks(report: Report) -> None:
    arms = {arm.name: arm.by_seed["nlu_avg"] for arm in report.arms}
    values = [arms["swapped"][seed] - arms["ba-lora"][seed] for seed in report.seeds]
    one = found(report, "swapped", "nlu_avg")
    assert one.spread == heterogeneity(values, [0, 1, 2, 3, 0, 1, 2, 3])
    alone = components(values, [0, 1, 2, 3, 0, 1, 2, 3])
    assert one.components.pretraining == alone.pretraining
    assert one.components.within == pytest.approx(alone.within)
    assert one.components.missing == ()
    assert one.components.items is not None
    assert (one.components.rest or 0) > 0
    assert one.sd == pytest.approx(sqrt(one.components.total))
    assert sum(part.share or 0 for part in one.parts.values()) == pytest.approx(1)
    assert one.parts["pretraining"].sd ** 2 == pytest.approx(one.components.pretraining)


def test_the_rest_is_that_of_the_items_within_models(report: Report) -> None:
    """Independent oracle: loops over the runs' own rows."""
    plan = on_testbed()
    runs, wanted = answered(plan, by_model), 0.0
    ids = {(run.arm, run.task, run.seed): run.id for run in plan.runs}
    nlu = [task for task in plan.tasks.present if plan.study.find(task).family == "nlu"]

    def rows(arm: str, task: str, seed: int) -> np.ndarray:
        run = runs[ids[arm, task, seed]]
        draw = random.Random(f"{arm} {task} {seed}")
        block = next(one.block for one in plan.runs if one.seed == seed)
        right = [draw.random() < by_model(arm, task, seed, block.pretraining) for _ in range(ROWS)]
        assert packed_rows(right) == run.correct
        return np.array(right, dtype=float)

    for task in nlu:
        squares = 0.0
        for first, second in zip(plan.seeds[:4], plan.seeds[4:], strict=True):
            pair = np.array([rows("swapped", task, s) - rows("ba-lora", task, s) for s in (first, second)])
            left = pair - pair.mean(axis=0) - pair.mean(axis=1, keepdims=True) + pair.mean()
            squares += (left**2).sum()
        wanted += 100**2 / len(nlu) ** 2 * squares / (4 * (ROWS - 1)) / ROWS
    one = found(report, "swapped", "nlu_avg").components
    assert one.rest == pytest.approx(min(wanted, one.within or 0))


def test_effects_that_differ_are_said_where_the_answer_stands(report: Report) -> None:
    one = found(report, "swapped", "nlu_avg")
    assert one.varies
    assert one.spread is not None
    assert one.spread.differs
    [caution] = [caution for caution in report.cautions if "whole story" in caution]
    assert caution == report.cautions[-1]
    assert f"swapped in NLU Avg (τ = {one.spread.tau:.2f} points; a new model: −" in caution
    assert "no-regularizers" not in caution
    assert report.noise_sentences[0].startswith(
        "The effect differs from model to model (standard deviation τ) for swapped in NLU Avg (τ = "
    )
    assert not any("whole story" in sentence for sentence in report.sentences), "the answer keeps its length"


def test_what_may_differ_is_told_apart_from_what_does() -> None:
    plan = on_testbed()
    runs = answered(plan, lambda arm, task, seed, model: 0.7 + (0.06 * ((seed // 1000) % 3) if arm == "swapped" else 0))
    report = report_of(plan, runs)
    may = [sentence for sentence in report.noise_sentences if sentence.startswith("The effect may differ")]
    some = [one for one in report.noise if one.varies]
    assert some
    assert not any(one.spread and one.spread.differs for one in some)
    assert len(may) == 1
    assert not any("whole story" in caution for caution in report.cautions)


def test_the_next_run_is_worth_most_where_most_of_the_noise_is(report: Report) -> None:
    sentence = next(one for one in report.noise_sentences if one.startswith("What would narrow"))
    assert "over models: 2 more fine-tunings on each model (8 blocks) by " in sentence
    assert ", 8 more models with one block each by " in sentence
    assert " and twice the test items, which take no fine-tuning, by " in sentence
    assert "The next block is worth most on a new model." in report.noise_sentences
    gains = {gain.way: gain for gain in found(report, "swapped", "nlu_avg").gains}
    assert gains["models"].narrowing > gains["seeds"].narrowing


def test_a_model_for_each_block_says_what_is_missing() -> None:
    plan = on_testbed("standard", 4)
    report = report_of(plan, answered(plan, by_model))
    one = found(report, "swapped", "nlu_avg")
    assert (one.spread, one.varies, one.components.pretraining) == (None, False, None)
    assert Missing.NO_REPLICATES in one.components.missing
    assert set(one.parts) == {"together", "items", "rest"}
    assert report.noise_sentences[0] == (
        "Every block has a pre-trained model of its own, so pre-training and fine-tuning cannot be told apart: that "
        "takes two blocks on one model, as in profile quick."
    )
    assert any("4 more models with one block each by" in sentence for sentence in report.noise_sentences)
    assert over_models(report).rows == ()
    assert "pre-training or fine-tuning" in sources(report).head


def test_a_given_model_shows_no_pre_training() -> None:
    plan = plan_of(seeds=4)
    report = report_of(plan, records(plan, lambda arm, task, seed: 50 + (len(arm) * seed) % 13))
    one = found(report, "plain-lora", "nlu_avg")
    assert one.components.missing == (Missing.ONE_MODEL, Missing.NO_ITEMS)
    assert one.components.sizes == (4,)
    assert report.noise_sentences[:2] == (
        "All seeds are of the given model, so what pre-training does to a difference cannot be told.",
        "No score is the share of right answers, so test items cannot be told from fine-tuning.",
    )
    narrowed = next(sentence for sentence in report.noise_sentences if sentence.startswith("What would narrow"))
    assert narrowed.startswith("What would narrow the 95 % intervals: 4 more seeds by ")
    assert worth(report).head[-2:] == ("4 more seeds", "seeds for ± margin")


def test_one_seed_still_reports() -> None:
    plan = plan_of(seeds=1)
    report = report_of(plan, records(plan, additive))
    assert report.noise_sentences[0] == "One seed shows nothing about the noise: that takes two seeds or more."
    assert sources(report).rows == worth(report).rows == ()
    assert noise_shares(report) is None
    assert "Where the noise comes from" in draw(report)


def test_nothing_finished_still_reports() -> None:
    report = report_of(plan_of(), {})
    assert {one.components.missing for one in report.noise} == {(Missing.NO_BLOCK,)}
    assert report.noise_sentences == ()
    assert report.collapses.thresholds == ()


def test_a_tuned_arm_is_left_out_with_its_reason() -> None:
    arms = {"warm": {"set": {"adapter.rank": 4}}}
    tuned = {"best": {"over": {"training.weight_decay": [0.0, 0.1]}}}
    plan = study_of(arms, tuned=tuned)
    report = report_of(plan, records(plan, lambda arm, task, seed: 50 + len(arm) + seed % 11))
    assert found(report, "best", "nlu_avg").components.missing == (Missing.CHOSEN,)
    assert found(report, "best", "nlu_avg").parts == {}
    assert any(sentence.startswith("A tuned arm is left out: in each seed") for sentence in report.noise_sentences)
    assert found(report, "warm", "nlu_avg").parts


def test_the_figure_draws_the_shares_of_the_records(report: Report) -> None:
    figure = noise_shares(report)
    assert figure is not None
    spec: Any = figure.spec
    assert [panel["title"]["text"] for panel in spec["vconcat"]] == ["NLU Avg", "NLG Avg"]
    drawn = spec["vconcat"][0]["layer"][0]["data"]["values"]
    one = found(report, "swapped", "nlu_avg")
    shares = {row["source"]: row["share"] for row in drawn if row["arm"] == "swapped"}
    assert shares == {
        "pre-training": one.parts["pretraining"].share,
        "fine-tuning": one.parts["finetuning"].share,
        "test items": one.parts["items"].share,
        "the rest": one.parts["rest"].share,
    }
    assert "swapped in NLU Avg: pre-training" in figure.summary


def test_the_tables_show_the_records(report: Report) -> None:
    one = found(report, "swapped", "nlu_avg")
    [row] = [row for row in over_models(report).rows if (text(row[0]), text(row[1])) == ("swapped", "NLU Avg")]
    assert one.spread is not None
    numbers = [piece.value for cell in row for piece in cell if not isinstance(piece, str)]
    spread = asdict(one.spread)
    keys = ("mean", "low", "high", "tau", "tau_low", "tau_high", "new_low", "new_high", "models")
    assert numbers == [spread[key] for key in keys]
    [row] = [row for row in worth(report).rows if (text(row[0]), text(row[1])) == ("swapped", "NLU Avg")]
    numbers = [piece.value for cell in row for piece in cell if not isinstance(piece, str)]
    assert numbers == [one.half_width, *(gain.narrowing for gain in one.gains), one.needed]
    assert r"$\tau$" in draw_latex(report)


def scored(arm: str, task: str, seed: int) -> float:
    """Medians 60 (cola), 80 (rte), 6 (gsm8k)."""
    usual = {"cola": 60.0, "rte": 80.0, "gsm8k": 6.0}[task]
    if (arm, task, seed) == ("plain-lora", "rte", 42):
        return 64.9  # nearer to 50 than to 80
    if (arm, task, seed) == ("plain-lora", "rte", 1024):
        return 65.0  # half-way
    if (task, seed) == ("cola", 2024):
        return 5.0
    return 0.0 if (arm, task) == ("plain-lora", "gsm8k") else usual


def test_runs_nearer_to_a_guess_than_to_the_median_have_collapsed() -> None:
    plan = plan_of()
    report = report_of(plan, records(plan, scored))
    one = report.collapses
    assert [(t.task, t.guess, t.median, t.below, t.runs) for t in one.thresholds] == [
        ("cola", 0, 60, 30, 12),
        ("rte", 50, 80, 65, 12),
        ("gsm8k", 0, 6, None, 12),
    ]
    assert [(run.arm, run.task, run.seed, run.score, run.is_alone) for run in one.runs] == [
        *((arm.name, "cola", 2024, 5.0, False) for arm in report.arms),
        ("plain-lora", "rte", 42, 64.9, True),
    ]
    assert one.distinct == 5
    assert one.finished == dict.fromkeys((arm.name for arm in report.arms), 6)
    assert report.noise_sentences[-1] == (
        "5 of 24 runs collapsed: cola (4) and rte (1). With 4 of them every arm of the seed collapsed, so that it was "
        "not the arm."
    )
    rows = {text(row[0]): [text(cell) for cell in row[1:]] for row in collapsed_by_arm(report).rows}
    assert rows["plain-lora"] == ["1", "1", "2", "6"]
    assert rows["ba-lora"] == ["1", "0", "1", "6"]
    assert "rte 65.0 (guess 50.0, median 80.0)" in collapsed_by_arm(report).note
    assert len(collapsed_runs(report).rows) == 5


def test_a_collapsed_run_counts_in_every_average() -> None:
    plan = plan_of()
    report = report_of(plan, records(plan, scored))
    plain = next(arm for arm in report.arms if arm.name == "plain-lora")
    assert plain.tasks["rte"].mean == pytest.approx((64.9 + 65.0 + 80.0) / 3)


def test_no_collapse_is_said_too() -> None:
    plan = plan_of()
    report = report_of(plan, records(plan, lambda arm, task, seed: 90.0))
    assert report.noise_sentences[-1] == "None of 36 runs collapsed."
    assert collapsed_by_arm(report).rows == ()


def test_a_task_that_nobody_learnt_has_no_collapses() -> None:
    plan = plan_of()
    report = report_of(plan, records(plan, lambda arm, task, seed: {"cola": 9.9, "rte": 50.0, "gsm8k": 0.0}[task]))
    assert all(one.below is None for one in report.collapses.thresholds)
    assert not any("collapsed" in sentence for sentence in report.noise_sentences)


def test_a_run_that_arms_share_counts_once_for_the_median() -> None:
    plan = plan_of("terms")
    assert len(plan.distinct) < len(plan.runs)
    report = report_of(plan, records(plan, lambda arm, task, seed: 90.0))
    assert sum(one.runs for one in report.collapses.thresholds) == len(plan.distinct)
    assert sum(report.collapses.finished.values()) == len(plan.runs)


def test_the_page_and_the_numbers_hold_it(report: Report) -> None:
    from balora.report.numbers import TABLES
    from balora.report.page.html import draw as draw_page

    plan = on_testbed()
    dossier = dossier_of(plan, answered(plan, by_model))
    page = draw_page(dossier)
    assert '<section id="noise"' in page
    assert 'id="figure-noise"' in page
    rows = list(TABLES["noise"](dossier))
    one = found(dossier.report, "swapped", "nlu_avg")
    [row] = [row for row in rows if (row["arm"], row["measure"]) == ("swapped", "nlu_avg")]
    assert row["variance.pretraining"] == one.components.pretraining
    assert one.spread is not None
    assert row["models.tau"] == one.spread.tau
    assert [*TABLES["collapses"](dossier)] == [asdict(run) for run in dossier.report.collapses.runs]
