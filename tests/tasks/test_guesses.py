"""What a guess scores on each task."""

import pytest

from balora.tasks.catalogue import TASKS, find_task
from balora.tasks.guesses import ANSWERS, guess_score
from balora.tasks.own_task import OwnTask
from balora.tasks.testbed.lexicon import ATTRIBUTES, LARGEST_NUMBER


@pytest.mark.parametrize(
    ("task", "points"),
    [
        ("acceptability", 0), ("sentiment", 50), ("entailment", 100 / 3), ("paraphrase", 50), ("similarity", 0),
        ("arithmetic", 100 / 21), ("code", 0), ("facts", 12.5),
        ("cola", 0), ("mnli", 100 / 3), ("mrpc", 50), ("stsb", 0), ("gsm8k", 0), ("humaneval", 0), ("mt_bench", 10),
    ],
)  # fmt: skip
def test_a_guess(task: str, points: float) -> None:
    assert guess_score(find_task(task)) == pytest.approx(points)


def test_the_testbed_has_as_many_answers_as_it_says() -> None:
    assert {len(values) for values in ATTRIBUTES.values()} == {ANSWERS["facts"]}
    assert ANSWERS["arithmetic"] == LARGEST_NUMBER + 1
    assert all(TASKS[name].source == "testbed" for name in ANSWERS)


def test_tasks_of_ones_own() -> None:
    common = {"task": "mine", "read": {"train": "a.csv", "validation": "b.csv"}}
    classes = OwnTask(**common, family="nlu", text="t", label="l", labels=("a", "b", "c", "d"), score="macro_f1")
    assert guess_score(classes.as_task()) == 25
    judged = OwnTask(**common, family="nlg", text="t", answer="a", score="judge")
    assert guess_score(judged.as_task()) == 10
    assert guess_score(OwnTask(**common, family="nlg", text="t", answer="a", score="exact_match").as_task()) == 0
