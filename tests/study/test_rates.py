"""Learning rates: each start at its own, found on other seeds and rows; the rule by literals, the search as a study."""

from pathlib import Path
from typing import Any

import fakes
import pytest
from study_cases import Here, Notebook

from balora.errors import ConfigError, InputError, TrainingError
from balora.settings import Family
from balora.study.design.reading import find_study, read_study
from balora.study.engine.tune_rates import in_words, with_rates
from balora.study.plan.blocks import seeds
from balora.study.plan.plan import Choices, Plan, make_plan, needs_rates
from balora.study.plan.prepare import prepare
from balora.study.plan.prepare import with_rates as prepare_rates
from balora.study.plan.rate_search import SEEDS, at_rates, conclude, criteria, grid_of, points_of, search_plan
from balora.study.plan.rates import RatePoint, RateSearch, choose_rates, merits, rate_for, wider
from balora.study.plan.suites import Tasks
from balora.study.store.entries import read_study as read_folder
from balora.training.record import RunRecord

TASKS = Tasks(("cola", "rte", "gsm8k"), ("mnli",))
GRID = (1e-3, 2e-3, 4e-3)


def point(rate: float, value: float | None, *, seed: int = 1, start: str = "pissa", family: Family = "nlu",
          regularized: bool = True) -> RatePoint:  # fmt: skip
    return RatePoint(family=family, start=start, regularized=regularized, rate=rate, seed=seed, value=value)


def plan_of(name: str = "pissa-initialization", **choices: Any) -> Plan:
    study = find_study(name).replace(rate_grid=GRID)
    return make_plan(study, Choices("m", seeds=2, **choices), TASKS, fakes.fingerprints)


# the rule


def test_a_rate_is_judged_by_its_mean_less_its_spread_over_the_seeds() -> None:
    """Means 75 and 74; standard deviations √2·5 and √2·1, so 67.9 against 72.6: the steadier rate wins."""
    lucky = [point(4e-3, 80.0, seed=1), point(4e-3, 70.0, seed=2)]
    steady = [point(2e-3, 75.0, seed=1), point(2e-3, 73.0, seed=2)]
    found = merits([*lucky, *steady], "score")
    assert [(m.rate, m.mean) for m in found] == [(2e-3, 74.0), (4e-3, 75.0)]
    assert [m.value for m in found] == pytest.approx([74 - 2**0.5, 75 - 5 * 2**0.5])
    assert choose_rates([*lucky, *steady], {"nlu": "score"}) == {"nlu": {"pissa": 2e-3}}


def test_methods_with_one_start_are_averaged_within_a_seed_before_the_spread_is_taken() -> None:
    """With the regularizers up and without down by as much: the mean of the two is the same in both seeds."""
    opposite = [point(1e-3, 60.0 + shift * side, seed=seed, regularized=side > 0)
                for seed, shift in ((1, 9.0), (2, -9.0)) for side in (1, -1)]  # fmt: skip
    assert merits(opposite, "score") == [(1e-3, 60.0, 0.0)]


def test_an_answer_loss_is_the_better_the_lower_it_is() -> None:
    points = [point(1e-3, 2.0, family="nlg"), point(2e-3, 1.5, family="nlg"), point(4e-3, 1.9, family="nlg")]
    assert choose_rates(points, {"nlg": "answer loss"}) == {"nlg": {"pissa": 2e-3}}
    assert choose_rates(points, {"nlg": "score"}) == {"nlg": {"pissa": 1e-3}}


def test_of_equal_rates_the_smallest_is_chosen_and_one_with_a_failed_run_never() -> None:
    equal = [point(2e-3, 70.0), point(1e-3, 70.0), point(4e-3, None)]
    assert choose_rates(equal, {"nlu": "score"}) == {"nlu": {"pissa": 1e-3}}
    best_fails_once = [point(1e-3, 50.0, seed=1), point(1e-3, 50.0, seed=2), point(2e-3, 90.0, seed=1),
                       point(2e-3, None, seed=2)]  # fmt: skip
    assert choose_rates(best_fails_once, {"nlu": "score"}) == {"nlu": {"pissa": 1e-3}}


