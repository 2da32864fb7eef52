"""Learning rates in a report: scores over the rates, the starts' differences at each rate and at each one's own."""

import pytest
from report_cases import TASKS, prints, record_of, records, report_of

from balora.report.figures.rate_curves import rate_figures
from balora.report.markdown import draw
from balora.report.records.rate_sentences import turning_sentence
from balora.report.records.rate_sheets import RateSheet, method_name, verdict_by_rate
from balora.report.records.report import Report
from balora.report.tables.rate_tables import contrasts, reading, scores
from balora.report.tables.table import text
from balora.statistics import t_interval
from balora.study.design.reading import find_study
from balora.study.design.without_testbed import without_own_rates
from balora.study.plan.plan import Choices, Plan, make_plan
from balora.study.plan.rate_search import criteria, expanded
from balora.study.plan.rates import RatePoint, RateSearch

GRID = (1e-3, 2e-3, 4e-3)
OWN = {"pissa": 1e-3, "standard": 4e-3}
LEAD = {1e-3: -10.0, 2e-3: 0.5, 4e-3: 20.0}
"""What the standard start has over PiSSA's at each rate."""


def search_of(points: tuple[RatePoint, ...] = ()) -> RateSearch:
    chosen = {"nlu": OWN, "nlg": OWN}
    by = {"nlu": "score", "nlg": "answer loss"}
    return RateSearch(grid=GRID, seeds=(9001, 9002), criteria=by, points=points, rates=chosen)  # type: ignore[arg-type]


def plan_of() -> Plan:
    study = expanded(find_study("learning-rates"), GRID)
    choices = Choices("a/model", seeds=8, rates=search_of().rates)
    return make_plan(study, choices, TASKS, prints)._replace(rate_search=search_of())


def report() -> Report:
    plan = plan_of()
    rates = {(run.arm, run.task): run.column for run in plan.runs}

    def score(arm: str, task: str, seed: int) -> float:
        spec = rates[arm, task]
        start = LEAD[spec.training.learning_rate] if spec.start == "standard" else 0.0
        peak = -abs(spec.training.learning_rate - 2e-3) * 1000
        noise = (seed % 7 - 3) / 10 * (1 if spec.start == "standard" else -1)
        return 50 + start + peak + noise + 3 * spec.objective.regularized

    return report_of(plan, records(plan, score))


def sheet(key: str = "nlu_avg") -> RateSheet:
    return next(one for one in report().rate_sheets if one.key == key)


def test_every_method_has_a_score_and_its_interval_at_every_rate() -> None:
    one = sheet()
    assert {(s.method, s.rate) for s in one.scores} == {
        (method, rate) for method in ("lora", "pissa", "lora+reg", "ba-lora") for rate in GRID
    }
    found = next(s for s in one.scores if (s.method, s.rate) == ("lora", 4e-3))
    values = [50 + 20 - 2 + (seed % 7 - 3) / 10 for seed in (42, 1024, 2024, 3024, 4024, 5024, 6024, 7024)]
    assert found.mean == pytest.approx(sum(values) / 8)
    assert (found.low, found.high) == pytest.approx(t_interval(values))
    assert {(s.start, s.rate) for s in one.scores if s.is_chosen} == set(OWN.items())


def test_the_verdict_turns_over_with_the_rate() -> None:
    one = sheet()
    for terms in (True, False):
        assert verdict_by_rate(one, "standard", terms) == {"ahead": (4e-3,), "behind": (1e-3,), "open": (2e-3,)}
    assert reading(one).startswith(turning_sentence(one, "standard", True))
    assert "Logarithmic axis." in rate_figures(report())[0].note


def test_the_last_comparison_has_each_start_at_its_own_rate() -> None:
    """PiSSA at 0.001 lies 1 below its best, the standard start at 0.004 2 below and 20 above: 19 between them."""
    own = [one for one in sheet().contrasts if one.at_own_rates]
    assert [(one.rate, one.against_rate, one.regularized) for one in own] == [(4e-3, 1e-3, True), (4e-3, 1e-3, False)]
    assert [one.paired.mean for one in own] == pytest.approx([19.0 - 0.1, 19.0 - 0.1], abs=0.3)
    assert [one.paired.family for one in own] == [4, 4]  # two averages, with and without regularizers
    assert all(one.paired.family is None for one in sheet().contrasts if not one.at_own_rates)
    assert all(one.paired.family is None for one in sheet("nlg_answer_loss").contrasts)
    rows = contrasts(report(), sheet()).rows
    assert [text(row[1]) for row in rows[:4]] == ["0.001", "0.002", "0.004", "each its own: 0.004 and 0.001"]
    assert text(rows[3][0]) == "standard − pissa, with regularizers"


def test_answer_losses_lead_where_they_are_lower() -> None:
    one = sheet("nlg_answer_loss")
    assert one.unit == "nats/token"
    assert verdict_by_rate(one, "standard", True)["behind"] == (4e-3,)


