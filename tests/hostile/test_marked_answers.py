r"""Answers as models and solutions write them: read whole or not at all, never in part."""

import json
from pathlib import Path

import pytest

from balora.errors import DataError
from balora.tasks import nlg
from balora.tasks.answers import final_answer, gold_answer, same_result
from balora.tasks.catalogue import TASKS
from balora.tasks.config import DataConfig
from balora.tasks.prepared import Prepared
from balora.tasks.splits import read_split

AGREE = [
    ("#### 18 dollars per day", "#### 18"),
    ("The answer: 7", "#### Step 1: set up\n2+5\n\\boxed{7}"),
    ("#### 0.5", "#### 1/2"),
    ("#### Step 1: add\n3+4=7\n#### Step 2: double\n7*2=14\n#### 14", "#### 14"),
    ("\\boxed{10,000}", "\\boxed{10000}"),
    ("#### 3 1/2", "#### 3.5"),
    ("The answer is **12**.", "#### 12"),
    ("#### ١٢", "#### 12"),
    ("#### 1,23,456", "#### 123456"),
    ("The answer is 12 (see step 3).", "#### 12"),
    ("The total is 72 clips, altogether.", "#### 72"),
    ("### Solution\n\nWe get 3*4 = 12.\n\n**Answer: 12**", "#### 12"),
    ("####\n18", "#### 18"),
    ("####18", "#### 18"),
    ("\\boxed{\\frac{1}{2}}", "\\boxed{0.5}"),
    ("<think>maybe \\boxed{3}</think>\nThe answer is 12.", "#### 12"),
    ("[THINK]is the answer 3? #### 3[/THINK]It is 12.", "#### 12"),
    ("\\boxed{12}</think>", "#### 12"),
    ("#### 12", "<think>\n#### 3\n</think>\n\n#### 12"),
    ("The answer is 10 (12 - 2 = 10).", "#### 10"),
    ("#### 10 (12 - 2 = 10)", "#### 10"),
    ("The answer is $\\frac{\\sqrt{3}}{2}$.", "\\boxed{\\frac{\\sqrt3}{2}}"),
    ("\\boxed{2\\sqrt{3}}", "\\boxed{2 \\sqrt 3}"),
    ("\\boxed{\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}}", "\\boxed{\\begin{pmatrix}1\\\\2\\end{pmatrix}}"),
    # numbers
    ("#### 10^6", "#### 1000000"),
    ("#### 10⁶", "#### 1,000,000"),
    ("#### 10**6", "#### 1000000"),
    ("\\boxed{10^{6}}", "#### 1000000"),
    ("\\boxed{2 \\times 10^5}", "\\boxed{200,000}"),
    ("#### 1e3", "#### 1000"),
    ("#### 1.5E-3", "#### 0.0015"),
    ("#### 1 234", "#### 1234"),
    ("#### 1\u202f234\u202f567", "#### 1,234,567"),
    ("#### 1\u00a0234,50", "#### 1234.5"),
    ("#### 1'234", "#### 1234"),
    ("#### 1.234.567", "#### 1234567"),
    ("#### 1.234,56", "#### 1234.56"),
    ("#### 3,5", "#### 3.5"),
    ("#### ３．５", "#### 3.5"),
    ("#### 3½ cups", "#### 3.5"),
    ("#### ½", "#### 0.5"),
    ("\\boxed{3\\frac{1}{2}}", "\\boxed{\\frac{7}{2}}"),
    ("\\boxed{\\dfrac12}", "\\boxed{\\tfrac{1}{2}}"),
    ("\\boxed{-\\frac{1}{2}}", "\\boxed{\\frac{-1}{2}}"),
    ("#### −5", "#### -5"),
    ("#### –5", "#### -5"),
    ("#### -0", "#### 0"),
    ("#### 2 million dollars", "#### 2000000"),
    ("\\boxed{11,\\! 111,\\! 111,\\! 100}", "\\boxed{11111111100}"),
    # currency, per cent, units, remarks
    ("#### $1,234.50", "#### 1234.5"),
    ("#### 12 €", "#### 12"),
    ("#### -$5", "#### $-5"),
    ("#### 50%", "#### 50"),
    ("\\boxed{50\\%}", "\\boxed{50}"),
    ("#### 50 percent", "#### 50%"),
    ("\\boxed{5\\text{ cm}}", "\\boxed{5}"),
    ("#### 5km", "#### 5 km"),
    ("\\boxed{864 \\mbox{ inches}^2}", "\\boxed{864}"),
    ("\\boxed{90^\\circ}", "\\boxed{90}"),
    ("#### 12 apples.", "#### 12 apple"),
    ("The answer is 12, because 3*4=12.", "#### 12"),
    ("#### about 18", "#### 18"),
    ("#### x = 18", "#### 18"),
    ("#### 3 * 6 = 18", "#### 18"),
    # marks
    ("The answer is: 7", "so $7.\\boxed{7}$The answer is: 7"),
    ("Final Answer: The final answer is $12$. I hope it is correct.", "\\boxed{12}"),
    ("**Final Answer**\n\\[\\boxed{42}\\]", "#### 42"),
    ("## Final answer\n\n42", "#### 42"),
    ("> **Answer:** $42.00", "#### 42"),
    ("The correct answer to this problem is 42 eggs!", "#### 42"),
    ("ANSWER: 42", "#### 42"),
    ("#### **42**", "#### 42"),
    ("#### $\\boxed{42}$", "#### 42"),
    ("#### 42</s>", "#### 42"),
    ("#### 42\n\nQuestion: And now?\nAnswer: 3\n#### 3", "#### 42"),
    ("\\boxed{\\boxed{7}}", "\\boxed{7}"),
    ("The answer is p - q.", "\\boxed{p - q}"),
    ("\\boxed{x=5}", "\\boxed{5}"),
    ("\\boxed{x^2+1}", "\\boxed{x^{2} + 1}"),
    ("\\boxed{\\text{Evelyn}}", "is our answer.The answer is: \\text{Evelyn}"),
    ("\\boxed{1, 2, 3}", "\\boxed{1,2,3}"),
    ("\\boxed{\\left(100, 200\\right)}", "\\boxed{(100,200)}"),
    ("\\boxed{100,200}", "\\boxed{100200}"),  # digits grouped by threes without a blank are one number
    ("#### 5:30", "#### 5:30"),
]
DIFFER = [
    ("The answer is negative 5.", "#### 5"),
    ("The answer is minus 5", "#### 5"),
    ("\\boxed{\\sqrt{35}}", "\\boxed{\\sqrt35}"),
    ("#### 2x+3", "#### 2y"),
    ("#### 2x+3", "#### 2"),
    ("#### 2x+3", "#### 3"),
    ("#### 2x", "#### 2"),
    ("#### Step 1\nx\n\\boxed{7}", "#### Step 1\ny\n\\boxed{9}"),
    ("#### 5:30", "#### 5:45"),
    ("#### 5:30", "#### 5"),
    ("We leave at 5:30", "#### 30"),
    ("\\boxed{1,2,3}", "\\boxed{123}"),
    ("\\boxed{3,5}", "\\boxed{3.5}"),  # a list
    ("\\boxed{100,200}", "\\boxed{100}"),
    ("\\boxed{100,200}", "\\boxed{200}"),
    ("\\boxed{100,200}", "\\boxed{(100,200)}"),
    ("\\boxed{100, 200}", "\\boxed{100200}"),  # with a blank it is a list
    ("#### 3 1/2", "#### 3"),
    ("#### 3 1/2", "#### 31/2"),
    ("#### 3 4", "#### 34"),
    ("#### 10^6", "#### 10"),
    ("#### 10^6", "#### 106"),
    ("#### 10⁶", "#### 106"),
    ("#### 1e3", "#### 1"),
    ("#### 1 234", "#### 1"),
    ("#### 3-1/2", "#### 3.5"),
    ("#### 12,3456", "#### 123456"),
    ("#### 2:1", "#### 2"),
    ("#### 7th", "#### 7"),
    ("#### 2 million", "#### 2"),
    ("#### 5 dozen", "#### 5"),
    ("#### 3 and a half", "#### 3"),
    ("#### 5 or 6", "#### 5"),
    ("#### 5 below zero", "#### 5"),
    ("#### 3 pi", "#### 3"),
    ("#### 2023-10-05", "#### 2023"),
    ("#### 0.33", "#### 1/3"),
    ("#### 5 cm", "#### 5 m"),
    ("#### 1. Add the numbers\nThere are many.", "#### 1"),
    ("\\boxed{12", "#### 12"),  # cut off
    ("\\boxed{\\frac{x+1}{2}}", "\\boxed{x+\\frac12}"),
    ("\\boxed{\\frac{1}{2x}}", "\\boxed{\\frac12 x}"),
    ("\\boxed{5!}", "\\boxed{5}"),
    ("The answer is 3 apples and 4 pears.", "#### 4"),
    ("The answer is not 5.", "#### 5"),
    ("The answer is more than 5.", "#### 5"),
    ("#### twelve", "#### 12"),
    ("#### 10^99999999", "#### 1"),
    ("#### 1/0", "#### 0"),
]


