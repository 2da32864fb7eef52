r"""MATH is graded by math-verify: published pairs, real solutions, where an answer stands, what an item records."""

import json
import re
from pathlib import Path

import pytest
from tests.tasks.published_graders import DIFFERENT, GSM8K, HENDRYCKS, MATH_VERIFY, MINERVA, PRM800K

from balora.errors import TrainingError
from balora.tasks import math_grading
from balora.tasks.answers import final_answer, gold_answer, same_result
from balora.tasks.math_grading import MOST_READ, MOST_WRITTEN, formula_of, grade_math, verdicts, verified

PUBLISHED = {"hendrycks": HENDRYCKS, "minerva": MINERVA, "math-verify": MATH_VERIFY, "prm800k": PRM800K}
STRICT, FLEXIBLE = re.compile(r"#### (\-?[0-9\.\,]+)"), re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
"""Filters of `gsm8k` in lm-evaluation-harness 0.4.13: the first match of one, the last of the other."""


def boxed(answer: str) -> str:
    return f"\\boxed{{{answer}}}"


def test_published_pairs_are_decided_as_published_but_for_those_that_are_named() -> None:
    pairs = [pair for published in PUBLISHED.values() for pair in published]
    found = verdicts((boxed(gold), f"So it is {boxed(answer)}.") for gold, answer, _ in pairs)
    differ = {pair[:2] for pair, verdict in zip(pairs, found, strict=True) if verdict != pair[2]}
    assert differ == DIFFERENT


def test_exact_match_accepts_nothing_that_a_published_grader_rejects_but_equal_numbers() -> None:
    rejected = [pair[:2] for pairs in PUBLISHED.values() for pair in pairs if not pair[2]]
    accepted = [pair for pair in rejected if same_result(*(str(final_answer(boxed(text))) for text in pair))]
    assert accepted == [("\\frac{1}{3}", "\\frac{2}{6}"), ("8", "2^3")]  # prm800k wants them reduced


@pytest.mark.parametrize(("output", "strict", "flexible", "ours"), GSM8K)
def test_gsm8k_answers_against_the_filters_of_the_harness(
    output: str, strict: str | None, flexible: str | None, ours: str | None
) -> None:
    first, last = STRICT.search(output), list(FLEXIBLE.finditer(output))[-1:]
    assert [_plain(first[1]) if first else None] == [strict]
    assert [_plain(match[0]) for match in last] == [flexible] * bool(last)
    assert final_answer(output) == ours


def _plain(number: str) -> str:
    """Drop what `exact_match` of the harness ignores: commas, dollar signs and a last full stop."""
    return re.sub(r"[,$]|\.$", "", number)


def _solutions(file: Path) -> list[str]:
    return [json.loads(line)["answer"] for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_every_solution_of_math_500_is_verified_and_matched_exactly_against_itself_and_its_bare_answer(
    data: Path,
) -> None:
    solutions = _solutions(data / "math500" / "test.jsonl")
    bare = [solution.rpartition("The answer is:")[2].strip() for solution in solutions]
    pairs = [(solution, text) for solution, answer in zip(solutions, bare, strict=True) for text in (solution, answer)]
    assert len(pairs) == 1000
    assert [pair for pair, verdict in zip(pairs, verdicts(pairs), strict=True) if verdict is not True] == []
    assert all(same_result(final_answer(text), str(gold_answer(solution))) for solution, text in pairs)


@pytest.mark.slow
def test_every_solution_of_gsm8k_is_verified_and_matched_exactly_against_itself(data: Path) -> None:
    solutions = _solutions(data / "gsm8k" / "test.jsonl")
    assert len(solutions) == 1319
    pairs = [(solution.rpartition("####")[2].strip(), solution) for solution in solutions]
    assert [pair for pair, verdict in zip(pairs, verdicts(pairs), strict=True) if verdict is not True] == []
    for gold, solution in pairs:
        assert gold_answer(solution) == _plain(gold)
        assert same_result(final_answer(solution), str(gold_answer(solution)))


def test_math_verify_decides_as_it_does_on_whole_texts_without_our_reading(data: Path) -> None:
    """The oracle: lm-evaluation-harness hands the whole solution and the whole output to math-verify."""
    from math_verify import parse, verify

    solutions = _solutions(data / "math500" / "test.jsonl")[:60]
    pairs = list(zip(solutions, solutions[1:] + solutions[:1], strict=True)) + [(text, text) for text in solutions]
    parsed = {text: parse(text) for text in solutions}
    assert verdicts(pairs) == [verify(parsed[gold], parsed[text]) for gold, text in pairs]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("so \\boxed{\\frac{1}{2}}. Done", "\\boxed{\\frac{1}{2}}"),
        ("\\boxed{1} then \\boxed{2}", "\\boxed{2}"),
        ("\\fbox{9}", "\\boxed{9}"),
        ("\\boxed 7$ ok", "\\boxed{7}"),
        ("\\boxed{12 and 13}", "\\boxed{12 and 13}"),
        ("\\boxed{1{2}", ""),  # cut off
        ("The answer is: x^2 + 1.", "\\boxed{x^2 + 1}"),
        ("The answer is: $x^2 + 1$.", "The answer is $x^2 + 1$"),
        ("The answer is \\(x\\)", "The answer is \\(x\\)"),
        ("The answer is: \\$18.90", "\\boxed{\\$18.90}"),  # no delimiter
        ("The answer is 5 dollars.", "The answer is 5 dollars"),
        ("**Answer:** 3", "\\boxed{3}"),
        ("#### 12.", "\\boxed{12}"),
        ("x^2 + 1", "\\boxed{x^2 + 1}"),
        ("So it is $x^2$ then", "So it is $x^2$ then"),
        ("", ""),
    ],
)
def test_what_math_verify_is_given(text: str, read: str) -> None:
    assert formula_of(text) == read


