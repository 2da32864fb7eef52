"""Rows of HumanEval, MBPP and tasks of one's own: what is read, and what is refused with file and line."""

from pathlib import Path
from typing import Any

import pytest
from tests.training.recipe_data import write_recipe_data

from balora.errors import DataError
from balora.tasks.catalogue import find_task
from balora.tasks.config import DataConfig
from balora.tasks.files import SourceRow, read_file
from balora.tasks.program_rows import check_humaneval, check_mbpp, find_entry_point, mbpp_test_rows, own_tests
from balora.tasks.splits import read_rows

HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": 'def one():\n    """ Return 1. """\n',
    "canonical_solution": "    return 1\n",
    "test": "def check(candidate):\n    assert candidate() == 1\n",
    "entry_point": "one",
}
MBPP = {
    "text": "Write a function that returns 1.",
    "code": "def one():\r\n    return 1",
    "task_id": 11,
    "test_setup_code": "",
    "test_list": ["assert one() == 1"],
    "challenge_test_list": ["assert one() == 2"],
}


def row(values: dict[str, Any], **changes: Any) -> SourceRow:
    return SourceRow("file.jsonl:3", {**values, **changes})


def test_a_row_of_humaneval() -> None:
    checked = check_humaneval(row(HUMANEVAL))
    assert checked["question"] == (
        "Complete the following Python function. Answer with the whole function in one fenced code block.\n\n"
        '```python\ndef one():\n    """ Return 1. """\n```'
    )
    assert checked["answer"] == HUMANEVAL["prompt"] + HUMANEVAL["canonical_solution"]
    assert checked["tests"] == [HUMANEVAL["test"], "check(one)"]
    assert (checked["prompt"], checked["entry_point"]) == (HUMANEVAL["prompt"], "one")
    assert checked["name"] == "HumanEval/0"


def test_a_row_of_mbpp_has_the_papers_prompt_and_no_challenge_tests() -> None:
    checked = check_mbpp(row(MBPP))
    assert checked["question"] == (
        "You are an expert Python programmer, and here is your task: Write a function that returns 1. Your code should "
        "pass these tests:\n\nassert one() == 1"
    )
    assert checked["tests"] == ["assert one() == 1"]
    assert (checked["prompt"], checked["entry_point"], checked["name"]) == ("", "one", "11")


def test_the_sanitized_file_of_mbpp_is_read_too() -> None:
    sanitized = {name: MBPP[name] for name in ("code", "task_id", "test_list")}
    checked = check_mbpp(row(sanitized, prompt="Write.", source_file="x", test_imports=["import math"]))
    assert "your task: Write. Your" in checked["question"]
    assert checked["tests"] == ["import math", "assert one() == 1"]


def test_the_set_up_comes_after_the_program_and_before_the_tests() -> None:
    checked = check_mbpp(row(MBPP, test_setup_code="x = one()"))
    assert checked["tests"] == ["x = one()", "assert one() == 1"]


def test_the_test_split_is_that_of_the_paper() -> None:
    rows = [{"name": str(number)} for number in range(1, 975)]
    chosen, notes = mbpp_test_rows(rows)
    assert (chosen[0]["name"], chosen[-1]["name"], len(chosen)) == ("11", "510", 500)
    assert notes == ["MBPP's test split (task_id 11 to 510) is scored: 474 of 974 rows are left out"]
    assert mbpp_test_rows(chosen) == (chosen, [])
    own = [{"name": "mine"}]
    assert mbpp_test_rows(own) == (own, ["no row has a task_id from 11 to 510, MBPP's test split: all are scored"])


@pytest.mark.parametrize(
    ("check", "values", "says"),
    [
        (check_humaneval, MBPP, "these are MBPP's columns"),
        (check_mbpp, HUMANEVAL, "these are HumanEval's columns"),
        (check_mbpp, {"question": "?", "answer": "1"}, "these are GSM8K's columns"),
        (check_humaneval, {"question_id": 1, "turns": []}, "these are MT-Bench's columns"),
        (check_humaneval, {"a": 1}, "found: a: give the published file"),
        (check_humaneval, {**HUMANEVAL, "test": None}, "test is None, but a text is needed"),
        (check_humaneval, {**HUMANEVAL, "prompt": ""}, "prompt is '', but a text is needed"),
        (
            check_humaneval,
            {**HUMANEVAL, "entry_point": "f(); x"},
            "entry_point is 'f(); x', but the name of a function",
        ),
        (check_humaneval, {**HUMANEVAL, "task_id": True}, "task_id is True, but a number or a text is needed"),
        (check_mbpp, {**MBPP, "test_list": "assert 1"}, "test_list is 'assert 1', but a list of texts is needed"),
        (check_mbpp, {**MBPP, "test_list": []}, "test_list is empty"),
        (check_mbpp, {**MBPP, "code": 1}, "code is 1, but a text is needed"),
        (check_mbpp, {name: MBPP[name] for name in ("code", "task_id", "test_list")}, "prompt is None, but a text"),
    ],
)
def test_other_rows_are_refused_in_one_line(check: Any, values: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError) as caught:
        check(row(values))
    text = str(caught.value)
    assert text.startswith("file.jsonl:3: ")
    assert says in text
    assert "\n" not in text


@pytest.mark.parametrize("value", ["assert f(1) == 2", ["assert f(1) == 2", ""], ("assert f(1) == 2",)])
def test_tests_of_ones_own_are_a_text_or_a_list(value: Any) -> None:
    assert own_tests("a:1", "tests", value) == ["assert f(1) == 2"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (5, "tests is 5, but a text or a list of texts is needed"),
        ([5], "tests is [5], but a text or a list of texts is needed"),
        ("", "holds no assert, no call and no `raise`: every program would pass"),
        ('["assert f(1) == 2"]', "every program would pass"),  # a list in a cell of CSV is no test
        ("f(1) == 2 assert", "holds a test that is no Python (invalid syntax"),
    ],
)
def test_tests_that_cannot_fail_are_refused(value: Any, says: str) -> None:
    with pytest.raises(DataError) as caught:
        own_tests("a:1", "tests", value)
    assert str(caught.value).startswith("a:1: ")
    assert says in str(caught.value)


def test_the_tested_name_is_the_one_that_the_code_defines() -> None:
    code = "import math\nclass Pair: pass\ndef f(x): return x"
    assert find_entry_point(["assert math.isclose(f(1), 1)"], code) == "f"
    assert find_entry_point(["assert len([]) == 0"], code) == ""


def test_the_published_files_are_read_whole(data: Path) -> None:
    humaneval = [check_humaneval(one) for one in read_file(data / "humaneval" / "HumanEval.jsonl")]  # type: ignore[arg-type]
    mbpp = [check_mbpp(one) for one in read_file(data / "mbpp" / "mbpp.jsonl")]  # type: ignore[arg-type]
    assert (len(humaneval), len(mbpp)) == (164, 974)
    assert len(mbpp_test_rows(mbpp)[0]) == 500
    assert all(compile(one["prompt"], "prompt", "exec") for one in humaneval)  # they may run alone, before an answer
    assert [one["name"] for one in mbpp if not one["entry_point"]] == []


@pytest.mark.parametrize(
    ("name", "twice"),
    [
        ("humaneval/HumanEval.jsonl", "'HumanEval/0'"),
        ("mbpp/mbpp.jsonl", "'11'"),
        ("mt_bench/question.jsonl", "'81'"),
    ],
)
def test_a_problem_that_stands_in_a_file_twice_is_refused(name: str, twice: str, tmp_path: Path) -> None:
    file = write_recipe_data(tmp_path) / name
    file.write_text(file.read_text() + file.read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match=rf":4: {twice} stands in the file already \(.*:1\): keep one of them"):
        read_rows(find_task(name.split("/")[0]), DataConfig(folder=str(tmp_path)), "test")