@pytest.mark.parametrize(("prediction", "gold"), AGREE)
def test_an_answer_written_in_another_way_is_right(prediction: str, gold: str) -> None:
    final = gold_answer(gold)
    assert final is not None
    assert same_result(final_answer(prediction), final)


@pytest.mark.parametrize(("prediction", "gold"), DIFFER)
def test_a_part_of_an_answer_is_never_right(prediction: str, gold: str) -> None:
    final = gold_answer(gold)
    assert final is not None
    assert not same_result(final_answer(prediction), final)


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("#### a\n" * 5000, "a"),
        ("####" * 5000, None),
        ("Q:\n" * 5000, None),
        ("answer is 1 apple 2 pears.\n" * 3000, None),
        ("1" * 20_000, None),
        ("1 " * 20_000, "1"),
        ("1 + " * 20_000 + "7", None),
        ("\\boxed{" * 5000, None),
        ("#### 1 " + "(" * 20_000, "1" + "(" * 20_000),
        ("The answer is " + "a" * 20_000 + " 7", "7"),
    ],
    ids=lambda value: value and value[:12],
)
def test_a_long_answer_of_any_shape_is_read(text: str, final: str | None) -> None:
    assert final_answer(text) == final


def test_fractions_within_fractions_end() -> None:
    assert final_answer("\\frac{1}{" * 3000 + "}" * 3000) != "1"