def test_a_search_is_shown_beside_the_study_without_intervals() -> None:
    points = tuple(
        RatePoint(
            family="nlu", start=start, regularized=True, rate=rate, seed=seed, value=None if rate > 3e-3 else 60.0
        )
        for start in OWN for rate in GRID for seed in (9001, 9002)
    )  # fmt: skip
    plan = plan_of()._replace(rate_search=search_of(points))
    found = [one for one in report_of(plan, {}).rate_sheets if one.source == "search"]
    assert [one.key for one in found] == ["nlu-search"]  # nothing was tried in generation
    assert [(s.start, s.rate, s.n, s.mean, s.low) for s in found[0].scores] == [
        ("pissa", 1e-3, 2, 60.0, None), ("pissa", 2e-3, 2, 60.0, None),
        ("standard", 1e-3, 2, 60.0, None), ("standard", 2e-3, 2, 60.0, None),
    ]  # fmt: skip
    assert found[0].contrasts == ()
    assert record_of(plan).rate_search == search_of(points)


def test_a_study_with_one_rate_has_no_sheet() -> None:
    plan = make_plan(find_study("regularizers"), Choices("a/model", seeds=2), TASKS, prints)
    assert report_of(plan, records(plan, lambda arm, task, seed: 50.0)).rate_sheets == ()
    assert criteria(plan) == {"nlu": "score", "nlg": "answer loss"}


def test_the_rates_stand_in_markdown_and_in_a_figure_with_their_marks() -> None:
    whole = report()
    shown = draw(whole)
    assert "## Learning rates" in shown
    assert shown.count("◄") == 3 * 4 + 3
    figure = rate_figures(whole)[0]
    assert figure.title == "NLU Avg over the learning rate"
    values = figure.spec["data"]["values"]
    assert sum(row["chosen"] for row in values) == 4
    assert all(row["low"] < row["mean"] < row["high"] for row in values)
    assert figure.table == scores(whole, whole.rate_sheets[0])
    assert "rings mark the rate that each start has" in figure.note


@pytest.mark.parametrize(
    ("start", "terms", "name"),
    [("pissa", True, "ba-lora"), ("standard", False, "lora"), ("minor", True, "minor+reg"), ("minor", False, "minor"),
     ("full", False, "full"), ("full", True, "full+reg")],
)  # fmt: skip
def test_methods_have_their_names(start: str, terms: bool, name: str) -> None:
    assert method_name(start, terms) == name


def test_no_sweep_repeats_what_a_sheet_shows() -> None:
    from report_cases import dossier_of

    plan = plan_of()
    dossier = dossier_of(plan, records(plan, lambda arm, task, seed: 50.0 + seed % 5))
    assert [one.setting for one in dossier.sweeps] == []


def test_the_answer_is_about_each_start_at_its_own_rate_and_where_it_turns() -> None:
    found = report()
    assert found.sentences[0].startswith(
        "With each start at its own rate, with regularizers, replacing pissa (0.001) by standard (0.004) raised NLU "
        "Avg by "
    )
    assert found.sentences[0].endswith("8 seeds): the replacement is better, and chance does not explain it.")
    assert found.sentences[1] == (
        "At one rate for both starts, with regularizers, standard does worse at 0.001, better at 0.004, neither for "
        "certain at 0.002 compared with pissa (NLU Avg)."
    )
    assert found.sentences[-1].startswith("A difference matters from 1 point on")
    assert found.answer.startswith(
        "Compared with pissa, each start at its own learning rate, over 8 seeds: in NLU Avg, "
    )


def test_one_rate_for_all_starts_is_the_first_line() -> None:
    study = without_own_rates(find_study("pissa-initialization"))[0]
    choices = Choices("a/model", seeds=2, settings={"training.learning_rate": 3e-4})
    plan = make_plan(study, choices, TASKS, prints)
    first = report_of(plan, records(plan, lambda arm, task, seed: 50.0)).sentences[0]
    assert first == (
        "All arms have one learning rate 0.0003, which may suit one start of the adapter better than another: this "
        "answer holds at that rate."
    )


def test_what_limits_a_search_is_a_caution() -> None:
    cautions = " ".join(report().cautions)
    assert (
        "The best learning rate of pissa (NLU), standard (NLU), pissa (NLG), standard (NLG) lies at an end" in cautions
    )


def test_starts_with_the_same_own_rate_are_compared_at_it_as_the_answer() -> None:
    """Their rates were searched and coincide: that is an answer at own rates, and no warning of one rate."""
    same = search_of().replace(rates={"nlu": dict.fromkeys(OWN, 2e-3), "nlg": dict.fromkeys(OWN, 2e-3)})
    study = expanded(find_study("learning-rates"), GRID)
    plan = make_plan(study, Choices("a/model", seeds=8, rates=same.rates), TASKS, prints)._replace(rate_search=same)
    found = report_of(plan, records(plan, lambda arm, task, seed: 50.0 + seed % 5))
    own = [one for one in found.rate_sheets[0].contrasts if one.at_own_rates]
    assert [(one.rate, one.against_rate, one.regularized) for one in own] == [(2e-3, 2e-3, True), (2e-3, 2e-3, False)]
    assert found.sentences[0].startswith(
        "With each start at its own rate, with regularizers, replacing pissa (0.002) by"
    )
    assert found.answer.startswith("Compared with pissa, each start at its own learning rate,")
    two = without_own_rates(find_study("pissa-initialization"))[0]
    plan = make_plan(two, Choices("a/model", seeds=2, rates=same.rates), TASKS, prints)._replace(rate_search=same)
    answers = report_of(plan, records(plan, lambda arm, task, seed: 50.0)).sentences
    assert not any(sentence.startswith("All arms have one learning rate") for sentence in answers)
