"""How precise `study plan --past` expects a plan to become, and what it says is missing."""

from dataclasses import replace
from pathlib import Path

import pytest
from report_cases import plan_of, records, report_of, write_study

from balora.cli.study_listing import describe_plan, plan_text
from balora.errors import InputError
from balora.report.records.expected_precision import Expected, expected_precision, past_reports
from balora.report.records.report import Report
from balora.statistics import blocks_for, half_width
from balora.study.plan.costs import Costs
from balora.study.plan.plan import Plan
from balora.study.plan.prepare import prepare


def score(arm: str, task: str, seed: int) -> float:
    return 50 + len(arm) / 3 + (len(arm) * len(task) * (seed % 1000 + seed // 1000 + 7)) % 13 / 3


def on_testbed(profile: str, seeds: int | None = None, study: str = "formulation-swap") -> Plan:
    return prepare(study, profile=profile, seeds=seeds)


def past(plan: Plan) -> Report:
    return report_of(plan, records(plan, score))


def expected(plan: Plan, *reports: Report) -> dict[tuple[str, str], Expected]:
    return {(one.arm, one.measure): one for one in expected_precision(plan, reports)}


def test_it_is_the_half_width_of_the_past_components() -> None:
    report = past(on_testbed("quick"))
    noise = next(one for one in report.noise if (one.arm, one.measure) == ("no-regularizers", "nlu_avg"))
    one = expected(on_testbed("quick", 12), report)["no-regularizers", "nlu_avg"]
    assert one.half_width == half_width(noise.components, (3, 3, 3, 3))
    assert one.half_width, "the made-up scores of this arm do vary"
    assert one.needed == blocks_for(noise.components, 1.0)
    assert (one.past, one.missing) == ("formulation-swap, quick, 8 blocks", "")


def test_the_blocks_are_those_for_the_margin_of_the_plan() -> None:
    report, plan = past(on_testbed("quick")), on_testbed("quick")
    noise = next(one for one in report.noise if (one.arm, one.measure) == ("no-regularizers", "nlu_avg"))
    strict = plan._replace(study=plan.study.replace(margin=0.25))
    assert (
        expected(strict, report)["no-regularizers", "nlu_avg"].needed
        == blocks_for(noise.components, 0.25)
        != noise.needed
    )


def test_the_plan_prints_it() -> None:
    plan = on_testbed("quick", 12)
    listed = describe_plan(plan, Costs([]), expected_precision(plan, [past(on_testbed("quick"))]))
    assert len(listed.precision) == 6
    text = plan_text(listed)
    assert "noise    half-widths of the 95 % intervals with the planned blocks, by past studies; and how many, " in text
    assert ", each on a model of its own, for ± 1 point\n" in text
    one = next(one for one in listed.precision if (one.arm, one.measure) == ("swapped-matched", "nlg_avg"))
    numbers = f"± {one.half_width:.2f} points; {one.needed} for the margin"
    assert f"    swapped-matched  NLG Avg  {numbers} (formulation-swap, quick, 8 blocks)" in text


def test_without_a_past_study_nothing_is_said() -> None:
    plan = on_testbed("quick")
    assert expected_precision(plan, []) == ()
    assert "noise  " not in plan_text(describe_plan(plan, Costs([])))


def test_the_study_with_most_blocks_is_taken() -> None:
    few, many = past(on_testbed("quick", 5)), past(on_testbed("quick"))
    for reports in ((few, many), (many, few)):
        assert expected(on_testbed("quick"), *reports)["swapped", "nlu_avg"].past == "formulation-swap, quick, 8 blocks"


def test_other_arms_tasks_models_and_settings_foresee_nothing() -> None:
    report, plan = past(on_testbed("quick")), on_testbed("quick")
    other_study = expected(on_testbed("quick", study="pissa-initialization"), report)
    assert other_study["no-regularizers", "nlu_avg"].half_width is not None, "the same arm against the same base"
    assert other_study["plain-lora", "nlu_avg"].past is None
    other_tasks = expected(on_testbed("glance"), report)
    assert {one.missing for one in other_tasks.values()} == {
        "no past study compares the arms with ba-lora on the same model and tasks"
    }
    listed = describe_plan(on_testbed("glance"), Costs([]), tuple(other_tasks.values()))
    assert "noise    widths of intervals cannot be foreseen: no past study compares the arms with ba-lora" in plan_text(
        listed
    )
    other_model = expected(plan, replace(report, model="another"))
    assert all(one.past is None for one in other_model.values())
    changed = plan._replace(arms=tuple(arm._replace(delta={"adapter": {"rank": 3}}) for arm in plan.arms))
    assert all(one.past is None for one in expected(changed, report).values())


def test_what_the_past_study_lacks_is_named() -> None:
    shared = expected(on_testbed("quick"), past(on_testbed("quick", 4)))["swapped", "nlu_avg"]
    assert shared.half_width is None
    assert shared.missing == "the past study has no two blocks on one model, so it cannot tell seeds from models"
    assert shared.needed is not None, "blocks with a model each are known"
    one = expected(on_testbed("quick"), past(on_testbed("quick", 1)))["swapped", "nlu_avg"]
    assert (one.half_width, one.needed, one.missing) == (None, None, "the past study shows no noise (one block)")
    none = expected(on_testbed("quick", 1), past(on_testbed("quick")))["swapped", "nlu_avg"]
    assert none.missing == "one planned block has no interval"


def test_a_given_model_is_foreseen_by_its_seeds() -> None:
    report = past(plan_of(seeds=4))
    plan = plan_of(seeds=6)
    one = expected(plan, report)["plain-lora", "nlu_avg"]
    noise = next(one for one in report.noise if (one.arm, one.measure) == ("plain-lora", "nlu_avg"))
    assert one.half_width == half_width(noise.components, (6,))
    text = plan_text(describe_plan(plan, Costs([]), tuple(expected(plan, report).values())))
    assert "with the planned seeds, by past studies; and how many for ± 1 point" in text


def test_a_folder_of_run_records_alone_has_no_report(tmp_path: Path) -> None:
    assert past_reports([tmp_path]) == []
    plan = plan_of()
    write_study(tmp_path, plan, records(plan, score))
    assert [report.study for report in past_reports([tmp_path])] == ["pissa-initialization"]
    (tmp_path / "study.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"study\.json"):
        past_reports([tmp_path])
