"""Studies that go on until they are answered: looks, arms that stop, resumption, hours, refusals."""

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import fakes
import pytest
from study_cases import Here, Notebook, four_arms, plan_of

from balora.cli.study_listing import describe_plan, plan_text
from balora.errors import ConfigError, InputError, OutputError
from balora.report.records.open_questions import open_questions
from balora.report.records.report import Report, read_report
from balora.settings import Family
from balora.statistics import DECIDED, Verdict
from balora.study.design.reading import find_study
from balora.study.engine.execute import Outcome, execute
from balora.study.engine.until_answered import execute_until_answered
from balora.study.plan.costs import Costs
from balora.study.plan.plan import Plan, at_look, make_plan
from balora.study.plan.prepare import command, prepare
from balora.study.plan.until import Until, chosen_until, refuse_without_family
from balora.study.store.study_folder import describe, read_study_record, write_study_record

UNTIL = Until(most_blocks=24)


def go(
    output: Path, until: Until = UNTIL, run: Any = fakes.with_effects, plan: Plan | None = None, **options: Any
) -> tuple[Outcome, list[str]]:
    notebook, reports = Notebook(), list[Path]()

    def look(folder: Path) -> Mapping[Family, Collection[str]]:
        reports.append(folder)
        return open_questions(read_report(folder))

    plan = plan or plan_of(looks=until.looks, seeds=8)
    outcome = execute_until_answered(
        plan,
        output,
        notebook,
        until=until,
        started=time.monotonic(),
        on_look=look,
        command="again",
        pool=Here(),
        run=run,
        **options,
    )
    assert set(reports) == {output}
    return outcome, [line.removeprefix("message: ") for line in notebook.lines if line.startswith("message")]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("studies") / "study"
    go(output)
    return output


def report_of(study: Path) -> Report:
    return read_report(study)


def test_arms_stop_where_nothing_open_needs_them(study: Path) -> None:
    """The regularizers make no difference, which is found after 8; the standard start is worse, found after 16."""
    record = read_study_record(study)
    assert record.looks == (8, 16, 24)
    assert len(record.seeds) == 24
    both: dict[Family, int] = {"nlg": 8, "nlu": 8}
    assert record.stopped == {"no-regularizers": both, "standard-initialization": {"nlg": 16, "nlu": 16}}
    blocks = {arm: {entry.seed for entry in record.runs if entry.arm == arm} for arm in ("ba-lora", *record.stopped)}
    assert {arm: len(seeds) for arm, seeds in blocks.items()} == {
        "ba-lora": 24,
        "no-regularizers": 8,
        "standard-initialization": 16,
    }


def test_each_comparison_is_reported_as_of_the_look_that_decided_it(study: Path) -> None:
    found = {(one.arm, one.measure): one.paired for one in report_of(study).differences}
    for measure in ("nlu_avg", "nlg_avg"):
        hurts, bounded, open_ = (
            found[arm, measure] for arm in ("standard-initialization", "no-regularizers", "plain-lora")
        )
        assert (hurts.verdict, hurts.look, hurts.n) == (Verdict.HURTS, 16, 16)
        assert (bounded.verdict, bounded.look, bounded.n) == (Verdict.BOUNDED, 8, 8)
        assert open_.verdict not in DECIDED or open_.look == 24
        assert open_.n == 24


def test_the_report_names_the_looks(study: Path) -> None:
    cautions = report_of(study).cautions
    assert any(line.startswith("Rows, steps and tasks are those of the profile glance;") for line in cautions)
    assert not any(line.startswith("Profile glance") for line in cautions), "it has another number of seeds"
    assert any("looks were planned after 8, 16 and 24 seeds" in line and "3 were used" in line for line in cautions)


def test_an_unfinished_look_is_not_looked_at(study: Path, tmp_path: Path) -> None:
    """Peeking between two looks would add looks that no interval accounts for."""
    plan = plan_of(looks=UNTIL.looks, seeds=8)
    some = plan._replace(runs=plan.runs[:-1])
    execute(some, tmp_path / "a", Notebook(), command="again", pool=Here(), run=fakes.with_effects)
    write_study_record(tmp_path / "a", describe(plan, "again"))
    report = read_report(tmp_path / "a")
    assert {one.paired.verdict for one in report.differences} == {Verdict.NO_SEED}
    assert any("no look has been reached" in line for line in report.cautions)


def test_the_same_command_repeats_no_run_and_comes_to_the_same_end(study: Path) -> None:
    before = read_study_record(study)
    outcome, _ = go(study, run=fakes.full_disk)
    assert (outcome.ok, outcome.failed) == (0, 0)
    after = read_study_record(study)
    assert (after.seeds, after.stopped, after.runs) == (before.seeds, before.stopped, before.runs)


def test_messages_say_what_is_open(tmp_path: Path) -> None:
    _, lines = go(tmp_path / "study")
    assert (
        "after 8 seeds: still open, and so going on: NLG ba-lora, plain-lora, standard-initialization; NLU " in lines[0]
    )
    assert lines[-1].startswith("after 24 seeds: ")


def test_a_study_without_factors_goes_on_too(tmp_path: Path) -> None:
    """Such as `editions`: no second family, of effects, is judged beside the arms."""
    plan = plan_of(looks=(8,), seeds=8)
    arms = {"no-regularizers": {"set": {"objective.preset": "none"}}}
    study = plan.study.replace(factors={}, family=None, arms=arms)
    plain = make_plan(study, plan.choices, plan.tasks, fakes.fingerprints)
    go(tmp_path / "study", Until(8), plan=plain)
    assert {one.paired.look for one in report_of(tmp_path / "study").differences if one.paired.family} == {8}


