"""The end of a study on a terminal: the answer, a small table, where the rest is, and nothing to scroll for."""

from dataclasses import replace
from pathlib import Path

from report_cases import crowded, noisy, plan_of, records, report_of

from balora.report.screen import MOST_ARMS, draw

WRITTEN = (Path("runs/x/report.md"), Path("runs/x/report.html"))


def test_it_shows_the_answer_the_scores_and_the_files() -> None:
    plan = plan_of()
    report = report_of(plan, records(plan, noisy))
    lines = draw(report, WRITTEN).split("\n")
    assert lines[0] == f"pissa-initialization: {report.question}"
    assert lines[2 : 2 + len(report.sentences)] == [f"- {sentence}" for sentence in report.sentences]
    (head,) = [line for line in lines if line.startswith("arm ")]
    assert head.split("  ")[0] == "arm"
    assert [line.split()[0] for line in lines if " ± " in line] == [arm.name for arm in report.arms]
    mean = report.arms[0].averages["nlu_avg"].mean
    assert mean is not None
    assert f"{mean:.2f} ± " in next(line for line in lines if line.startswith("ba-lora "))
    assert lines[-3:] == [
        f"Read {len(report.cautions)} cautions and all other tables in",
        "runs/x/report.md",
        "runs/x/report.html",
    ]
    assert len(lines) < 30
    assert not any("have a result" in line for line in lines)


def test_it_counts_what_has_no_result() -> None:
    plan = plan_of()
    runs = records(plan, noisy)
    del runs[plan.runs[0].id]
    report = report_of(plan, runs)
    assert f"{report.counts.planned - 1} of {report.counts.planned} runs have a result." in draw(report, WRITTEN)


def test_of_many_arms_it_shows_some_and_counts_the_others() -> None:
    report = crowded(40).report
    lines = draw(report, WRITTEN).split("\n")
    others = len(report.arms) - MOST_ARMS
    assert f"and {others} other arms" in lines
    last = replace(report, against=report.arms[-1].name)
    assert report.arms[-1].name in draw(last, WRITTEN), "the arm of reference is always among them"
    assert report.arms[-1].name not in "\n".join(lines[2 + len(report.sentences) :])
