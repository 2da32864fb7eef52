"""The suite `paper-nlg`: three recipes, five benchmarks, one NLG Avg; on a real checkpoint and local rows."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.running import run_balora
from tests.judging.loopback_judge import loopback_judge
from tests.training.recipe_data import write_recipe_data

from balora.cli.study_listing import describe_plan, plan_text
from balora.errors import ConfigError
from balora.report.records.report import read_report
from balora.study.plan.costs import Costs
from balora.study.plan.prepare import prepare

BENCHMARKS = ("gsm8k", "math", "humaneval", "mbpp", "mt_bench")
JUDGE = {"scoring.judge.url": "http://127.0.0.1:9/v1", "scoring.judge.model": "loopback"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe_data(tmp_path_factory.mktemp("recipes"))


def plan(data: Path, **changes: Any) -> Any:
    given = {"model": "a/model", "data": str(data), "seeds": 2, "suites": ["paper-nlg"], "settings": JUDGE}
    return prepare("pissa-initialization", **{**given, **changes}, fingerprints=lambda spec: {"data": spec.task})


def test_every_arm_is_trained_once_a_recipe_and_scored_on_five_benchmarks(data: Path) -> None:
    found = plan(data)
    assert found.study.suites == ("nlg",)
    assert found.study.metrics == ("nlg_avg",)
    assert found.tasks.present == ("metamathqa", "codefeedback", "wizardlm")
    assert tuple(name for task in found.tasks.present for name in found.tasks.scored[task]) == BENCHMARKS
    assert len(found.runs) == 4 * 3 * 2
    assert {run.spec.scored for run in found.runs if run.task == "codefeedback"} == {("humaneval", "mbpp")}


def test_without_a_judge_mt_bench_is_left_out_and_named(data: Path) -> None:
    found = plan(data, settings={})
    assert found.tasks.present == ("metamathqa", "codefeedback")
    assert found.tasks.absent == ("mt_bench",)


def test_an_unknown_suite_and_the_testbed_are_refused(data: Path) -> None:
    with pytest.raises(ConfigError, match="--suites: unknown suite 'paper'"):
        plan(data, suites=["paper"])
    with pytest.raises(ConfigError, match="recipes: math, code, chat cannot run on the testbed"):
        prepare("pissa-initialization", suites=["paper-nlg"])


def test_a_prompt_that_one_of_the_recipes_cannot_take_is_refused_before_any_run(data: Path) -> None:
    given = {**JUDGE, "data.prompt": "Q: {question}"}
    with pytest.raises(ConfigError, match=r"arm 'ba-lora' on wizardlm: data\.prompt: does not apply"):
        plan(data, settings=given)
    assert plan(data, settings={"data.prompt": "Q: {question}"}).tasks.absent == ("mt_bench",)


def test_another_judge_gives_only_the_judged_runs_another_id(data: Path) -> None:
    def ids(**changes: Any) -> dict[tuple[str, str, int], str]:
        return {(run.arm, run.task, run.seed): run.id for run in plan(data, settings={**JUDGE, **changes}).runs}

    usual = ids()
    for changes, trained in (
        ({"scoring.judge.model": "stricter"}, {"wizardlm"}),
        ({"scoring.samples": 5}, {"codefeedback"}),
    ):
        other = ids(**changes)
        assert {task for (arm, task, seed), id in usual.items() if id != other[arm, task, seed]} == trained
    unjudged = {(run.arm, run.task, run.seed): run.id for run in plan(data, settings={}).runs}
    assert unjudged.items() <= usual.items()
    assert len(unjudged) == 4 * 2 * 2


def test_the_plan_says_of_a_judged_task_that_there_is_no_judge(data: Path) -> None:
    text = plan_text(describe_plan(plan(data, settings={}), Costs([])))
    assert "   left out: mt_bench (no scoring.judge.url, or not found)" in text
    assert "not found: " not in text


@pytest.mark.parametrize(
    ("delta", "what"),
    [
        ({"scoring.samples": 5}, "how answers are drawn and judged"),
        ({"scoring": {"judge": {"model": "kinder"}}}, "how answers are drawn and judged"),
        ({"measures.blimp": "elsewhere"}, "what is measured beside the score"),
        ({"data.eval_rows": 1}, "which rows are scored"),
        ({"data.eval_split": "train"}, "which rows are scored"),
    ],
)
def test_an_arm_cannot_change_how_it_is_scored(delta: dict[str, Any], what: str, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    content = {"study": "s", "question": "q?", "base": {"method": "lora", "scoring": {"samples": 2}}}
    file.write_text(json.dumps({**content, "arms": {"a": {"set": {**delta, "adapter.rank": 4}}}}))
    with pytest.raises(ConfigError, match=rf"arms\.a\.set: .*: an arm may not change {what}, or it could not be"):
        prepare(str(file))
    file.write_text(json.dumps({**content, "sweeps": {next(iter(delta)): list(delta.values())}}))
    with pytest.raises(ConfigError, match="an arm may not change"):
        prepare(str(file))


@pytest.mark.slow
def test_a_study_of_the_suite_ends_in_an_average_of_five_tasks(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "study"
    with loopback_judge() as url:
        arguments = ["study", "run", "pissa-initialization", "--suites", "paper-nlg", "--model", str(checkpoint)]
        arguments += ["--data", str(data), "--profile", "glance", "--output", str(output)]
        arguments += ["--set", f"scoring.judge.url={url}", "--set", "scoring.judge.model=loopback"]
        arguments += ["--set", "data.max_new_tokens=32", "--set", "data.max_length=512"]
        ended = run_balora(*arguments)
    assert ended.code == 0, ended.err
    report = read_report(output)
    assert report.tasks == BENCHMARKS
    assert report.averaged == {
        "nlg_avg": BENCHMARKS,
        "nlg_avg_paper": BENCHMARKS,
        "nlg_answer_loss": ("gsm8k", "math"),
    }
    assert report.counts.ok == report.counts.planned == 4 * 3 * 3
    for arm in report.arms:
        points = {task: arm.tasks[task].mean or 0.0 for task in BENCHMARKS}
        assert points["mt_bench"] >= 10
        assert arm.averages["nlg_avg"].mean == pytest.approx(sum(points.values()) / 5)
        paper = sum(points[task] for task in BENCHMARKS[:4]) + points["mt_bench"] / 10
        assert arm.averages["nlg_avg_paper"].mean == pytest.approx(paper / 5)
    text = (output / "report.md").read_text().replace("\\_", "_")
    assert "NLG Avg (paper): the mean over gsm8k, math, humaneval, mbpp, mt_bench, MT-Bench's rating of 1 to 10" in text
    record = json.loads((output / "study.json").read_text())
    assert record["scored"]["wizardlm"] == ["mt_bench"]
