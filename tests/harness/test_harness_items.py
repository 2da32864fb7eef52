"""Samples become items: the main metric, verdicts, choices and hashes, on samples written by hand."""

import math
from typing import Any

import numpy as np
import pytest

from balora.errors import TrainingError
from balora.harness.harness_items import Metric, main_metric, task_items


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def perplexity(values: list[float]) -> float:
    return math.exp(-mean(values))


def choice(doc_id: int, likelihoods: list[float], target: Any = 0, **metrics: Any) -> dict[str, Any]:
    """Return a sample of a multiple-choice task as the harness logs it."""
    return {
        "doc_id": doc_id,
        "target": target,
        "arguments": [("Why?", f" end {number}") for number in range(len(likelihoods))],
        "resps": [[(value, False)] for value in likelihoods],
        "filtered_resps": [(value, False) for value in likelihoods],
        "filter": "none",
        "metrics": list(metrics),
        "doc_hash": f"d{doc_id}",
        "prompt_hash": f"p{doc_id}",
        "target_hash": f"t{doc_id}",
        **metrics,
    }


def said(doc_id: int, text: str, read: Any, filter_name: str, **metrics: Any) -> dict[str, Any]:
    """Return a sample of a generation task."""
    answer = {"resps": [[text]], "filtered_resps": [read], "filter": filter_name}
    return choice(doc_id, [], "42", **metrics) | answer | {"arguments": [("Why?", {"until": ["."]})]}


def test_the_first_metric_that_is_a_mean_is_the_main_one() -> None:
    sample = choice(0, [-1.0], perplexity=-1.0, f1=(0, 1), acc=1.0, acc_norm=0.0)
    means = {"perplexity": perplexity, "f1": mean, "acc": mean, "acc_norm": mean}
    assert main_metric([sample], means) == Metric("acc", "none")
    assert Metric("acc", "none").full == "acc,none"
    assert main_metric([sample], {"perplexity": perplexity}) is None
    assert main_metric([sample], {}) is None


def test_an_item_holds_the_likeliest_choice_in_the_terms_of_the_target() -> None:
    samples = [choice(0, [-3.0, -1.0, -2.0], 1, acc=1.0), choice(1, [-1.0, -1.0], 1, acc=np.float64(0.0))]
    first, second = task_items("t", samples, Metric("acc", "none"))
    assert first == {
        "task": "t",
        "index": 0,
        "correct": True,
        "prediction": 1,
        "answer": 1,
        "loglikelihoods": [-3.0, -1.0, -2.0],
        "metrics": {"acc,none": 1.0},
        "doc_hash": "d0",
        "prompt_hash": "p0",
        "target_hash": "t0",
    }
    assert (second["prediction"], second["correct"]) == (0, False)
    named = task_items("t", [choice(0, [-3.0, -1.0], "end 1", acc=1.0)], Metric("acc", "none"))[0]
    assert (named["prediction"], named["answer"]) == ("end 1", "end 1")


def test_unconditional_likelihoods_are_no_choices() -> None:
    sample = choice(0, [-3.0, -2.0, -0.1, -0.2], 1, acc=1.0, acc_mutual_info=1.0)
    assert task_items("t", [sample], Metric("acc", "none"))[0]["prediction"] == 1


def test_a_single_likelihood_tells_whether_greedy_decoding_agrees() -> None:
    sample = choice(0, [-0.5], "Lily", perplexity=-0.5, acc=1)
    sample["filtered_resps"] = [(-0.5, True)]
    assert task_items("t", [sample], Metric("acc", "none"))[0]["prediction"] is True


def test_filters_of_one_row_become_one_item_read_by_the_first() -> None:
    rows = [(0, "It is #### 42", "42", 1.0), (1, "41", "[invalid]", 0.0)]
    samples = [said(number, text, read, "strict", exact_match=value) for number, text, read, value in rows]
    samples += [said(number, text, "42", "flexible", exact_match=1.0) for number, text, _, _ in rows]
    items = task_items("t", samples, Metric("exact_match", "strict"))
    assert [item["index"] for item in items] == [0, 1]
    assert [item["correct"] for item in items] == [True, False]
    assert items[1]["metrics"] == {"exact_match,strict": 0.0, "exact_match,flexible": 1.0}
    assert (items[1]["text"], items[1]["prediction"], items[1]["answer"]) == ("41", "[invalid]", "42")


def test_a_filter_that_gives_two_texts_is_no_likelihood() -> None:
    item = task_items("t", [said(0, "a b", ["a", "b"], "split", exact_match=0.0)], Metric("exact_match", "split"))[0]
    assert item["prediction"] == ["a", "b"]


@pytest.mark.parametrize(("name", "value", "verdict"), [
    ("exact_match", 1, {"correct": True}),
    ("exact_match", 0.5, {"score": 0.5}),
    ("bleu", 1.0, {"score": 1.0}),
    ("rouge1", np.float32(0.25), {"score": 0.25}),
])  # fmt: skip
def test_right_or_wrong_is_a_verdict_and_any_other_number_a_score(name: str, value: Any, verdict: dict) -> None:
    item = task_items("t", [said(0, "x", "x", "none", **{name: value})], Metric(name, "none"))[0]
    assert verdict.items() <= item.items()
    assert len({"correct", "score"} & item.keys()) == 1


def test_without_a_mean_an_item_has_no_score_but_keeps_what_was_measured() -> None:
    sample = choice(0, [], "x", word_perplexity=(-7.5, 3)) | {"resps": [[-7.5]], "filtered_resps": [-7.5]}
    item = task_items("t", [sample], None)[0]
    assert (item["score"], item["prediction"]) == (None, None)
    assert item["metrics"] == {"word_perplexity,none": [-7.5, 3]}


def test_numbers_that_json_lacks_become_null() -> None:
    sample = said(0, "x", "x", "none", exact_match=0.0, odd=float("nan"))
    assert task_items("t", [sample], Metric("exact_match", "none"))[0]["metrics"]["odd,none"] is None


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_likelihood_that_is_not_finite_ends_the_evaluation(value: float) -> None:
    with pytest.raises(TrainingError, match="task 't', row 3: the model gives a loglikelihood that is not finite"):
        task_items("t", [choice(3, [-1.0, value], acc=0.0)], Metric("acc", "none"))
