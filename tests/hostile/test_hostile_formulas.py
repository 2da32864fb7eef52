r"""Answers made to hang, crash or fill the memory of a grader: the process over them ends, and the next is graded."""

import json
import signal
import time
from pathlib import Path

import pytest

from balora.tasks import math_grading
from balora.tasks.math_grading import verdicts
from balora.tasks.math_worker import SECONDS

GOLD = "\\boxed{\\frac{3}{7}}"
NEVER = {  # more than the limits of computing time or memory, in code that no exception interrupts
    "tower": "\\boxed{10^{10^{10}}}",
    "tower of nines": "\\boxed{9^{9^{9^{9}}}}",
    "tower in Python": "It is 9**9**9**9",
    "factorial": "\\boxed{100000000!}",
    "binomial": "\\boxed{\\binom{10^9}{5 \\cdot 10^8}}",
    "sum": "\\boxed{\\sum_{k=1}^{10^9} \\frac{1}{k^3}}",
    "nested brackets": "\\boxed{" + "(" * 240 + "1" + ")" * 240 + "}",
}
WRONG = {  # read or refused within the limits
    "nested fractions": "\\boxed{" + "\\frac{1}{" * 40 + "x" + "}" * 41,
    "100 kB of LaTeX": "\\frac{1}{2} + \\sqrt{x} " * 5000,
    "100 kB in a box": "\\boxed{" + "x+" * 50_000 + "x}",
    "100 kB of boxes": "\\boxed{" * 14_000,
    "100 kB of dollars": "$" * 100_000,
    "100 kB of digits": "1" * 100_000,
    "a thousand answers": "The answer is " * 1000,
    "division by zero": "\\boxed{\\frac{1}{0}}",
    "not a number": "\\boxed{\\infty - \\infty}",
    "half of a character": "\\boxed{2\ud83d}",
    "control characters": "\\boxed{\x00\x1b[2J}",
    "a line end in the box": "\\boxed{\n3\n}",
}


@pytest.mark.slow
def test_a_tower_of_powers_costs_its_answer_and_no_other() -> None:
    assert verdicts([(GOLD, GOLD), (GOLD, NEVER["tower"]), (GOLD, "\\boxed{3/7}")]) == [True, None, True]


@pytest.mark.slow
def test_a_gold_solution_that_cannot_be_compared_costs_its_answer_and_no_other() -> None:
    assert verdicts([(NEVER["tower"], GOLD), (GOLD, GOLD)]) == [None, True]


def test_no_strange_answer_is_verified_or_ends_the_grading() -> None:
    found = verdicts([*((GOLD, text) for text in WRONG.values()), (GOLD, GOLD)])
    assert not any(found[:-1])
    assert found[-1] is True


@pytest.mark.slow
def test_answers_that_never_end_are_ended_and_are_not_verified() -> None:
    found = dict(zip(NEVER, verdicts((GOLD, text) for text in NEVER.values()), strict=True))
    assert found == dict.fromkeys(NEVER)


def test_an_answer_is_never_run_as_code(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    code = f"__import__('os').system('touch {touched}')"
    texts = [code, f"The answer is {code}", f"\\boxed{{{code}}}", f"${code}$", f"\\boxed{{\\text{{{code}}}}}"]
    assert not any(verdicts((GOLD, text) for text in texts))
    assert not touched.exists()


@pytest.mark.slow
def test_waiting_is_no_computing_so_that_a_loaded_machine_gives_the_same_verdict() -> None:
    a_second = "$" + "\\sqrt{" * 150 + "2" + "}" * 150 + "$"
    with math_grading._Comparer() as comparer:
        assert comparer.equal(GOLD, GOLD)
        process = comparer.process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([GOLD, a_second]) + "\n")
        process.stdin.flush()
        time.sleep(0.3)
        process.send_signal(signal.SIGSTOP)
        time.sleep(SECONDS + 1)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.readline() == "0\n"