def solutions(folder: Path, split: str, *answers: str) -> DataConfig:
    rows = [json.dumps({"question": "How many?", "answer": answer}) + "\n" for answer in answers]
    (folder / f"{split}.jsonl").write_text("".join(rows))
    return DataConfig(folder=str(folder))


def test_uncertain_gold_solutions_are_counted_and_left_out_of_the_score(tmp_path: Path) -> None:
    data = solutions(tmp_path, "test", "#### 4", "It depends", "4 eggs in 3 days")
    split = read_split(TASKS["gsm8k"], data, "test")
    assert [row["final"] for row in split.rows] == ["4"]
    assert split.notes == [
        "test: 2 of 3 solutions have no final answer that can be read with certainty "
        f"(the first: {tmp_path}/test.jsonl:2): they are left out of the score"
    ]


def test_uncertain_gold_solutions_are_trained_on_all_the_same(tmp_path: Path) -> None:
    data = solutions(tmp_path, "train", "#### 4", "It depends")
    split = read_split(TASKS["gsm8k"], data, "train")
    assert [row["answer"] for row in split.rows] == ["#### 4", "It depends"]
    assert split.notes[0].endswith("(the first: " + f"{tmp_path}/train.jsonl:2): they are trained on all the same")


def test_a_file_without_one_certain_gold_solution_is_refused(tmp_path: Path) -> None:
    data = solutions(tmp_path, "test", "It depends", "4 eggs in 3 days")
    with pytest.raises(DataError) as caught:
        read_split(TASKS["gsm8k"], data, "test")
    assert str(caught.value) == (
        f"{tmp_path}/test.jsonl:1: the solution has no final answer that can be read with certainty ('#### 42', "
        "'\\boxed{42}'), and so with all 2 rows of split 'test': nothing can be scored"
    )


def test_outputs_that_cannot_be_read_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"index": i, "answer": "5", "input_ids": [1, 2], "prompt_ids": [1], "tests": None} for i in range(3)]
    prepared = Prepared(TASKS["gsm8k"], [], rows, 0, None, [])
    monkeypatch.setattr(nlg, "generate_samples", lambda *_, **__: [["#### 5"], ["It is 3 or 5:30"], ["I do not know"]])
    monkeypatch.setattr(nlg, "answer_loss", lambda *_, **__: 1.0)
    result = nlg.evaluate_nlg(None, None, prepared, batch_size=2, max_new_tokens=4)
    assert [item["correct"] for item in result.items] == [True, False, False]
    assert result.notes == ("2 of 3 answers have no final answer that can be read with certainty: counted as wrong",)


def test_every_gold_answer_of_a_file_with_headings_is_its_own(tmp_path: Path) -> None:
    answers = [f"#### Step 1: add\n{i}+1\n#### Step 2: write it down\n\\boxed{{{i + 1}}}" for i in range(5)]
    split = read_split(TASKS["gsm8k"], solutions(tmp_path, "test", *answers), "test")
    assert [row["final"] for row in split.rows] == ["1", "2", "3", "4", "5"]


def test_all_gold_answers_of_the_real_files_are_read(data: Path) -> None:
    for name in ("train", "test"):
        for line in (data / "gsm8k" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            answer = json.loads(line)["answer"]
            assert gold_answer(answer) == answer.rpartition("####")[2].strip().replace(",", "")
    for line in (data / "math500" / "test.jsonl").read_text(encoding="utf-8").splitlines():
        body, _, stated = json.loads(line)["answer"].rpartition("The answer is: ")
        assert same_result(gold_answer(body), gold_answer(f"\\boxed{{{stated}}}") or ""), stated


def test_a_bare_formula_is_read_as_the_same_formula_in_a_box(data: Path) -> None:
    for line in (data / "math500" / "test.jsonl").read_text(encoding="utf-8").splitlines():
        stated = json.loads(line)["answer"].rpartition("The answer is: ")[2]
        gold = gold_answer(stated)
        assert gold is not None, stated
        assert same_result(final_answer(stated), gold), stated
        assert same_result(final_answer(f"\\boxed{{{stated}}}"), gold), stated
