"""Metrics against values worked out by hand, and the means made of them."""

import pytest

from balora.errors import InputError
from balora.tasks.catalogue import TASKS
from balora.tasks.scores import nlu_metrics, right_rows, suite_average, task_score

# Eight rows: 3 true positives, 1 false positive, 2 false negatives, 2 true negatives.
LABELS = [1, 1, 1, 1, 1, 0, 0, 0]
PREDICTIONS = [1, 1, 1, 0, 0, 1, 0, 0]


def test_accuracy_and_f1_of_the_positive_class() -> None:
    metrics, notes = nlu_metrics(TASKS["mrpc"], PREDICTIONS, LABELS)
    assert metrics == pytest.approx({"accuracy": 5 / 8, "f1": 6 / 9})  # of class 0 it would be 4/7
    assert notes == ()


def test_matthews_correlation_equals_its_formula() -> None:
    metrics, _ = nlu_metrics(TASKS["cola"], PREDICTIONS, LABELS)
    expected = (3 * 2 - 1 * 2) / (4 * 5 * 3 * 4) ** 0.5  # (TP·TN − FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN))
    assert metrics == pytest.approx({"matthews_correlation": expected})


def test_correlations_equal_their_formulas() -> None:
    metrics, _ = nlu_metrics(TASKS["stsb"], [1.0, 2.0, 9.0], [0.0, 1.0, 2.0])
    # predictions − mean = (−3, −2, 5); labels − mean = (−1, 0, 1): 8 / √(38·2)
    assert metrics == pytest.approx({"pearson": 8 / 76**0.5, "spearman": 1.0})


def test_accuracy_counts_right_rows_of_three_classes() -> None:
    assert nlu_metrics(TASKS["mnli"], [0, 1, 2, 2], [0, 1, 1, 2])[0] == {"accuracy": 0.75}


@pytest.mark.parametrize(("task", "metric"), [("cola", "matthews_correlation"), ("stsb", "pearson")])
def test_constant_predictions_count_as_nothing_with_a_note(task: str, metric: str) -> None:
    metrics, notes = nlu_metrics(TASKS[task], [1, 1, 1], [0, 1, 1])
    assert set(metrics.values()) == {0.0}
    assert notes[0] == f"{metric} is undefined (all 3 predictions are 1) and counts as 0"


def test_constant_labels_and_single_rows_count_as_nothing_with_a_note() -> None:
    assert nlu_metrics(TASKS["cola"], [0, 1], [1, 1]) == (
        {"matthews_correlation": 0.0},
        ("matthews_correlation is undefined (all 2 labels are 1) and counts as 0",),
    )
    metrics, notes = nlu_metrics(TASKS["stsb"], [3.5], [2.5])
    assert metrics == {"pearson": 0.0, "spearman": 0.0}
    assert notes[1] == "spearman is undefined (all 1 labels are 2.5) and counts as 0"


def test_f1_is_undefined_only_without_any_positive() -> None:
    assert nlu_metrics(TASKS["mrpc"], [0, 0], [0, 0]) == (
        {"accuracy": 1.0, "f1": 0.0},
        ("f1 is undefined (all 2 labels are 0) and counts as 0",),
    )
    assert nlu_metrics(TASKS["mrpc"], [0, 0], [0, 1]) == ({"accuracy": 0.5, "f1": 0.0}, ())


def test_nearly_constant_predictions_do_not_warn() -> None:
    metrics, _ = nlu_metrics(TASKS["stsb"], [1.0, 1.0, 1.0 + 2e-16], [0.0, 1.0, 2.0])
    assert -1 <= metrics["pearson"] <= 1


def test_scores_are_points_of_a_hundred() -> None:
    assert task_score(TASKS["mrpc"], {"accuracy": 0.5, "f1": 0.9}) == 50.0
    assert task_score(TASKS["stsb"], {"pearson": 0.25, "spearman": 0.9}) == 25.0
    assert task_score(TASKS["mrpc"]._replace(score=("accuracy", "f1")), {"accuracy": 0.5, "f1": 0.9}) == 70.0
    assert task_score(TASKS["gsm8k"], {"exact_match": 0.125, "answer_loss": 3.0}) == 12.5


BY_ROW = {"sst2", "mrpc", "rte", "mnli", "qnli", "qqp",
          "gsm8k", "math", "math500", "alpaca", "chat", "humaneval", "mbpp",
          "sentiment", "entailment", "paraphrase", "arithmetic", "code", "facts"}  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_right_rows_are_given_where_their_share_is_the_score(name: str) -> None:
    task = TASKS[name]
    verdict = "verified" if task.score == ("math_verify",) else "correct"
    items = [{verdict: guess == label} for guess, label in zip(PREDICTIONS, LABELS, strict=True)]
    right = right_rows(task, items)
    if name not in BY_ROW:  # correlations
        assert right is None
    else:
        assert right == [True, True, True, False, False, False, True, True]
    assert right_rows(task._replace(score=(*task.score, "f1")), items) is None


def test_right_rows_of_math_are_the_verified_ones() -> None:
    items = [{"correct": False, "verified": True}, {"correct": True, "verified": False}]
    assert right_rows(TASKS["math"], items) == [True, False]
    assert task_score(TASKS["math"], {"exact_match": 0.25, "math_verify": 0.5, "answer_loss": 1.0}) == 50.0


def test_right_rows_give_the_score_of_understanding_to_the_last_bit() -> None:
    for n in range(1, 40):
        labels, guesses = [1] * n, [int(row % 3 == 0) for row in range(n)]
        right = right_rows(TASKS["mrpc"], [{"correct": guess == 1} for guess in guesses])
        assert right is not None
        metrics, _ = nlu_metrics(TASKS["mrpc"], guesses, labels)
        assert task_score(TASKS["mrpc"], metrics) == 100 * (sum(right) / n)


def test_suite_average_is_the_plain_mean() -> None:
    assert suite_average({"cola": 10.0, "rte": 50.0, "sst2": 90.0}) == 50.0
    with pytest.raises(InputError, match="at least one task's score, got none"):
        suite_average({})
