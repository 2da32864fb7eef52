"""What a plan should cost, by what runs like its own took."""

from pathlib import Path

import fakes
import pytest

from balora.errors import InputError
from balora.study.design.reading import find_study
from balora.study.plan.costs import Costs, past_runs
from balora.study.plan.plan import Choices, Plan, make_plan
from balora.study.plan.suites import Tasks
from balora.training.record import Cost, write_record


def plan_of(*tasks: str, study: str = "pissa-initialization") -> Plan:
    choices = Choices("m", seeds=2, settings={"training": {"steps": 10}})
    return make_plan(find_study(study), choices, Tasks(tasks, ()), fakes.fingerprints)


def test_costs_follow_task_terms_and_steps(tmp_path: Path) -> None:
    plan = plan_of("cola", "gsm8k")
    for run in plan.runs:
        seconds = (4.0 if run.spec.objective.regularized else 2.0) if run.task == "cola" else 8.0
        cost = Cost(train_seconds=seconds, eval_seconds=1.0, setup_seconds=0.5, steps=4)
        write_record(fakes.record_of(run.spec, cost=cost), tmp_path / run.folder)
    (tmp_path / plan.runs[0].folder / "run.json").write_text("torn")
    costs = Costs(past_runs([tmp_path]))
    assert costs.records == 15
    regularized, plain = 1.5 + 4.0 / 4 * 10, 1.5 + 2.0 / 4 * 10
    generation = 1.5 + 8.0 / 4 * 10
    by_arm = costs.of_arms(plan)
    assert by_arm["ba-lora"] == by_arm["standard-initialization"] == pytest.approx(2 * (regularized + generation))
    assert by_arm["plain-lora"] == pytest.approx(2 * (plain + generation))
    assert costs.of_plan(plan) == pytest.approx(4 * regularized + 4 * plain + 8 * generation)
    other = Costs([record for record in past_runs([tmp_path]) if record.spec.task == "cola"])
    assert other.of_plan(plan_of("cola", "sst2")) is not None, "another task of the family stands in"
    assert other.of_plan(plan) is None, "nothing is known of generation"


def test_a_run_that_arms_share_is_paid_for_once() -> None:
    plan = plan_of("cola", "gsm8k", study="terms")
    assert len(plan.distinct) < len(plan.runs)
    each = Cost(train_seconds=10.0, steps=10)
    costs = Costs([fakes.record_of(run.spec, cost=each) for run in plan.runs[: len(plan.runs) // 2]])
    assert costs.of_plan(plan) == pytest.approx(10.0 * len(plan.distinct))


def test_without_records_nothing_is_estimated(tmp_path: Path) -> None:
    assert Costs([]).of_plan(plan_of("cola", "gsm8k")) is None
    with pytest.raises(InputError, match=r"--past .*: no study here"):
        past_runs([tmp_path])
