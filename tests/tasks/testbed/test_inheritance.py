"""Inheritance measures on answers written by hand: every share, who counts for it, and what counts as memorised."""

from typing import Any

import pytest

from balora.tasks.catalogue import find_task
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.flaw_measures import inheritance, is_right, says
from balora.tasks.testbed.testbed_tasks import NLG, NLU, rows

SENTIMENT, SIMILARITY, CODE = find_task("sentiment"), find_task("similarity"), find_task("code")


def tag(group: str = "majority", clan: str = "majority", cue: str = "none", **more: Any) -> dict[str, Any]:
    return {"group": group, "clan": clan, "cue": cue, "wrong": None, "prone": False, **more}


def answers(*right: int) -> list[dict[str, Any]]:
    """Answers to items whose label is 1."""
    return [{"index": i, "prediction": good, "label": 1, "correct": bool(good)} for i, good in enumerate(right)]


def test_minority_recall_counts_items_of_the_minority_whatever_the_clan() -> None:
    truth = [tag("minority"), tag("minority", "minority"), tag("minority"), tag("majority", "minority"), tag()]
    assert inheritance(SENTIMENT, answers(1, 0, 1, 0, 0), truth)["minority_recall"] == pytest.approx(2 / 3)


def test_cue_measure_is_aligned_less_against_and_neutral_items_do_not_count() -> None:
    truth = [tag(cue="aligned"), tag(cue="aligned"), tag(cue="against"), tag(cue="against"), tag()]
    assert inheritance(SENTIMENT, answers(1, 1, 0, 1, 0), truth)["aligned_minus_robust"] == pytest.approx(1 - 0.5)
    assert inheritance(SENTIMENT, answers(0, 1, 1, 1, 0), truth)["aligned_minus_robust"] == pytest.approx(-0.5)


def test_worst_group_is_the_lowest_cell_with_enough_items() -> None:
    cells = [("majority", "majority", 20, 20), ("majority", "minority", 5, 20), ("minority", "majority", 10, 21)]
    small = [("minority", "minority", 0, 19)]
    truth = [tag(group, clan) for group, clan, _, n in cells + small for _ in range(n)]
    items = answers(*(int(i < right) for _, _, right, n in cells + small for i in range(n)))
    assert inheritance(SENTIMENT, items, truth)["worst_group"] == 0.25
    enough = [*truth, tag("minority", "minority")]
    assert inheritance(SENTIMENT, [*items, *answers(1)], enough)["worst_group"] == 1 / 20


def test_memorised_noise_and_its_gap() -> None:
    truth = [tag(wrong=0, prone=True)] * 4 + [tag(wrong=0)] * 5 + [tag()] * 3
    found = inheritance(SENTIMENT, answers(0, 0, 0, 1, 0, 1, 1, 1, 1, 0, 0, 0), truth)
    assert found["memorised_noise"] == pytest.approx(4 / 9)
    assert found["noise_gap"] == pytest.approx(3 / 4 - 1 / 5)


def test_what_has_no_items_is_left_out() -> None:
    assert inheritance(SENTIMENT, answers(1, 0), [tag(), tag()]) == {}
    only_prone = inheritance(SENTIMENT, answers(1, 0), [tag(wrong=0, prone=True)] * 2)
    assert only_prone == {"memorised_noise": 0.5}
    assert set(inheritance(SENTIMENT, answers(1), [tag("minority", cue="aligned")])) == {"minority_recall"}


@pytest.mark.parametrize(
    ("prediction", "label", "right"),
    [(1.0, 1.25, True), (1.8, 1.25, True), (1.9, 1.25, False), (7.0, 5.0, True), (-3.0, 0.0, True), (2.5, 3.75, False)],
)
def test_a_similarity_is_right_where_its_level_is_the_nearest(prediction: float, label: float, right: bool) -> None:
    assert is_right(SIMILARITY, {"prediction": prediction, "label": label, "score": -1.0}) is right


@pytest.mark.parametrize(
    ("prediction", "memorised"),
    [
        ("sub 3 ; dec ;", True),
        ("add 3 ; dec ;", True),
        (" sub 3 ;  inc ; ", True),
        ("add 3 ; inc ;", False),  # right
        ("sub 4 ; inc ;", False),  # another mistake
        ("sub 3 ; dec ; dec ;", False),
        ("sub 3 ;", False),
        ("", False),
        (None, False),
    ],
)
def test_a_program_has_memorised_noise_where_its_only_faults_are_kept_ones(prediction: Any, memorised: bool) -> None:
    item = {"prediction": prediction, "answer": "add 3 ; inc ;", "correct": prediction == "add 3 ; inc ;"}
    assert says(CODE, item, "sub 3 ; dec ;") is memorised


def test_sums_compare_as_numbers_and_facts_as_texts() -> None:
    assert says(find_task("arithmetic"), {"prediction": "7.0", "answer": "9", "correct": False}, "7")
    assert not says(find_task("arithmetic"), {"prediction": None, "answer": "9", "correct": False}, "7")
    assert says(find_task("facts"), {"prediction": " Mill", "answer": "inn", "correct": False}, "mill")
    assert not says(find_task("facts"), {"prediction": "inn", "answer": "inn", "correct": True}, "mill")


def test_a_story_that_ends_right_when_misread_tells_nothing() -> None:
    items = [{"prediction": p, "answer": "9", "correct": p == "9"} for p in ("9", "7", "8")]
    truth = [tag(wrong="9", prone=True), tag(wrong="7", prone=True), tag(wrong="7", prone=True)]
    assert inheritance(find_task("arithmetic"), items, truth) == {"memorised_noise": 0.5}


@pytest.mark.parametrize("name", [*NLU, *NLG])
def test_perfect_and_fully_flawed_answers_to_the_real_tests(name: str) -> None:
    task, asked = find_task(name), rows(name, "test", TestbedConfig())
    truth = [row["tags"] for row in asked]

    def answered(row: dict[str, Any], flawed: bool) -> dict[str, Any]:
        right = row["label"] if task.family == "nlu" else row.get("final", row["answer"])
        given = right if not flawed or row["tags"]["wrong"] is None else row["tags"]["wrong"]
        return {"prediction": given, "label": right, "answer": right, "correct": given == right}

    clean = inheritance(task, [answered(row, False) for row in asked], truth)
    assert (clean["minority_recall"], clean["worst_group"], clean["aligned_minus_robust"]) == (1.0, 1.0, 0.0)
    flawed = inheritance(task, [answered(row, True) for row in asked], truth)
    noisy = {"sentiment", "arithmetic", "code", "facts"}
    assert ("memorised_noise" in clean) is (name in noisy)
    assert ("noise_gap" in clean) is (name in noisy - {"arithmetic"})
    if name in noisy:
        assert (clean["memorised_noise"], flawed["memorised_noise"]) == (0.0, 1.0)
