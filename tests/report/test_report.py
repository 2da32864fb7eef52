"""Reports: every number follows from the records, failures are counted, and text from files stays text."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev

import pytest
from report_cases import TASKS, additive, plan_of, prints, records, report_of, write_study

from balora.cli.study_listing import describe_plan, list_studies, plan_text, studies_text
from balora.errors import InputError
from balora.report.markdown import draw, escape
from balora.report.records.report import build, read_report
from balora.study.design.reading import read_study
from balora.study.plan.costs import Costs
from balora.study.plan.plan import Choices, make_plan
from balora.study.plan.prepare import prepare
from balora.study.store.study_folder import describe
from balora.training.record import RunError, RunRecord


def test_averages_are_means_over_tasks_with_their_spread_over_seeds() -> None:
    base = report_of(plan_of(), records(plan_of(), additive)).arms[0]
    assert base.by_seed["nlu_avg"] == {42: 60.0, 1024: 63.0, 2024: 67.0}
    assert base.averages["nlu_avg"].mean == pytest.approx(mean([60, 63, 67]))
    assert base.averages["nlu_avg"].sd == pytest.approx(stdev([60, 63, 67]))
    assert base.averages["nlg_avg"].mean == pytest.approx(mean([40, 43, 47]))
    assert base.tasks["cola"].mean == pytest.approx(mean([50, 53, 57]))
    assert base.task_losses["gsm8k"].mean == pytest.approx(mean([4.0, 4.3, 4.7]))
    assert base.method == "ba-lora"


def test_differences_are_arm_minus_base_within_a_seed() -> None:
    report = report_of(
        plan_of(), records(plan_of(), lambda a, t, s: additive(a, t, s) + (s == 42) * (a == "plain-lora"))
    )
    found = {(d.arm, d.measure): d.paired for d in report.differences}
    plain = found["plain-lora", "nlu_avg"]
    assert plain.mean == pytest.approx((-10 - 11 - 11) / 3)
    assert plain.low is not None
    assert plain.high is not None
    assert plain.low < plain.mean < plain.high < 0
    assert (plain.p, plain.smallest_p) == (0.25, 0.25)
    assert plain.verdict == "cannot tell: needs about n seeds", "three seeds cannot reach 0.05"
    assert report.differences[0].joint is None, "no run has item scores"


def test_effects_of_a_two_by_two() -> None:
    report = report_of(plan_of(), records(plan_of(), additive))
    found = {e.name: e.paired.mean for e in report.effects if e.measure == "nlu_avg"}
    assert found == {
        "initialization: standard − pissa": pytest.approx(-8.0),  # 60→50 and 55→49
        "regularizers: off − on": pytest.approx(-3.0),  # 60→55 and 50→49
        "(initialization: standard − pissa) × (regularizers: off − on)": pytest.approx(4.0),  # −6 − (−10)
    }


def test_effects_are_judged_by_their_direction_and_interactions_are_not() -> None:
    plan = plan_of(seeds=8)
    report = report_of(plan, records(plan, lambda a, t, s: additive(a, t, 42) + s % 7 * (1 + (a == "ba-lora") / 99)))
    assert [(e.measure, e.paired.verdict) for e in report.effects] == [
        ("nlu_avg", "hurts"),
        ("nlu_avg", "hurts"),
        ("nlu_avg", "above 0"),
        ("nlg_avg", "hurts"),
        ("nlg_avg", "hurts"),
        ("nlg_avg", "above 0"),
        ("nlg_answer_loss", "helps"),
        ("nlg_answer_loss", "helps"),
        ("nlg_answer_loss", "above 0"),
    ]
    assert [e.paired.family for e in report.effects] == [6] * 6 + [None] * 3
    assert report.effects_family_size == 6


def test_families_as_a_factor() -> None:
    def score(arm: str, task: str, seed: int) -> float:
        lost = {"ba-lora": 0, "swapped": 6 if task == "gsm8k" else 2, "swapped-matched": 1, "no-regularizers": 0}[arm]
        return 50 - lost + seed / 1000

    plan = plan_of("formulation-swap")
    found = {e.name: e.paired.mean for e in report_of(plan, records(plan, score)).effects}
    assert found == {
        "formulation: swapped − own": pytest.approx(-4.0),
        "formulation: swapped-matched − own": pytest.approx(-1.0),
        "(family: nlg − nlu) × (formulation: swapped − own)": pytest.approx(-4.0),
        "(family: nlg − nlu) × (formulation: swapped-matched − own)": pytest.approx(0.0),
    }


def test_only_whole_seeds_count_and_what_is_missing_is_said() -> None:
    plan = plan_of()
    runs = records(plan, additive)
    ids = {(run.arm, run.task, run.seed): run.id for run in plan.runs}
    lost, unread, failed = ids["ba-lora", "rte", 42], ids["plain-lora", "rte", 42], ids["plain-lora", "gsm8k", 1024]
    del runs[lost], runs[unread]
    error = RunError(kind="TrainingError", message="loss is NaN at step 3 | spectral")
    runs[failed] = runs[failed].replace(status="failed", score=None, metrics={}, error=error)
    report = report_of(plan, runs, {unread: "run.json: torn"})
    assert asdict(report.counts) == {"planned": 36, "ok": 33, "failed": 1, "unreadable": 1, "missing": 1}
    assert set(report.arms[0].by_seed["nlu_avg"]) == {1024, 2024}
    assert report.arms[0].tasks["cola"].n == 3
    assert {d.paired.n for d in report.differences if d.measure == "nlu_avg"} == {2}
    assert [(f.arm, f.task, f.seed, f.kind) for f in report.failures] == [
        ("plain-lora", "gsm8k", 1024, "TrainingError")
    ]
    assert report.cautions[0] == "3 planned runs without a result: only seeds with every task count for an average."
    text = draw(report)
    assert "| runs | 36 | 33 | 1 | 1 | 1 |" in text
    error = r"| TrainingError: loss is NaN at step 3 \| spectral | plain-lora | gsm8k | 1024 | "
    assert f"{error}{failed} | 1 |" in text
    assert "- run.json: torn" in text


def test_a_study_without_any_result_says_so() -> None:
    report = report_of(plan_of(), {})
    assert "no seed in common" in report.answer
    assert report.arms[0].averages["nlu_avg"].mean is None
    assert "| **ba-lora** | the base of all changes; the reference of all comparisons | – | – | – | 0 |" in draw(report)


def test_one_seed_claims_nothing_about_spread() -> None:
    plan = plan_of(seeds=1)
    report = report_of(plan, records(plan, additive))
    assert any("1 seed: spread, intervals and p cannot be computed: use" in one for one in report.cautions)
    assert {d.paired.verdict for d in report.differences} == {"cannot tell: one seed"}
    assert "±" not in draw(report).replace("mean ± standard deviation", "")


def test_too_few_seeds_cannot_confirm_and_enough_can() -> None:
    report = report_of(plan_of(), records(plan_of(), additive))
    assert any(
        "3 seeds: the exact test cannot give a p below 0.25, which over a family of 6 comparisons cannot reach 0.05: "
        "use at least 8 seeds" in caution
        for caution in report.cautions
    )
    many = plan_of(seeds=8)
    report = report_of(many, records(many, lambda a, t, s: {"ba-lora": 3.0, "plain-lora": 1.0 + s % 7 / 9}.get(a, 2.0)))
    assert any("the smallest p that the exact test can give is 0.0078" in caution for caution in report.cautions)
    assert {d.arm: d.paired.verdict for d in report.differences if d.measure == "nlu_avg"}["plain-lora"] == "hurts"


def test_a_score_of_nothing_points_to_the_loss() -> None:
    plan = plan_of()
    runs = records(plan, lambda a, t, s: 0.0 if t == "gsm8k" else additive(a, t, s))
    report = report_of(plan, runs)
    assert any("NLG Avg is 0 for every arm" in caution for caution in report.cautions)
    assert "the same in every seed for" in report.answer


def test_terms_inactive_ones_notes_and_cost() -> None:
    report = report_of(plan_of(), records(plan_of(), additive))
    assert {(s.arm, s.family, s.runs, s.gradient_share) for s in report.shares if s.arm == "ba-lora"} == {
        ("ba-lora", "nlu", 6, 0.02),
        ("ba-lora", "nlg", 3, 0.02),
    }
    assert [(i.term, i.tasks, i.runs, len(i.arms)) for i in report.inactive] == [("spectral", ("cola",), 12, 4)]
    assert [asdict(note) for note in report.notes] == [{"text": "42 of 9.5e3 rows left out", "runs": 36, "variants": 3}]
    assert {(c.arm, c.runs, c.seconds, c.train_seconds) for c in report.costs if c.arm == "ba-lora"} == {
        ("ba-lora", 9, 3.5, 2.0)
    }


def test_markdown_shows_what_the_records_hold() -> None:
    text = draw(report_of(plan_of(), records(plan_of(), additive)))
    for part in (
        "**Question.** Does BA-LoRA's gain come from PiSSA",
        " of all comparisons; learning rate 0.001 | 63.33 ± 3.51 | 43.33 ± 3.51 | 4.3333 ± 0.3512 | 3 |",
        "| plain-lora | NLU Avg | cannot tell: needs about 8 seeds | −11.00 | −11.00 to −11.00 | 0.25 | 1 | 3 |",
        "Corrected p: Holm over a family of 6 comparisons; – is in no family, and judged by its own p.",
        "if it is at least its margin of 1 of 100 points (0.01 nats/token of answer loss).",
        "| plain-lora | replace PiSSA initialization and all regularizers by standard LoRA",
        "Not found by name, and so not in the averages: mnli.",
        "| arm | cola (matthews\\_correlation) |",
        "| **ba-lora** | 53.33 ± 3.51 | 73.33 ± 3.51 |",
        "### Answer loss of each task, nats/token: mean ± standard deviation over seeds",
        "| spectral | cola | ba-lora, standard-initialization, no-regularizers, plain-lora | k ≥ D | 12 |",
        "balora study run x",
        "3 seeds: 42, 1024, 2024 · 4 arms, 3 tasks · 36 of 36 runs finished · model a/model, profile glance",
    ):
        assert part in text, part


def test_text_from_files_stays_text() -> None:
    assert escape("<script>|a_b*`\n# x[1](y)") == r"\<script\>\|a\_b\*\`\\n\# x\[1\](y)"
    assert escape("{{ x }} ${y} {% z %}") == r"\{\{ x \}\} \$\{y\} \{% z %\}"
    plan = plan_of()
    study = plan.study.replace(question="Is <script>alert(1)</script> | safe?")
    text = draw(report_of(plan._replace(study=study), {}))
    assert r"Is \<script\>alert(1)\</script\> \| safe?" in text
    assert "<script>" not in text.replace(r"\<script\>", "")


def test_read_from_a_folder_it_is_the_same_report(tmp_path: Path) -> None:
    plan = plan_of()
    runs = records(plan, additive)
    write_study(tmp_path, plan, runs)
    assert read_report(tmp_path) == build(describe(plan, "balora study run x"), runs, {})
    torn = tmp_path / plan.runs[0].folder / "run.json"
    torn.write_text("{")
    report = read_report(tmp_path)
    assert report.counts.unreadable == 1
    assert report.unreadable[0].startswith(f"{plan.runs[0].folder}/run.json: "), "no path of this machine"
    assert str(tmp_path) not in str(report)
    with pytest.raises(InputError, match="no study here"):
        read_report(tmp_path / "runs")


def test_every_number_survives_json() -> None:
    report = report_of(plan_of(), records(plan_of(), additive))
    content = json.loads(json.dumps(asdict(report), allow_nan=False))
    assert content["arms"][0]["averages"]["nlu_avg"]["mean"] == report.arms[0].averages["nlu_avg"].mean
    assert content["differences"][0]["paired"]["verdict"] == report.differences[0].paired.verdict


def test_records_of_different_library_versions_are_pointed_out() -> None:
    plan = plan_of()
    runs = records(plan, additive)
    assert not any("library versions" in caution for caution in report_of(plan, runs).cautions)
    first = plan.runs[0].id
    runs[first] = runs[first].replace(versions={"torch": "2.6"})
    (said,) = [caution for caution in report_of(plan, runs).cautions if "library versions" in caution]
    assert said.endswith("(runs in brackets): torch 2.6 (1), not recorded (35).")


def test_runs_of_several_processors_are_pointed_out_and_named_among_what_repeats_the_study() -> None:
    plan = plan_of()
    runs = {run: record.replace(versions={"processor": "this one"}) for run, record in records(plan, additive).items()}
    report = report_of(plan, runs)
    assert report.versions["processor"] == "this one"
    assert not any("processor" in caution for caution in report.cautions)
    first = plan.runs[0].id
    runs[first] = runs[first].replace(versions={"processor": "another"})
    report = report_of(plan, runs)
    assert report.versions["processor"] == "another and this one"
    assert any("processors (runs in brackets): processor another (1), this one (35)." in it for it in report.cautions)


def test_only_the_declared_metrics_are_compared() -> None:
    plan = plan_of()
    study = plan.study.replace(metrics=("nlu_avg",))
    report = report_of(plan._replace(study=study), records(plan, additive))
    assert report.measures == ("nlu_avg",)
    assert {difference.measure for difference in report.differences} == {"nlu_avg"}
    assert "NLG" not in report.answer


def test_a_study_without_a_seed_says_what_cannot_be_said() -> None:
    plan = plan_of(seeds=0)
    assert "seeds    none: nothing is run\n" in plan_text(describe_plan(plan, Costs([])))
    report = report_of(plan, {})
    assert {one.paired.verdict for one in report.differences} == {"cannot tell: no seed in common"}
    assert any("spread, intervals and p cannot be computed" in caution for caution in report.cautions)
    assert "– | – | – | 0 |" in draw(report)


def test_studies_and_plans_are_listed_for_people() -> None:
    assert "Does BA-LoRA's gain come from PiSSA" in studies_text(list_studies())
    text = plan_text(describe_plan(plan_of(), Costs([])))
    assert "runs     36\n" in text
    assert re.search(
        r"plain-lora +adapter.init=standard, objective.preset=none; method lora; learning rate 0.002\n", text
    )
    assert text.count("\n") > 36
    assert text.count("learning rate 0.001") == text.count("learning rate 0.002") == 2  # one for each start


def test_a_plan_says_each_thing_about_an_arm_once() -> None:
    text = plan_text(describe_plan(prepare("ranks", profile="glance"), Costs([])))
    assert re.search(r"method=pissa · adapter.rank=2  +learning rate 0.002 \(NLU\), 0.001 \(NLG\)\n", text)
    assert text.count("adapter.rank=2\n") == 12  # a line a run: 3 methods, 2 tasks, 2 blocks


def test_weights_chosen_by_the_scored_rows_are_a_caution() -> None:
    plan = plan_of()
    runs = records(plan, additive)
    assert not any("optimistic" in caution for caution in report_of(plan, runs).cautions)

    def best(run: RunRecord) -> RunRecord:
        training = run.spec.training.replace(keep="best", evaluate_every=1)
        return run.model_copy(update={"spec": run.spec.model_copy(update={"training": training})})

    first = next(iter(runs))
    some = report_of(plan, {**runs, first: best(runs[first])}).cautions
    (said,) = [caution for caution in some if "optimistic" in caution]
    assert said.startswith("1 run kept the weights that scored best on the rows that are scored")
    assert "differences between these arms and the others favour these" in said
    (said,) = [c for c in report_of(plan, {id: best(run) for id, run in runs.items()}).cautions if "optimistic" in c]
    assert said.endswith("(training.keep: best), so that scores are optimistic.")


MATCHED = """
study: steps
question: q
base: {method: lora}
arms: {matched: {set: {training.step_matching: pissa}}, pissa: {set: {adapter.init: pissa}}}
"""


def test_an_arm_whose_runs_have_rates_of_their_own_shows_their_range() -> None:
    plan = make_plan(read_study(MATCHED, "x"), Choices("a/model", seeds=4), TASKS, prints)
    runs = records(plan, lambda arm, task, seed: 50.0)
    found = {"cola": (0.0031, 0.0052, 0.0044, 0.0027), "gsm8k": (0.011, 0.011, 0.0123, 0.011), "rte": (0.003,) * 4}
    for task, rates in found.items():
        of_arm = [run for run in plan.runs if (run.arm, run.task) == ("matched", task)]
        for run, rate in zip(of_arm, rates, strict=True):
            runs[run.id] = runs[run.id].replace(learning_rate=rate)
    report = report_of(plan, runs)
    assert [arm.rates for arm in report.arms] == [
        {"nlu": (1e-3,), "nlg": (1e-3,)},
        {"nlu": (0.0027, 0.003, 0.0031, 0.0044, 0.0052), "nlg": (0.011, 0.0123)},
        {"nlu": (1e-3,), "nlg": (1e-3,)},
    ]
    assert "learning rate 0.0027 to 0.0052 (NLU), 0.011 and 0.0123 (NLG)" in draw(report)


def test_a_plan_names_the_arms_whose_rates_are_still_to_be_rescaled() -> None:
    plan = make_plan(read_study(MATCHED, "x"), Choices("a/model", seeds=1), TASKS, prints)
    lines = plan_text(describe_plan(plan, Costs([]))).splitlines()
    arms = lines.index("arms")
    assert [line.split("; ", 1)[1] for line in lines[arms + 1 : arms + 4]] == [
        "method lora; learning rate 0.001",
        "learning rate 0.001; rescaled in each run to match PiSSA's first steps",
        "learning rate 0.001",
    ]
