"""NLG Avg over a suite of recipes: every benchmark once, MT-Bench × 10; and the paper's own, with its 1 to 10."""

import json

import pytest

from balora.report.markdown import draw
from balora.report.records.report import Report, build
from balora.study.design.reading import find_study
from balora.study.plan.plan import Choices, Plan, make_plan
from balora.study.plan.prepare import with_suites
from balora.study.plan.suites import Tasks
from balora.study.store.study_folder import StudyRecord, describe
from balora.training.record import RunRecord, TaskScore

SCORED = {"metamathqa": ("gsm8k", "math"), "codefeedback": ("humaneval", "mbpp"), "wizardlm": ("mt_bench",)}
POINTS = {"gsm8k": 40.0, "math": 10.0, "humaneval": 30.0, "mbpp": 25.0, "mt_bench": 65.0}
LOSSES = {"gsm8k": 0.5, "math": 0.7}


def plan_of(scored: dict[str, tuple[str, ...]], absent: tuple[str, ...] = ()) -> Plan:
    study = with_suites(find_study("pissa-initialization"), ["paper-nlg"])
    tasks = Tasks(tuple(scored), absent, scored)
    return make_plan(study, Choices("a/model", seeds=3), tasks, lambda spec: {"model": "m", "data": spec.task})


def report_of(plan: Plan) -> Report:
    """Every arm has the same points, but LoRA's MT-Bench is 20 points lower."""
    runs = {}
    for run in plan.runs:
        lower = 20.0 if run.arm == "plain-lora" else 0.0
        points = {task: POINTS[task] - lower * (task == "mt_bench") for task in run.spec.scored}
        scores = {
            task: TaskScore(score=value, rows=4, metrics={"answer_loss": LOSSES[task]} if task in LOSSES else {})
            for task, value in points.items()
        }
        first, *others = scores
        runs[run.id] = RunRecord(
            id=run.id, spec=run.spec, status="ok", **dict(scores[first]), others={task: scores[task] for task in others}
        )
    return build(StudyRecord(**json.loads(describe(plan, "balora").model_dump_json())), runs, {})


def test_each_benchmark_counts_once_and_mt_bench_times_ten_or_as_it_is() -> None:
    report = report_of(plan_of(SCORED))
    means = {arm.name: {key: summary.mean for key, summary in arm.averages.items()} for arm in report.arms}
    assert means["ba-lora"]["nlg_avg"] == pytest.approx((40 + 10 + 30 + 25 + 65) / 5)
    assert means["ba-lora"]["nlg_avg_paper"] == pytest.approx((40 + 10 + 30 + 25 + 6.5) / 5)
    assert means["plain-lora"]["nlg_avg_paper"] == pytest.approx((40 + 10 + 30 + 25 + 4.5) / 5)
    assert means["ba-lora"]["nlg_answer_loss"] == pytest.approx((0.5 + 0.7) / 2)


def test_the_paper_s_average_is_beside_the_declared_metric_and_in_no_family() -> None:
    found = {(one.arm, one.measure): one.paired for one in report_of(plan_of(SCORED)).differences}
    assert found["plain-lora", "nlg_avg"].mean == pytest.approx(-4.0)
    assert found["plain-lora", "nlg_avg_paper"].mean == pytest.approx(-0.4)
    assert found["plain-lora", "nlg_avg"].family == 3
    assert found["plain-lora", "nlg_avg_paper"].family is None


def test_a_task_has_its_own_points_whatever_the_averages_take() -> None:
    (base,) = [arm for arm in report_of(plan_of(SCORED)).arms if arm.is_base]
    assert {task: summary.mean for task, summary in base.tasks.items()} == POINTS


def test_the_report_names_what_each_average_holds() -> None:
    text = draw(report_of(plan_of(SCORED))).replace("\\_", "_")
    assert "Trained on metamathqa, scored on gsm8k and math." in text
    names = "gsm8k, math, humaneval, mbpp, mt_bench, MT-Bench's rating of 1 to 10 counted"
    assert f"NLG Avg: the mean over {names} × 10." in text
    assert f"NLG Avg (paper): the mean over {names} as it is, as the paper does." in text


def test_without_a_judge_there_is_one_average_which_holds_four_tasks() -> None:
    scored = {train: tasks for train, tasks in SCORED.items() if train != "wizardlm"}
    report = report_of(plan_of(scored, absent=("wizardlm", "mt_bench")))
    assert report.averaged == {"nlg_avg": ("gsm8k", "math", "humaneval", "mbpp"), "nlg_answer_loss": ("gsm8k", "math")}
    assert any("MT-Bench is not in the averages" in caution for caution in report.cautions)
