"""Scores of a task of one's own: by name, several at once, of listed labels, of programs, by a judge."""

from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer
from tests.judging.judging_cases import judge
from tests.judging.loopback_judge import judge_server, says

from balora.errors import TrainingError
from balora.tasks.catalogue import Task
from balora.tasks.grading import Tools, grade
from balora.tasks.own_scores import listed_labels, own_label_scores, own_scores
from balora.tasks.own_task import OwnTask
from balora.tasks.scores import right_rows, task_score


def task(*score: str, **changes: Any) -> Task:
    known: dict[str, Any] = {"task": "own", "read": {"train": "a", "validation": "b"}, "score": score}
    known |= {"family": "nlg", "text": "t", "answer": "a"} if "label" not in changes else {"family": "nlu", "text": "t"}
    return OwnTask(**{**known, **changes}).as_task()


def graded(task: Task, texts: list[str | None], answers: list[str], **row: Any) -> Any:
    rows = [{"index": index, "answer": answer, **row} for index, answer in enumerate(answers)]
    return grade(task, rows, [None if text is None else [text] for text in texts])


def test_the_first_score_is_the_tasks_and_the_others_are_reported() -> None:
    own = task("contains", "exact_match", "chrf")
    found = graded(own, ["it is Rome", "Rome", None], ["rome", "rome", "rome"])
    assert found.metrics["contains"] == pytest.approx(2 / 3)
    assert found.metrics["exact_match"] == pytest.approx(1 / 3)
    assert task_score(own, found.metrics) == pytest.approx(200 / 3)
    assert [item["correct"] for item in found.items] == [True, True, False]
    assert right_rows(own, found.items) == [True, True, False]
    assert [item["scores"]["exact_match"] for item in found.items] == [0, 1, 0]
    assert own.metrics == ("contains", "exact_match", "chrf", "answer_loss")


def test_a_score_that_is_no_verdict_gives_every_row_a_number() -> None:
    own = task("rouge_l")
    found = graded(own, ["a b", "c"], ["a b", "d"])
    assert [item["score"] for item in found.items] == [1, 0]
    assert right_rows(own, found.items) is None


def test_the_final_answer_is_read_from_both_texts() -> None:
    found = graded(task("final_answer"), ["so #### 4", "it is 5", "6"], ["2+2\n#### 4", "#### 4", "no number"])
    assert [item["correct"] for item in found.items] == [True, False, False]
    assert "1 of 3 references have no final answer that can be read with certainty" in found.notes[0]


def test_listed_labels_are_scored_as_scikit_learn_scores_them() -> None:
    texts = ["a, b", "B;c", None, "a\nd", ""]
    answers = ["a, b", "a, b", "c", "a|d", "a"]
    binarizer = MultiLabelBinarizer(classes=list("abcd"))
    truth, given = (binarizer.fit_transform([listed_labels(text or "") for text in side]) for side in (answers, texts))
    own = task("micro_f1")
    found = graded(own, texts, answers)
    assert found.metrics["micro_f1"] == pytest.approx(f1_score(truth, given, average="micro"))
    assert found.items[0]["score"] == 1
    assert found.items[1]["score"] == pytest.approx(2 * 1 / 4)


def test_classes_have_macro_f1() -> None:
    own = task("macro_f1", "accuracy", label="l", labels=["a", "b", "c"])
    metrics, notes = own_label_scores(own, [0, 1, 1, 2], [0, 1, 2, 2])
    assert metrics == {"macro_f1": pytest.approx((1 + 2 / 3 + 2 / 3) / 3), "accuracy": 0.75}
    assert notes == ()


def test_an_undefined_score_counts_as_0_with_a_note() -> None:
    own = task("pearson", label="l")
    metrics, notes = own_label_scores(own, [1.0, 1.0], [1.0, 2.0])
    assert metrics == {"pearson": 0.0}
    assert "pearson is undefined" in notes[0]


def test_every_metric_but_the_loss_is_scored() -> None:
    assert set(own_scores(task("exact_match"), ["a"], ["a"]).metrics) == {"exact_match"}


def test_programs_run_in_a_sandbox() -> None:
    from balora.errors import ConfigError
    from balora.sandbox.availability import find_sandbox

    try:
        tools = Tools(sandbox=find_sandbox())
    except ConfigError as error:
        pytest.skip(str(error))
    own = task("pass_at_1", tests="checks")
    rows = [{"index": i, "answer": "", "prompt": "", "entry_point": "twice", "tests": ["assert twice(2) == 4"]}
            for i in range(3)]  # fmt: skip
    texts = ["def twice(x):\n    return 2 * x", "```python\ndef twice(x):\n    return x\n```", ""]
    found = grade(own, rows, [[text] for text in texts], tools)
    assert [item["correct"] for item in found.items] == [True, False, False]
    assert task_score(own, found.metrics) == pytest.approx(100 / 3)


def test_a_judge_rates_beside_the_reference(tmp_path: Path) -> None:
    def by_length(body: dict[str, Any]) -> str:
        return f"Rating: [[{2 if 'short answer' in body['messages'][-1]['content'] else 8}]]"

    own = task("judge")
    rows = [{"index": i, "answer": "reference", "asked": "Which one?"} for i in range(2)]
    with judge_server(write=by_length) as server:
        found = grade(own, rows, [["a short answer"], None], Tools(judge=judge(server.url, tmp_path)))
    assert [item["score"] for item in found.items] == [2, 8]
    assert found.metrics == {"judge": 5.0}
    assert task_score(own, found.metrics) == 50.0
    assert all("reference" in str(body) and "Which one?" in str(body) for body in server.bodies)
    assert "the judge was asked 2 times" in found.notes[-1]


def test_ratings_that_do_not_come_are_missing_and_none_at_all_is_a_failure(tmp_path: Path) -> None:
    own = task("judge")
    rows = [{"index": i, "answer": "", "asked": f"Question {i}?"} for i in range(3)]
    with judge_server(script=[says("I refuse.")]) as server:
        found = grade(own, rows, [["a"], ["b"], ["c"]], Tools(judge=judge(server.url, tmp_path, retries=0)))
        assert sum(item["score"] is None for item in found.items) == 1
        assert found.notes[0].startswith("1 of 3 answers could not be rated (the reply holds no [[rating]])")
    with (
        judge_server(script=[says("I refuse.")]) as server,
        pytest.raises(TrainingError, match="no answer could be judged, so there is no score"),
    ):
        grade(own, rows[:1], [["other"]], Tools(judge=judge(server.url, tmp_path, retries=0)))