def test_a_start_that_trains_at_no_rate_is_named() -> None:
    with pytest.raises(TrainingError, match=r"the start 'minor' in NLU: at each of 0.001, 0.002 a run failed: see the"):
        choose_rates([point(1e-3, None, start="minor"), point(2e-3, None, start="minor")], {"nlu": "score"})


def test_a_rate_of_a_start_that_was_not_searched_is_refused_and_of_a_family_is_none() -> None:
    rates: dict[Family, dict[str, float]] = {"nlu": {"pissa": 0.1}}
    assert (rate_for(rates, "nlu", "pissa"), rate_for(rates, "nlg", "pissa")) == (0.1, None)
    with pytest.raises(ConfigError, match=r"no learning rate was found for the start 'minor' \(only for pissa\)"):
        rate_for(rates, "nlu", "minor")


def searched(**rates: float) -> RateSearch:
    return RateSearch(grid=GRID, seeds=(1,), criteria={"nlu": "score"}, points=(), rates={"nlu": rates})


@pytest.mark.parametrize(
    ("rates", "more"),
    [
        ({"pissa": 2e-3, "standard": 2e-3}, ()),
        ({"pissa": 1e-3, "standard": 2e-3}, (2.5e-4, 5e-4)),
        ({"pissa": 2e-3, "standard": 4e-3}, (8e-3, 1.6e-2)),
        ({"pissa": 1e-3, "standard": 4e-3}, (2.5e-4, 5e-4, 8e-3, 1.6e-2)),
    ],
)
def test_a_grid_whose_end_is_best_gets_two_rates_beyond_it(rates: dict[str, float], more: tuple[float, ...]) -> None:
    assert wider(GRID, searched(**rates)) == more


def test_a_best_rate_that_still_lies_at_the_end_is_reported() -> None:
    assert in_words(searched(pissa=2e-3, standard=4e-3)) == (
        "NLU pissa 0.002, standard 0.004; still at the end of the grid: standard (NLU)"
    )
    assert searched(pissa=2e-3).at_the_end == ()


# the plan of a search


def test_a_search_tries_every_start_and_objective_of_the_study_at_every_rate_on_other_seeds_and_rows() -> None:
    plan = plan_of()
    search = search_plan(plan, GRID, fakes.fingerprints)
    tried = {(run.column.start, run.column.objective.regularized, run.column.training.learning_rate, run.seed, run.task)
             for run in search.runs}  # fmt: skip
    assert tried == {
        (start, with_terms, rate, SEEDS[0], task)
        for start in ("pissa", "standard") for with_terms in (True, False) for rate in GRID for task in TASKS.present
    }  # fmt: skip
    assert len(search.distinct) == len(search.runs) == 2 * 2 * 3 * 3
    assert not {run.seed for run in search.runs} & set(seeds(1000))
    assert {run.column.data.eval_split for run in search.runs} == {"held-out"}
    assert {run.column.data.held_out for run in (*search.runs, *plan.runs)} == {64}
    assert {run.column.data.eval_split for run in plan.runs} == {None}
    assert {run.column.data.max_new_tokens for run in search.runs} == {1}  # judged by the loss: no answer is needed


def test_starts_are_tried_without_regularizers_only_where_an_arm_is_without() -> None:
    text = "study: s\nquestion: q\nbase: ba-lora\narms: {a: {set: {adapter.rank: 4}}}\nrate_grid: [0.001, 0.002]\n"
    plan = make_plan(read_study(text, "x"), Choices("m", seeds=1), TASKS, fakes.fingerprints)
    search = search_plan(plan, grid_of(plan), fakes.fingerprints)
    assert {(run.column.start, run.column.objective.regularized) for run in search.runs} == {("pissa", True)}


def test_generation_is_judged_by_the_answer_loss_and_understanding_by_the_score() -> None:
    assert criteria(plan_of()) == {"nlu": "score", "nlg": "answer loss"}


