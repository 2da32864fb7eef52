"""Grading programs: verdicts, pass@k, reasons, and the published solutions of HumanEval and MBPP."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from balora.errors import ConfigError
from balora.sandbox.availability import find_sandbox
from balora.sandbox.limits import Limits
from balora.sandbox.run_programs import Sandbox
from balora.tasks.files import read_file
from balora.tasks.program_rows import check_humaneval, check_mbpp
from balora.tasks.programs import Graded, grade_programs

ROW = {"tests": ["assert double(2) == 4", "assert double(0) == 0"], "prompt": "", "entry_point": "double"}
RIGHT = "```python\ndef double(x):\n    return 2 * x\n```"
WRONG = "def double(x):\n    return x ** 3\n\nassert double(2) == 8"
BROKEN = "def double(x) return"


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    try:
        return find_sandbox()
    except ConfigError as error:
        pytest.skip(str(error))


def graded(answers: Sequence[Sequence[str] | None], sandbox: Sandbox, **given: Any) -> Graded:
    return grade_programs([ROW] * len(answers), answers, sandbox=sandbox, **given)


def test_greedy_answers_get_a_verdict_a_reason_and_their_share(sandbox: Sandbox) -> None:
    slow = "def double(x):\n    while True: pass"
    result = graded([[RIGHT], [BROKEN], [slow], [""], None], sandbox, limits=Limits(cpu_seconds=1))
    assert [item["correct"] for item in result.items] == [True, False, False, False, False]
    assert [item["reason"] for item in result.items] == ["", "SyntaxError", "timeout", "NameError", "no answer"]
    assert [item["index"] for item in result.items] == [0, 1, 2, 3, 4]
    assert [item["samples"] for item in result.items] == [1, 1, 1, 1, 0]
    assert result.items[0]["prediction"] == "def double(x):\n    return 2 * x\n"
    assert result.items[0]["text"] == RIGHT
    assert (result.items[4]["prediction"], result.items[4]["text"]) == (None, None)
    assert result.metrics == {"pass_at_1": 0.2}
    assert result.notes == (
        f"programs ran in {sandbox.description}",
        "1 of 4 programs ended at a limit (timeout 1): counted as wrong",
    )


def test_every_test_of_a_row_counts(sandbox: Sandbox) -> None:
    half_right = "double = lambda x: 4"
    assert graded([[half_right]], sandbox).items[0]["reason"] == "AssertionError"


def test_samples_give_the_unbiased_pass_at_k(sandbox: Sandbox) -> None:
    leaves = "import os\nos._exit(0)"
    answers = [[WRONG, RIGHT, RIGHT, leaves], [BROKEN] * 4, [RIGHT] * 4, None]
    result = graded(answers, sandbox, ks=(1, 2, 4))
    assert [item["passed"] for item in result.items] == [2, 0, 4, 0]
    assert [item["correct"] for item in result.items] == [False, False, True, False]
    assert result.metrics["pass_at_1"] == pytest.approx((0.5 + 0 + 1 + 0) / 4)
    assert result.metrics["pass_at_2"] == pytest.approx((5 / 6 + 0 + 1 + 0) / 4)
    assert result.metrics["pass_at_4"] == pytest.approx((1 + 0 + 1 + 0) / 4)


def test_equal_programs_run_once(sandbox: Sandbox) -> None:
    seen: list[tuple[int, int]] = []
    graded([[RIGHT, RIGHT, WRONG]] * 3, sandbox, on_rows=lambda *done: seen.append(done))
    assert seen[-1] == (2, 2)


@pytest.mark.parametrize("k", [0, 3])
def test_more_draws_than_samples_are_refused_before_anything_runs(k: int, sandbox: Sandbox) -> None:
    with pytest.raises(ConfigError, match=rf"pass@{k} needs k from 1 to the number of samples of a row, 2"):
        graded([[RIGHT, RIGHT], None], sandbox._replace(bubblewrap="/nowhere"), ks=(1, k))


def test_a_completion_of_humaneval_continues_its_prompt(sandbox: Sandbox) -> None:
    row = {"prompt": 'def double(x):\n    """ Twice. """\n', "tests": ROW["tests"], "entry_point": "double"}
    result = grade_programs([row] * 2, [["    return 2 * x\n\ndef"], ["    return 3"]], sandbox=sandbox)
    assert [item["correct"] for item in result.items] == [True, False]
    assert result.items[0]["prediction"] == 'def double(x):\n    """ Twice. """\n    return 2 * x\n'


def published(data: Path, name: str, every: int = 1) -> tuple[list[dict[str, Any]], list[str]]:
    """Return rows of a benchmark, and for each the published solution as a model would write it."""
    if name == "humaneval":
        sources: Any = read_file(data / "humaneval" / "HumanEval.jsonl")
        rows = [check_humaneval(source) for source in sources[::every]]
        return rows, [source.values["canonical_solution"] for source in sources[::every]]
    rows = [check_mbpp(source) for source in read_file(data / "mbpp" / "mbpp.jsonl")[::every]]  # type: ignore[arg-type]
    return rows, [f"[BEGIN]\n{row['answer']}\n[DONE]" for row in rows]


@pytest.mark.parametrize(("name", "every", "count"), [("humaneval", 28, 6), ("mbpp", 164, 6)])
def test_published_solutions_pass_in_every_form_and_empty_answers_fail(
    data: Path, sandbox: Sandbox, name: str, every: int, count: int
) -> None:
    rows, solutions = published(data, name, every)
    fenced = [f"Here it is:\n```python\n{row['answer']}\n```" for row in rows]
    for answers in (solutions, [row["answer"] for row in rows], fenced):
        result = grade_programs(rows, [[answer] for answer in answers], sandbox=sandbox)
        assert [item for item in result.items if not item["correct"]] == []
        assert len(result.items) == count
    assert grade_programs(rows, [[""]] * count, sandbox=sandbox).metrics == {"pass_at_1": 0.0}
    others = [*solutions[1:], solutions[0]]
    assert grade_programs(rows, [[answer] for answer in others], sandbox=sandbox).metrics == {"pass_at_1": 0.0}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "count"), [("humaneval", 164), ("mbpp", 974)])
def test_all_published_solutions_pass_and_no_empty_answer_does(
    data: Path, sandbox: Sandbox, name: str, count: int
) -> None:
    rows, solutions = published(data, name)
    result = grade_programs(rows, [[solution] for solution in solutions], sandbox=sandbox)
    assert [(row["name"], item["reason"]) for row, item in zip(rows, result.items, strict=True) if item["reason"]] == []
    assert sum(item["correct"] for item in result.items) == count
    empty = grade_programs(rows, [[""]] * count, sandbox=sandbox)
    assert sum(item["correct"] for item in empty.items) == 0
