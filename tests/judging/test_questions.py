"""MT-Bench's questions are read, and another benchmark's file is refused in one line."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from balora.errors import DataError
from balora.judging.questions import CATEGORIES, Question, as_question, read_questions

ROW: dict[str, Any] = {"question_id": 111, "category": "math", "turns": ["a", "b"], "reference": ["1", "2"]}


def written(folder: Path, *rows: Any) -> Path:
    path = folder / "question.jsonl"
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def test_the_80_real_questions_are_read(data: Path) -> None:
    questions = read_questions(data / "mt_bench" / "question.jsonl")
    assert [question.question_id for question in questions] == list(range(81, 161))
    assert Counter(question.category for question in questions) == dict.fromkeys(CATEGORIES, 10)


def test_references_of_the_real_file_serve_the_three_categories_of_fastchat(data: Path) -> None:
    questions = read_questions(data / "mt_bench" / "question.jsonl")
    with_one = Counter(question.category for question in questions if question.references(1) is not None)
    with_two = Counter(question.category for question in questions if question.references(2) is not None)
    assert with_one == {"reasoning": 10, "math": 10, "coding": 9}
    assert with_two == {"reasoning": 7, "math": 10, "coding": 9}


def test_a_row_of_the_hubs_set_is_the_same_question() -> None:
    hub = {"prompt_id": 111, "category": "math", "prompt": ["a", "b"], "reference": ["1", "2"]}
    assert as_question(hub, "here") == as_question(ROW, "here") == Question(111, "math", ("a", "b"), ("1", "2"))


@pytest.mark.parametrize(
    ("category", "reference", "turn", "expected"),
    [
        ("math", ["1", "2"], 1, ("1",)),
        ("math", ["1", "2"], 2, ("1", "2")),
        ("math", ["1", ""], 1, ("1",)),
        ("math", ["1", ""], 2, None),
        ("math", ["", "2"], 2, None),
        ("coding", [], 1, None),
        ("writing", ["1", "2"], 1, None),
    ],
)
def test_a_reference_is_shown_where_the_category_has_one_and_all_are_there(
    category: str, reference: list[str], turn: int, expected: tuple[str, ...] | None
) -> None:
    assert as_question({**ROW, "category": category, "reference": reference}, "x").references(turn) == expected


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"task_id": "HumanEval/0", "prompt": "def f"}, "it needs question_id, category and turns, and has 'task_id'"),
        ({"question": "2+2?", "answer": "#### 4"}, "it needs question_id, category and turns"),
        ({**ROW, "turns": ["one"], "category": "generic"}, "each question has 2 turns, this one has 1"),
        ({**ROW, "turns": "ab"}, "each question has 2 turns, this one has 'ab'"),
        ({**ROW, "turns": ["a", " "]}, "each question has 2 turns"),
        ({**ROW, "category": "arena-hard"}, "its category is 'arena-hard', and MT-Bench has writing, roleplay"),
        ({**ROW, "category": ["math"]}, "its category is ['math']"),
        ({**ROW, "question_id": "111"}, "its question_id is '111', not a number"),
        ({**ROW, "question_id": True}, "its question_id is True, not a number"),
        ({**ROW, "reference": ["1", "2", "3"]}, "`reference` of question 111 is no list of up to 2 texts"),
        ({**ROW, "reference": "1"}, "`reference` of question 111 is no list"),
        ({**ROW, "turns": ["a\x00", "b"]}, "holds the control character"),
        ([1, 2], "the line is [1, 2]"),
        ("{torn", "not a whole JSON object"),
        ("[" * 100_000, "not a whole JSON object"),
    ],
)
def test_another_benchmarks_file_is_refused_with_its_line(tmp_path: Path, row: Any, says: str) -> None:
    path = written(tmp_path, {**ROW, "question_id": 81}, row)
    with pytest.raises(DataError) as refused:
        read_questions(path)
    assert str(refused.value).startswith(f"{path}:2: ")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["humaneval/HumanEval.jsonl", "mbpp/mbpp.jsonl", "gsm8k/test.jsonl"])
def test_the_real_files_of_other_benchmarks_are_refused(data: Path, name: str) -> None:
    with pytest.raises(DataError, match="not a question of MT-Bench"):
        read_questions(data / name)


def test_a_question_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="question 111 stands in the file twice"):
        read_questions(written(tmp_path, ROW, ROW))


def test_an_empty_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file is empty"):
        read_questions(written(tmp_path))
    with pytest.raises(DataError, match="cannot be read"):
        read_questions(tmp_path / "none.jsonl")