def test_answers_over_the_limit_are_not_read_and_only_the_end_of_an_unmarked_text_is() -> None:
    fits = "7" * (MOST_WRITTEN - len(boxed("")))
    assert formula_of(boxed(fits)) == boxed(fits)
    assert formula_of(boxed(fits + "7")) is None
    assert formula_of("a b " * MOST_READ + "$5$") == ("a b " * MOST_READ + "$5$")[-MOST_READ:]
    assert verified(boxed("7"), boxed(fits + "7")) is None


def test_the_part_of_an_output_that_counts_is_that_of_exact_match() -> None:
    texts = {
        "\\boxed{12}\nQuestion: and then?\n\\boxed{13}": True,  # a model that missed its end
        "<think>\\boxed{12}</think> It is \\boxed{13}.": False,
        "<think>\\boxed{13}</think> It is \\boxed{12}.": True,
        "\\boxed{12": False,
    }
    assert verdicts((boxed("12"), text) for text in texts) == [*texts.values()]
    assert [same_result(final_answer(text), "12") for text in texts] == [*texts.values()]


def test_items_hold_both_verdicts_and_a_note_counts_what_could_not_be_compared() -> None:
    rows = [{"solution": f"so {boxed(gold)}."} for gold in ("\\frac{1}{2}", "x+1", "3", "4")]
    rows += [{"solution": boxed("5"), "thought": "<reason>\n</reason>"}]
    texts = [
        "\\boxed{0.5}",
        "\\boxed{1+x}",
        None,
        boxed("4" * MOST_WRITTEN),
        "<reason>\\boxed{4}?</reason>The answer is 5",
    ]
    items = [{"index": index, "text": text, "correct": index == 0} for index, text in enumerate(texts)]
    graded = grade_math(items, rows)
    assert [item["verified"] for item in graded.items] == [True, True, False, False, True]
    assert [{name: item[name] for name in items[0]} for item in graded.items] == items
    assert graded.math_verify == 3 / 5
    assert graded.notes == (
        "math_verify: 1 of 5 answers have more than 500 characters, or took more than 5 s of computing time or 2 GB to "
        "compare: counted as wrong",
    )
    assert grade_math(items[:3], rows[:3]).notes == ()


def test_no_process_is_started_where_nothing_is_to_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_grading, "_started", None)
    assert verdicts([(boxed("1"), "")]) == [False]


def test_a_pair_whose_process_was_killed_from_outside_is_compared_again() -> None:
    with math_grading._Comparer() as comparer:
        assert comparer.equal(boxed("2"), boxed("3")) is False
        assert comparer.process is not None
        comparer.process.kill()  # as the system does where the memory of the machine runs out
        assert comparer.equal(boxed("2"), boxed("2")) is True
        assert comparer.equal(boxed("2"), boxed("10^{10^{10}}")) is None


def test_a_process_that_does_not_start_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_grading.sys, "executable", "/bin/false")
    with pytest.raises(TrainingError, match=r"^the process that compares answers .* did not start \(.+\): install it"):
        verified(boxed("1"), boxed("1"))
