"""What was inherited, in reports: means over the right tasks, paired differences, and pages of records without it."""

import json
from dataclasses import asdict

import pytest
from report_cases import additive, plan_of, records, report_of

from balora.report.markdown import draw
from balora.report.records.inheritance import TRAITS
from balora.study.plan.plan import Plan
from balora.training.record import RunRecord

LEVEL = {42: 0.0, 1024: 0.1, 2024: 0.3}


def measured(plan: Plan) -> dict[str, RunRecord]:
    """Every run has an ECE; only cola and gsm8k have a noise gap, only gsm8k a drift. Seeds disturb arms alike."""
    found = records(plan, additive)
    for run in plan.runs:
        value = {"ba-lora": 0.1, "plain-lora": 0.3}.get(run.arm, 0.2) + {"cola": 0.2}.get(run.task, 0.0)
        value += LEVEL[run.seed] + (run.arm == "plain-lora" and run.seed == 42) * 0.03
        gap = {"noise_gap": -value} if run.task in ("cola", "gsm8k") else {}
        drift = {"drift": 2.0} if run.task == "gsm8k" else {}
        found[run.id] = found[run.id].replace(behaviour={"ece": value}, inheritance=gap | drift)
    return found


def test_means_over_tasks_and_paired_differences() -> None:
    report = report_of(plan_of(), measured(plan_of()))
    rows = {(one.family, one.measure, one.arm): one for one in report.inherited}
    assert len(rows) == len(report.inherited) == 4 * 5
    base, plain = rows["nlu", "ece", "ba-lora"], rows["nlu", "ece", "plain-lora"]
    assert base.tasks == ("cola", "rte")
    assert base.summary.mean == pytest.approx(0.1 + 0.1 + 0.4 / 3)
    assert base.summary.n == 3
    assert (base.difference, base.low, base.high) == (None, None, None)
    assert plain.difference == pytest.approx(0.2 + 0.01)
    assert plain.low is not None
    assert plain.low < plain.difference < plain.high
    assert rows["nlu", "noise_gap", "ba-lora"].tasks == ("cola",), "only the tasks that have it"
    assert rows["nlu", "noise_gap", "plain-lora"].difference == pytest.approx(-0.21)
    assert rows["nlg", "drift", "plain-lora"].difference == 0
    assert ("nlu", "drift", "ba-lora") not in rows


def test_only_seeds_with_every_task_count() -> None:
    plan = plan_of()
    runs = measured(plan)
    lost = next(run.id for run in plan.runs if (run.arm, run.task, run.seed) == ("plain-lora", "rte", 42))
    runs[lost] = runs[lost].replace(behaviour={})
    rows = {(one.measure, one.arm): one for one in report_of(plan, runs).inherited if one.family == "nlu"}
    assert rows["ece", "plain-lora"].summary.n == 2
    assert rows["ece", "plain-lora"].difference == pytest.approx(0.2), "seed 42, the odd one, is out"
    failed = {name: run.replace(status="failed") for name, run in runs.items()}
    assert report_of(plan, failed).inherited == ()


def test_the_page_shows_the_section_and_says_that_it_is_descriptive() -> None:
    report = report_of(plan_of(), measured(plan_of()))
    text = draw(report)
    section = text.split("\n## What was inherited")[1].split("\n## ")[0]
    assert "Descriptive: nothing here is tested" in section
    assert "| measure | wanted | ba-lora | standard-initialization | no-regularizers | plain-lora |" in section
    assert "| calibration error (ECE), share | low | 0.333 ± 0.153 |" in section
    assert "| noise gap (prone − other), share (of cola) | near 0 |" in section
    assert "| +0.210 (+0.167 to +0.253) |" in section
    assert "| drift (KL to the pre-trained model), nats | low | 2.000 ± 0.000 |" in section
    assert (
        section.index("inherited, NLU: mean") < section.index("inherited, NLU: difference") < section.index(", NLG: ")
    )
    json.dumps(asdict(report), allow_nan=False)


def test_records_without_such_measures_make_the_report_that_they_made() -> None:
    plan = plan_of()
    old = {
        name: RunRecord(**{k: v for k, v in run.model_dump().items() if k not in ("behaviour", "inheritance")})
        for name, run in records(plan, additive).items()
    }
    report = report_of(plan, old)
    assert report.inherited == ()
    assert "inherited" not in draw(report)


def test_one_seed_has_a_difference_and_no_interval() -> None:
    plan = plan_of(seeds=1)
    found = {(one.measure, one.arm): one for one in report_of(plan, measured(plan)).inherited if one.family == "nlg"}
    assert found["ece", "plain-lora"].difference == pytest.approx(0.23)
    assert found["ece", "plain-lora"].low is None
    assert "| +0.230 |" in draw(report_of(plan, measured(plan)))


def test_every_measure_of_a_run_has_a_place_in_the_report() -> None:
    inside = {"minority_recall", "worst_group", "aligned_minus_robust", "memorised_noise", "noise_gap"}
    inside |= {"forgetting", "drift", "held_out_loss_before", "held_out_loss", "ece", "mean_entropy", "effective_rank"}
    beside = {"blimp", "hans", "crows_pairs", "winogender", "winogender_mismatch", "toxigen", "held_out_bits_per_byte"}
    beside |= {"bbq_disambiguated", "bbq_bias_disambiguated", "bbq_bias_ambiguous"}
    before = {f"{name}_before" for name in ("blimp", "crows_pairs", "winogender", "toxigen", "held_out_bits_per_byte")}
    assert set(TRAITS) == inside | beside | before