def test_one_rate_for_all_needs_no_search_and_drops_the_arms_at_the_bases_rate() -> None:
    given: dict[str, Any] = {"model": "m", "fingerprints": fakes.fingerprints}
    plan = prepare("starts", **given, settings={"training.learning_rate": 3e-4})
    assert not needs_rates(plan.study, plan.choices, plan.tasks)
    assert plan.left_out == tuple(f"arms.{name}-at-one-rate" for name in ("standard", "random-matched", "minor"))
    assert {run.column.training.learning_rate for run in plan.runs} == {3e-4}
    assert {run.column.data.held_out for run in plan.runs} == {None}


def test_the_testbed_has_its_rates_already() -> None:
    plan = prepare("starts", fingerprints=fakes.fingerprints)
    assert not needs_rates(plan.study, plan.choices, plan.tasks)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rate_grid: [0.001]", "rate_grid: a grid of one value, 0.001, tunes nothing: give at least two, or one rate"),
        ("rate_grid: [0.002, 0.001]", "rate_grid: learning rates must rise, each given once, got [0.002, 0.001]"),
        ("rate_grid: [0.001, 0]", "rate_grid.1: input should be greater than 0"),
        ("rates: best", "rates: input should be 'tuned', 'shared' or 'every'"),
        ("rates: every", "rates: 'every' runs the arms of `grid` at every learning rate: give a `grid`"),
    ],
)
def test_faults_in_the_rates_of_a_study_file(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_study(f"study: s\nquestion: q\nbase: ba-lora\narms: {{a: {{set: {{adapter.rank: 4}}}}}}\n{text}\n", "x")
    assert expected in str(caught.value)


def test_a_study_over_the_rates_refuses_a_single_one() -> None:
    with pytest.raises(ConfigError, match=r"training.learning_rate: study 'learning-rates' runs its arms at several"):
        prepare("learning-rates", settings={"training.learning_rate": 1e-3}, fingerprints=fakes.fingerprints)


def test_every_arm_of_a_grid_is_run_at_every_rate() -> None:
    plan = prepare("learning-rates", rate_grid=[1e-3, 3e-3], fingerprints=fakes.fingerprints)
    grid = {(run.column.start, run.column.objective.regularized, run.column.training.learning_rate)
            for run in plan.runs if run.arm != "ba-lora"}  # fmt: skip
    assert grid == {(s, r, lr) for s in ("pissa", "standard") for r in (True, False) for lr in (1e-3, 3e-3)}


# the search carried out


def scored(record: RunRecord, value: float) -> RunRecord:
    return record.model_copy(update={"score": value, "metrics": {"answer_loss": 100 - value}})


def tuned_plan(values: dict[tuple[str, float], float]) -> tuple[Plan, RateSearch]:
    """Return a plan at the rates of a search with these values by start and rate."""
    plan = plan_of()
    search = search_plan(plan, GRID, fakes.fingerprints)
    records = {
        run.id: scored(
            RunRecord(id=run.id, spec=run.spec, status="ok"),
            values[run.column.start, run.column.training.learning_rate],
        )
        for run in search.runs
    }
    found = conclude(plan, points_of(search, records, criteria(plan)), widened=False)
    return at_rates(plan, found), found


def test_every_arm_gets_the_rate_of_its_start_and_an_arm_at_one_rate_that_of_the_base() -> None:
    best = {("pissa", 1e-3): 1.0, ("pissa", 2e-3): 9.0, ("pissa", 4e-3): 5.0,
            ("standard", 1e-3): 1.0, ("standard", 2e-3): 8.0, ("standard", 4e-3): 9.0}  # fmt: skip
    plan, found = tuned_plan(best)
    assert found.rates == {family: {"pissa": 2e-3, "standard": 4e-3} for family in ("nlu", "nlg")}
    rates = {(run.arm, run.column.training.learning_rate) for run in plan.runs}
    assert rates == {
        ("ba-lora", 2e-3), ("no-regularizers", 2e-3), ("standard-initialization", 4e-3), ("plain-lora", 4e-3),
        ("standard-at-one-rate", 2e-3),
    }  # fmt: skip


def test_starts_with_the_same_best_rate_leave_two_arms_with_one_run() -> None:
    plan, _ = tuned_plan(
        {(start, rate): 9.0 if rate == 2e-3 else 1.0 for start in ("pissa", "standard") for rate in GRID}
    )
    ids = {
        arm: [run.id for run in plan.runs if run.arm == arm]
        for arm in ("standard-initialization", "standard-at-one-rate")
    }
    assert ids["standard-initialization"] == ids["standard-at-one-rate"]


def carried_out(plan: Plan, output: Path, lines: list[str] | None = None, run: Any = fakes.quick, **given: Any) -> Plan:
    notebook = Notebook()
    how = {"command": "again", "pool": Here(), "fingerprints": fakes.fingerprints, "run": run, **given}
    found = with_rates(plan, output, notebook, **how)
    if lines is not None:
        lines += notebook.lines
    return found


def test_a_search_is_a_study_in_a_folder_of_its_own_and_is_not_repeated(tmp_path: Path) -> None:
    lines: list[str] = []
    folders: list[Path] = []
    plan = carried_out(plan_of(), tmp_path / "s", lines, on_folder=folders.append)
    assert plan.rate_search is not None
    assert folders[0] == tmp_path / "s" / "rates"
    record, runs, faulty = read_folder(folders[0])
    assert (len(runs), faulty, record.seeds) == (36, {}, SEEDS[:1])
    again: list[str] = []
    assert carried_out(plan_of(), tmp_path / "s", again).rate_search == plan.rate_search
    assert not [line for line in again if line.startswith("finished")]


def test_a_plan_that_needs_no_search_is_returned_as_it_is(tmp_path: Path) -> None:
    plan = plan_of(settings={"training.learning_rate": 1e-3})
    assert carried_out(plan, tmp_path / "s") is plan
    assert not (tmp_path / "s").exists()


def test_a_folder_whose_search_is_under_way_names_the_place_of_the_search(tmp_path: Path) -> None:
    carried_out(plan_of(), tmp_path / "s")
    with pytest.raises(InputError, match=r"s: the study has not begun, .* that search is the study in .*s/rates"):
        read_folder(tmp_path / "s")


def test_recipes_have_one_rate_and_hold_nothing_out() -> None:
    """What they train on cannot be scored, so no search is made, and no arm is at another's rate."""
    recipes = Tasks(("metamathqa",), (), {"metamathqa": ("gsm8k",)})
    study = find_study("pissa-initialization").replace(suites=("nlg",), metrics=("nlg_avg",))
    choices = Choices("m", seeds=1)
    reduced, left_out = prepare_rates(study, choices, recipes, None)
    assert left_out == ("arms.standard-at-one-rate",)
    plan = make_plan(reduced, choices, recipes, fakes.fingerprints)
    assert not needs_rates(plan.study, plan.choices, plan.tasks)
    assert {run.column.data.held_out for run in plan.runs} == {None}
    given = make_plan(reduced, choices._replace(settings={"data.held_out": 9}), recipes, fakes.fingerprints)
    assert {run.column.data.held_out for run in given.runs} == {9}


def test_a_base_that_is_written_as_groups_of_settings_is_searched_too() -> None:
    text = (
        "study: s\nquestion: q\nbase: {method: ba-lora, adapter: {init: standard, alpha: 4}}\n"
        "rate_grid: [0.001, 0.002]\narms: {a: {set: {adapter.init: pissa}}}\n"
    )
    plan = make_plan(read_study(text, "x"), Choices("m", seeds=1), TASKS, fakes.fingerprints)
    search = search_plan(plan, grid_of(plan), fakes.fingerprints)
    adapters = {(run.column.start, run.column.adapter.alpha) for run in search.runs if run.column.adapter}
    assert adapters == {("standard", 4), ("pissa", 4)}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "since the testbed has one for each start"),
        ({"model": "m", "settings": {"training.learning_rate": 1e-3}}, "since all arms have one"),
    ],
)
def test_a_grid_that_nothing_would_be_tried_on_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=f"--rate-grid: no rate is looked for here, {why}"):
        prepare("starts", rate_grid=[1e-3, 2e-3], fingerprints=fakes.fingerprints, **given)