def test_a_failed_run_is_tried_once_and_an_arm_without_results_is_not_waited_for(tmp_path: Path) -> None:
    run, output = fakes.without_regularized_standard_starts, tmp_path / "study"
    outcome, lines = go(output, Until(16), run=run, retry_failed=True)
    assert lines[0] == "after 8 seeds: still open, and so going on: NLG ba-lora, plain-lora; NLU ba-lora, plain-lora"
    assert (outcome.planned, outcome.ok, outcome.failed) == (8 * 2 * 2, 8 * 2 * 2, 0), "the new runs of the second look"
    assert report_of(output).counts.failed == 8 * 2
    again, _ = go(output, Until(16), run=fakes.full_disk)
    assert (again.ok, again.failed) == (0, 0)


def test_other_looks_are_refused_in_the_same_folder(study: Path) -> None:
    with pytest.raises(OutputError, match="with another looks: choose another --output"):
        go(study, Until(most_blocks=32))


def test_a_fixed_study_is_not_continued_as_a_sequential_one(study: Path, tmp_path: Path) -> None:
    execute(plan_of(seeds=2), tmp_path / "fixed", Notebook(), command="again", pool=Here(), run=fakes.quick)
    with pytest.raises(OutputError, match="with another looks"):
        go(tmp_path / "fixed")
    with pytest.raises(OutputError, match="with another looks"):
        execute(plan_of(seeds=24), study, Notebook(), command="again", pool=Here(), run=fakes.quick)


def test_hours_end_it_before_a_look_that_would_come_too_late(tmp_path: Path) -> None:
    _, lines = go(tmp_path / "study", UNTIL._replace(hours=1e-6))
    assert lines[-1] == "stopped: the next look, after 16 seeds, would come after more than 1e-06 hours"
    assert len(read_study_record(tmp_path / "study").seeds) == 8
    found = {one.paired.verdict for one in report_of(tmp_path / "study").differences if one.arm == "plain-lora"}
    assert Verdict.UNDECIDED in found


def test_hours_are_estimated_by_the_records_where_nothing_is_left_to_run(tmp_path: Path) -> None:
    """The runs of the stand-ins claim 1.75 seconds each; the next look has at least 48, and 36 seconds are left."""
    go(tmp_path / "study", UNTIL._replace(hours=1e-6))
    outcome, lines = go(tmp_path / "study", UNTIL._replace(hours=0.01), run=fakes.full_disk)
    assert (outcome.ok, outcome.failed) == (0, 0)
    assert lines[-1] == "stopped: the next look, after 16 seeds, would come after more than 0.01 hours"


def test_on_the_testbed_every_block_has_a_model_of_its_own() -> None:
    plan = prepare("pissa-initialization", profile="quick", looks=(8, 16), fingerprints=fakes.fingerprints)
    assert plan.pretrainings == tuple(range(8))
    assert at_look(plan, 16, {}).pretrainings == tuple(range(16))


def test_the_plan_shows_the_looks_and_the_most_runs() -> None:
    plan = plan_of(looks=(8, 16), seeds=8)
    text = plan_text(describe_plan(at_look(plan, 16, {}), Costs([])))
    assert (
        "looks    after 8, 16 seeds: it ends where every comparison is answered, and these are the most runs that it "
        "can have" in text.splitlines()
    )
    assert f"runs     {2 * len(plan.distinct)}" in text.splitlines()
    assert "warning" not in plan_text(describe_plan(plan, Costs([]))), "the blocks of the last look are enough"


def test_looks_end_at_the_most_blocks() -> None:
    assert Until().looks == (8, 16, 24, 32, 48, 64)
    assert Until(8).looks == (8,)
    assert Until(50).looks == (8, 16, 24, 32, 48, 50)


def test_the_command_repeats_the_options() -> None:
    words = command(
        "x", Path("out"), model=None, data=None, profile="quick", seeds=None, assignments=(), until=Until(32, 1.5)
    )
    assert words == ("balora study run x --profile quick --until-answered --most-blocks 32 --hours 1.5 --output out")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            (False, 32, None, None),
            "--most-blocks 32: is for a study that goes on: add --until-answered, or leave it out",
        ),
        ((False, None, 2.0, None), "--hours 2: is for a study that goes on: add --until-answered, or leave it out"),
        (
            (True, None, None, 5),
            "--seeds 5: with --until-answered the looks decide how many blocks there are: give --most-blocks instead",
        ),
        (
            (True, 7, None, None),
            "--most-blocks 7: must be from 8, the blocks of the first look, to 1000: choose another number, or run a "
            "fixed study with --seeds",
        ),
        (
            (True, 1001, None, None),
            "--most-blocks 1001: must be from 8, the blocks of the first look, to 1000: choose another number, or run "
            "a fixed study with --seeds",
        ),
        ((True, None, 0.0, None), "--hours 0: must be a number above 0: give more, or leave it out"),
        ((True, None, -1.0, None), "--hours -1: must be a number above 0: give more, or leave it out"),
        ((True, None, float("nan"), None), "--hours nan: must be a number above 0: give more, or leave it out"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen_until(*given)
    assert str(caught.value) == message


def test_a_fixed_study_has_no_looks() -> None:
    assert chosen_until(False, None, None, 5) is None


def test_a_study_without_a_family_of_comparisons_is_refused() -> None:
    with pytest.raises(
        InputError, match="study learning-rates compares arms over learning rates and declares no family"
    ):
        refuse_without_family(find_study("learning-rates"))
    refuse_without_family(four_arms())
    with pytest.raises(InputError, match=r"study controls chooses the settings of .* by all blocks"):
        refuse_without_family(find_study("controls"))
