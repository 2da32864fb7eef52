"""The answer in sentences: every verdict and action on a literal, never more than the data allow, and never many."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from report_cases import (
    TASKS,
    Score,
    additive,
    plan_of,
    prints,
    record_of,
    records,
    report_of,
    rich,
    rich_page,
    study_of,
)

from balora.cli.output import json_text
from balora.report.markdown import draw
from balora.report.records.answer_sentences import CERTAIN, UNCORRECTED, Asked, answer_sentences, sentence
from balora.report.records.measures import MEASURES
from balora.report.records.report import Report
from balora.statistics import Comparison, Paired, Verdict, compare, compare_family
from balora.study.design.study import Study
from balora.study.plan.plan import Choices, Plan, make_plan
from balora.study.plan.prepare import prepare

REMOVED = "Removing the regularizers"
FOUND = Comparison(8, -0.75, -1.34, -0.15, 0.008, 0.0078, Verdict.HURTS, 0.024, needed=12, family=3)
RAISED = replace(FOUND, mean=0.75, low=0.15, high=1.34, verdict=Verdict.HELPS)


def asked(paired: Comparison, action: str = "remove", measure: str = "nlg_avg", **other: Any) -> Asked:
    one = MEASURES[measure]
    fields = {"subject": REMOVED, "blocks": "16 models", "noun": "model", "margin": one.margin(1.0), **other}
    return Asked(action=action, measure=one, paired=paired, **fields)


@pytest.mark.parametrize(
    ("paired", "expected"),
    [
        (
            FOUND,
            f"{REMOVED} lowered NLG Avg by 0.75 points (−1.34 to −0.15, 16 models): what was removed helps, and chance "
            "does not explain it.",
        ),
        (
            replace(FOUND, low=-0.99),
            f"{REMOVED} lowered NLG Avg by 0.75 points (−0.99 to −0.15, 16 models): what was removed helps, by too "
            "little to matter, and chance does not explain it.",
        ),
        (
            replace(FOUND, mean=-1.0, low=-1.0, high=-1.0),
            f"{REMOVED} lowered NLG Avg by 1.00 points (−1.00 to −1.00, 16 models): what was removed helps, and chance "
            "does not explain it.",
        ),
        (
            replace(FOUND, family=None, adjusted_p=None),
            f"{REMOVED} lowered NLG Avg by 0.75 points (−1.34 to −0.15, 16 models): what was removed helps, but this "
            "is not corrected for several comparisons.",
        ),
        (
            RAISED,
            f"{REMOVED} raised NLG Avg by 0.75 points (+0.15 to +1.34, 16 models): what was removed hurts, and chance "
            "does not explain it.",
        ),
        (
            replace(RAISED, verdict=Verdict.ABOVE),
            f"{REMOVED} raised NLG Avg by 0.75 points (+0.15 to +1.34, 16 models): this is higher, and chance does not "
            "explain it.",
        ),
        (
            replace(FOUND, verdict=Verdict.BELOW),
            f"{REMOVED} lowered NLG Avg by 0.75 points (−1.34 to −0.15, 16 models): this is lower, and chance does not "
            "explain it.",
        ),
        (
            replace(FOUND, mean=-0.3, low=-0.8, high=0.2, verdict=Verdict.BOUNDED, bound=0.8),
            f"{REMOVED} changed NLG Avg by −0.30 points (−0.80 to +0.20, 16 models): no difference that matters.",
        ),
        (
            replace(FOUND, mean=0.3, low=-2.2, high=2.8, verdict=Verdict.UNDECIDED, needed=1234),
            f"{REMOVED} changed NLG Avg by +0.30 points (−2.20 to +2.80, 16 models): cannot tell; about 1,234 models "
            "would.",
        ),
        (
            replace(FOUND, verdict=Verdict.UNDECIDED, adjusted_p=0.0612, needed=18),
            f"{REMOVED} changed NLG Avg by −0.75 points (−1.34 to −0.15, 16 models): cannot tell (p = 0.061 after "
            "correction for 3 comparisons); about 18 models would.",
        ),
        (
            replace(RAISED, verdict=Verdict.UNDECIDED, p=0.125, adjusted_p=None, family=None, needed=18),
            f"{REMOVED} changed NLG Avg by +0.75 points (+0.15 to +1.34, 16 models): cannot tell (p = 0.12); about 18 "
            "models would.",
        ),
        (
            replace(RAISED, verdict=Verdict.UNDECIDED, p=0.125, adjusted_p=0.125, family=1, needed=18),
            f"{REMOVED} changed NLG Avg by +0.75 points (+0.15 to +1.34, 16 models): cannot tell (p = 0.12); about 18 "
            "models would.",
        ),
        (
            replace(FOUND, low=-2.0, high=0.5, verdict=Verdict.UNDECIDED, needed=None),
            f"{REMOVED} changed NLG Avg by −0.75 points (−2.00 to +0.50, 16 models): cannot tell, and with this many "
            "comparisons no number of models would.",
        ),
        (
            replace(FOUND, mean=0.0, low=0.0, high=0.0, verdict=Verdict.SAME),
            f"{REMOVED} left NLG Avg exactly the same in each of 16 models.",
        ),
    ],
)
def test_each_verdict_is_said_with_its_numbers(paired: Comparison, expected: str) -> None:
    assert sentence(asked(paired)) == expected


def test_one_block_and_none_are_said_as_they_are() -> None:
    one = compare(Paired([-0.3], 1.0))
    assert sentence(asked(one, blocks="1 seed", noun="seed")) == (
        f"{REMOVED} changed NLG Avg by −0.30 points (1 seed): cannot tell from one seed."
    )
    none = compare(Paired([], 1.0))
    assert sentence(asked(none, subject="Replacing a by b, as published,", noun="block")) == (
        "Replacing a by b, as published: NLG Avg cannot be compared, because no block has finished in both arms."
    )


def test_every_verdict_has_a_sentence() -> None:
    said = {sentence(asked(replace(FOUND, verdict=verdict))) for verdict in Verdict}
    assert len(said) == len(Verdict)


@pytest.mark.parametrize(
    ("action", "helps", "hurts"),
    [
        ("remove", "what was removed hurts", "what was removed helps"),
        ("replace", "the replacement is better", "the replacement is worse"),
        ("add", "the addition helps", "the addition hurts"),
        ("", "this is better", "this is worse"),
    ],
)
def test_what_helps_depends_on_what_was_done(action: str, helps: str, hurts: str) -> None:
    assert sentence(asked(RAISED, action)).endswith(f": {helps}, {CERTAIN}.")
    assert sentence(asked(FOUND, action)).endswith(f": {hurts}, {CERTAIN}.")
    loss = replace(RAISED, verdict=Verdict.HURTS, family=None)
    assert sentence(asked(loss, action, "nlg_answer_loss")) == (
        f"{REMOVED} raised NLG answer loss (secondary) by 0.7500 nats/token (+0.1500 to +1.3400, 16 models): {hurts}, "
        f"but this is {UNCORRECTED}."
    )


def test_a_sentence_claims_no_more_than_interval_and_corrected_p() -> None:
    """Of random differences: certain only what is corrected and significant, unimportant only what lies within."""
    random, seen = np.random.default_rng(0), set()
    for _ in range(100):
        n, spread = int(random.integers(2, 12)), float(random.choice([0.1, 0.4, 2.0]))
        family = [Paired(random.normal(random.choice([0, 0.5, 2]), spread, n).tolist(), 1.0) for _ in range(3)]
        for paired in (*compare_family(family), *map(compare, family)):
            said = sentence(asked(paired))
            assert paired.low is not None
            assert paired.high is not None
            corrected = paired.adjusted_p is not None and paired.adjusted_p <= 0.05
            excludes = paired.low > 0 or paired.high < 0
            assert (CERTAIN in said) == (corrected and excludes)
            assert (UNCORRECTED in said) == (
                paired.family is None and excludes and paired.p is not None and paired.p <= 0.05
            )
            within = paired.low >= -1.0 and paired.high <= 1.0
            assert ("no difference that matters" in said or "too little to matter" in said) == within
            assert ("raised" in said or "lowered" in said) == (CERTAIN in said or UNCORRECTED in said)
            seen.add(paired.verdict)
    assert len(seen) == 4, "helps, hurts, bounded and undecided"


def said(plan: Plan, score: Score) -> tuple[str, ...]:
    return report_of(plan, records(plan, score)).sentences


def flat(arm: str, task: str, seed: int) -> float:
    """Every other arm is 2 points below the base, in every seed."""
    return 50 + seed % 11 - 2 * (arm not in ("ba-lora", "warm"))


ABLATIONS: list[tuple[dict[str, str], str]] = [
    ({"part": "the head", "action": "remove"}, "Removing the head changed"),
    ({"part": "L2 to the start.", "action": "add"}, "Adding L2 to the start changed"),
    ({"part": "a\n thing", "action": "replace", "replacement": "b (B zero)"}, "Replacing a thing by b changed"),
    ({"part": "a", "action": "replace", "replacement": "(b)"}, "Replacing a by (b) changed"),
    ({"part": "a", "action": "replace", "replacement": "b (c (d) e) f"}, "Replacing a by b (c (d) e) f changed"),
    ({"part": "a, as it was", "action": "replace", "replacement": "b"}, "Replacing a, as it was, by b changed"),
    ({"part": "a", "action": "replace", "replacement": "b, all of it"}, "Replacing a by b, all of it, changed"),
    ({"part": "the head, as it was", "action": "remove"}, "Removing the head, as it was, changed"),
    ({"part": "a, b and c", "action": "replace", "replacement": "d, e and f"}, "Replacing a, b and c by d, e and f ch"),
    ({"part": "p" * 999, "action": "remove"}, f"Removing {'p' * 75}… (899 more characters) …{'p' * 25} changed"),
]


@pytest.mark.parametrize(("ablation", "start"), ABLATIONS, ids=[start for _, start in ABLATIONS])
def test_the_subject_is_what_the_study_file_says_was_ablated(ablation: dict[str, str], start: str) -> None:
    plan = study_of({"x": {"set": {"adapter.rank": 4}, "ablation": ablation}})
    found = said(plan, flat)
    assert any(sentence.startswith(start) for sentence in found[:2]), found[:2]  # one may be about the learning rate
    assert len(found) == 3, "two averages and the margin"


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        ({"adapter.rank": 4}, "Setting adapter.rank to 4 "),
        (
            {"objective.scale": 10.0, "adapter.init": "standard"},
            "Setting objective.scale to 10 and adapter.init to sta",
        ),
        ({"adapter.rank": 4, "adapter.alpha": 8, "objective.scale": 2}, "The arm x "),
        ({"adapter.target_modules": ["q_proj"]}, "The arm x "),
    ],
    ids=str,
)
def test_without_an_ablation_it_is_the_settings_or_the_name(settings: dict[str, Any], start: str) -> None:
    found = said(study_of({"x": {"set": settings}}), flat)
    first = next(sentence for sentence in found if not sentence.startswith("All arms have one learning rate"))
    assert first.startswith(start), first
    assert ": cannot tell (p = 0.5 after correction for 2 comparisons); about 7 seeds would." in first or (
        ": cannot tell (p = 0.25" in first
    )


def test_a_cell_of_a_factorial_has_its_name() -> None:
    factors = {
        "rank": {"low": {"adapter.rank": 2}, "high": {}},
        "terms": {"on": {}, "off": {"objective.preset": "none"}},
    }
    plan = study_of({}, factors=factors)
    assert [line.partition(" changed")[0] for line in said(plan, flat)[:3]] == [
        "The arm low · on",
        "The arm low · off",
        "The arm high · off",
    ]


def test_a_setting_names_no_folder_and_a_switch_is_written_as_in_yaml() -> None:
    plan = study_of({"x": {"set": {"adapter.rank": 4}}})
    report = report_of(plan, records(plan, flat))
    base, arm = report.arms
    changes = {"model": "/home/ann/models/tiny", "training": {"pack": True}}
    found = answer_sentences(record_of(plan), (base, replace(arm, changes=changes)), report.differences)
    assert found[0].startswith("Setting model to tiny and training.pack to true changed")


def test_against_another_arm_than_the_base_each_arm_has_its_name() -> None:
    """An ablation is worded against the base: beside another reference it would not say what the difference is of."""
    arms = {
        "warm": {"set": {"adapter.rank": 4}},
        "cold": {"set": {"adapter.rank": 2}, "ablation": {"part": "most ranks", "action": "remove"}},
    }
    study = Study(study="made-up", question="What if?", base="ba-lora", arms=arms, against="warm")
    plan = make_plan(study, Choices("a/model", seeds=8), TASKS, prints)
    found = said(plan, lambda arm, task, seed: flat(arm, task, seed) - (arm == "ba-lora") + seed % 3 * (arm == "warm"))
    assert found[0].startswith("Compared with warm, the arm ba-lora lowered NLU Avg by 1.88 points (")
    assert found[1].startswith("Compared with warm, the arm cold lowered NLU Avg by 2.88 points (")
    assert found[1].endswith(f"8 seeds): this is worse, {CERTAIN}.")
    assert not any("most ranks" in line for line in found)


def test_arms_of_the_same_words_are_told_apart_by_name() -> None:
    ablation = {"part": "a", "action": "replace"}
    arms = {
        "one": {"set": {"adapter.rank": 4}, "ablation": {**ablation, "replacement": "b, scaled (by 1)"}},
        "two": {"set": {"adapter.rank": 2}, "ablation": {**ablation, "replacement": "b, scaled (by 2)"}},
        "three": {"set": {"adapter.rank": 3}, "ablation": {**ablation, "replacement": "c"}},
    }
    found = said(study_of(arms), flat)
    assert [line.partition(" changed")[0] for line in found[:3]] == [
        "Replacing a by b, scaled (one),",
        "Replacing a by b, scaled (two),",
        "Replacing a by c",
    ]


def test_long_names_are_shortened() -> None:
    arms = {"y" * 200: {"set": {"adapter.rank": 2, "adapter.alpha": 3, "objective.scale": 3}}}
    (first, *_) = said(study_of(arms), flat)
    assert first.startswith(f"The arm {'y' * 75}… (100 more characters) …{'y' * 25} changed NLU Avg")


def test_on_the_testbed_models_are_counted_and_elsewhere_seeds() -> None:
    quick = prepare("pissa-initialization", profile="quick", seeds=8)
    assert "8 blocks on 4 models)" in said(quick, additive_of_all)[0]
    assert said(quick, lambda a, t, s: 7.0)[0].endswith("the same in each of 8 blocks on 4 models.")
    assert ", 3 models)" in said(prepare("pissa-initialization", profile="standard", seeds=3), additive_of_all)[0]
    assert said(plan_of(seeds=1), additive)[0].endswith("(1 seed): cannot tell from one seed.")


def additive_of_all(arm: str, task: str, seed: int) -> float:
    return 50 + len(arm) / 3 + seed % 7 * (arm != "ba-lora") + len(task) % 3


def test_only_the_blocks_that_both_arms_finished_are_counted() -> None:
    plan = prepare("pissa-initialization", profile="quick", seeds=8)
    runs = records(plan, additive_of_all)
    gone = [run for run in plan.runs if run.arm == "no-regularizers" and run.seed not in (42, 1024, 5024)]
    for run in gone:
        del runs[run.id]
    found = report_of(plan, runs).sentences
    assert "8 blocks on 4 models)" in found[0]
    assert ", 3 blocks on 2 models)" in next(line for line in found if line.startswith("Removing")), "5024 shares 42's"


def test_without_a_finished_pair_there_is_one_sentence() -> None:
    assert report_of(plan_of(), {}).sentences == (
        "Nothing can be compared: no seed has finished in ba-lora and in another arm.",
    )


def test_where_every_average_is_zero_the_answer_loss_stands_in() -> None:
    plan = plan_of()
    runs = records(plan, lambda a, t, s: additive(a, t, s) * (t != "gsm8k"))
    for run in plan.runs:
        if run.task == "gsm8k":
            loss = 4 + (run.arm == "plain-lora") / 2 + run.seed % 9 / 99
            runs[run.id] = runs[run.id].replace(metrics={"answer_loss": loss})
    found = report_of(plan, runs).sentences
    assert found[0] == "NLG Avg cannot show a difference here: it is 0 in every seed of every arm."
    assert len(found) == 1 + 3 + 3 + 1
    assert found[4] == (
        "Replacing PiSSA initialization by standard LoRA at its own best learning rate left NLG answer loss "
        "(secondary) exactly the same in each of 3 seeds."
    )
    assert found[6] == (
        "Replacing PiSSA initialization and all regularizers by standard LoRA with the task loss alone changed NLG "
        "answer loss (secondary) by +0.5000 nats/token (+0.5000 to +0.5000, 3 seeds): cannot tell (p = 0.25); about 6 "
        "seeds would."
    )
    assert found[-1] == "A difference matters from 1 point (0.01 nats/token) on, which is the study's margin."
    solved = records(plan, lambda a, t, s: additive(a, t, s) * (t != "gsm8k" or a == "plain-lora"))
    assert not any("answer loss" in line for line in report_of(plan, solved).sentences)


def test_nothing_but_zeros_is_said_in_one_sentence_an_average() -> None:
    plan = study_of({"x": {"set": {"adapter.rank": 4}}}, metrics=["nlu_avg"])
    assert said(plan, lambda arm, task, seed: 0.0) == (
        "NLU Avg cannot show a difference here: it is 0 in every seed of every arm.",
    )


def test_the_margin_is_the_study_s() -> None:
    plan = study_of({"x": {"set": {"adapter.rank": 4}}}, margin=2.5)
    assert said(plan, flat)[-1] == "A difference matters from 2.5 points on, which is the study's margin."


def many(family: list[str] | None = None, seeds: int = 8) -> Report:
    """Ranks 2 to 40; ranks 2, 3 and 4 lose 9, 30 and 12 points, and every other one is noise about 0."""
    arms = {f"rank-{rank}": {"set": {"adapter.rank": rank}} for rank in (2, 3, 4, 20, 30, 40)}
    study = Study(
        study="s", question="?", base="ba-lora", arms=arms, family=family, metrics=("nlu_avg",), suites=("nlu",)
    )
    plan = make_plan(study, Choices("a/model", seeds=seeds), TASKS._replace(present=("cola", "rte")), prints)
    lost = {"rank-2": 9.0, "rank-3": 30.0, "rank-4": 12.0}
    random = np.random.default_rng(1)
    noise = {(run.arm, run.seed): random.normal(0, 3) * (run.arm != "ba-lora") for run in plan.runs}
    return report_of(plan, records(plan, lambda a, t, s: 50 + s % 11 - lost.get(a, 0) + noise[a, s]))


def test_many_arms_have_six_sentences_the_confirmed_and_largest_first() -> None:
    arms = {f"rank-{rank}": {"set": {"adapter.rank": rank}} for rank in range(17, 36)}
    plan = study_of(arms)
    random = np.random.default_rng(3)
    noise = {(run.arm, run.seed): random.normal(0, 1) for run in plan.runs}
    report = report_of(plan, records(plan, lambda a, t, s: 50 + noise[a, s] * (a != "ba-lora")))
    assert len(report.sentences) == 8
    shown = [abs(float(line.split(" by ")[1].split(" ")[0].replace("−", "-"))) for line in report.sentences[:6]]
    primary = [one.paired for one in report.differences if one.measure != "nlg_answer_loss"]
    assert shown == [round(size, 2) for size in sorted((abs(one.mean or 0) for one in primary), reverse=True)[:6]]
    assert (
        report.sentences[6]
        == "The other 32 comparisons: 30 cannot tell, 2 no difference that matters; see the table of differences."
    )


def test_of_many_arms_the_declared_family_comes_first() -> None:
    free, declared = many().sentences, many(family=["rank-2", "rank-20"]).sentences
    of = [line.split(" changed")[0].split(" lowered")[0].split(" to ")[-1] for line in declared[:6]]
    assert of == ["2", "20", "3", "4", *of[4:]]
    assert declared[0].endswith(f", 8 seeds): this is worse, {CERTAIN}.")
    assert declared[2].endswith(f", 8 seeds): this is worse, but this is {UNCORRECTED}.")
    assert [line.split(" lowered")[0] for line in free[:3]] == [
        "Setting adapter.rank to 3",
        "Setting adapter.rank to 4",
        "Setting adapter.rank to 2",
    ]


def test_the_others_are_counted_by_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("balora.report.records.answer_sentences.MOST", 1)
    assert many(family=["rank-3"]).sentences[1:-1] == (
        "The other 5 comparisons: 3 cannot tell, 2 worse (not corrected for several comparisons); see the table of "
        "differences.",
    )
    monkeypatch.setattr("balora.report.records.answer_sentences.MOST", 5)
    assert many().sentences[5] == "The other comparison: cannot tell; see the table of differences."


def test_four_arms_have_all_their_sentences_and_five_have_six() -> None:
    four = {f"rank-{rank}": {"set": {"adapter.rank": rank}} for rank in (2, 3, 4, 20)}
    assert len(said(study_of(four), flat)) == 4 * 2 + 1
    assert len(said(study_of({**four, "rank-30": {"set": {"adapter.rank": 30}}}), flat)) == 6 + 2


def test_every_rendering_shows_the_sentences_above_the_answer_in_one() -> None:
    dossier = rich()
    report = dossier.report
    markdown, page = draw(report), rich_page()
    assert len(report.sentences) == 7
    listed = "\n".join(f"- {line}" for line in report.sentences)
    assert f"**Answer.**\n\n{listed}\n\n**In one sentence.** Compared with ba-lora over 8 seeds: in NLU" in markdown
    shown = page.split('<ul class="answer">')[1].split("</ul>")[0]
    assert [line.removeprefix("<li>") for line in shown.strip().split("</li>\n")] == [
        *(line.replace("'", "&#39;") + "</li>" * (line is report.sentences[-1]) for line in report.sentences)
    ]
    assert page.index('<ul class="answer">') < page.index('<p class="brief">Compared with ba-lora')
    assert json.loads(json_text(report))["sentences"] == list(report.sentences)
