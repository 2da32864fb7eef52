"""Final answers and when two of them agree, against literals."""

import pytest

from balora.tasks.answers import final_answer, gold_answer, normalise_result, normalise_text, same_result, same_text


@pytest.mark.parametrize(
    ("text", "final"),
    [
        ("2 + 2 = 4\n#### 4", "4"),
        ("#### 18\nQuestion: how many?\n#### 7", "18"),  # a model that missed its end goes on
        ("#### 1,234,567", "1234567"),
        ("#### -1,234.50", "-1234.50"),
        ("####42", "42"),
        ("#### $5 dollars", "5"),
        ("#### 5%", "5"),
        ("#### about 5", "5"),
        ("#### Monday.", "Monday"),
        ("99\n#### \nfoo", None),
        ("so \\boxed{\\frac{1}{2}}", "1/2"),
        ("\\boxed{1} then \\boxed{2}. That is 3", "2"),
        ("\\boxed{\\left(\\frac{a}{b}, {c}\\right)}", "(a/b,{c})"),
        ("\\boxed{x^{2}+{y}} and 7", "x^{2}+{y}"),
        ("\\fbox{9}", "9"),
        ("\\boxed 7$ ok", "7"),
        ("\\boxed{1{2}", None),  # cut off: nobody knows what would have followed
        ("\\boxed{10,\\!000}", "10000"),
        ("\\boxed{5\\text{ cm}}", "5 cm"),
        ("\\boxed{90^\\circ}", "90"),
        ("\\boxed{\\$3.50}", "3.50"),
        ("\\boxed{\\tfrac12}", "1/2"),
        ("The answer is: 42.", "42"),
        ("10-3", None),  # not worked out
        ("10 - 3", None),
        ("x=-3", "-3"),
        ("it is −3 now", "-3"),
        ("costs -$5", "-5"),
        ("costs $-5", "-5"),
        ("1/2 of it", "1/2"),
        ("a 3 / 4 share", "3/4"),
        ("only .5", ".5"),
        ("1,2", "1,2"),  # the whole of it
        ("2x+3", "2x+3"),
        ("So 2x+3", None),
        ("So the area is $8 \\pi$.", None),
        ("So the side is $2\\sqrt{53}$.", None),
        ("It is 4", "4"),
        ("## Answer\r\n12\r\n", "12"),
        ("\\textbf{Answer: } 12", "12"),
        ("", None),
        ("none", None),
        ("#### Step 1: add\n#### Step 2: double\n7*2=14\n#### 14", "14"),
        ("#### Step 1: add\n3+4=7", "7"),  # a heading marks nothing
        ("#### 14\n#### Check\n7*2=14", "14"),
        ("####\n18", "18"),
        ("#### Answer\n18", "18"),
        ("#### 5:30", "5:30"),
        ("#### 3 1/2 cups", "7/2 cups"),
        ("#### 18 dollars per day", "18"),
        ("The answer is 12 (see step 3).", "12"),
        ("The answer is 12, not 13.", None),
        ("The answer is that she has 5 apples.", "5"),
        ("The answer is 3 apples and 4 pears.", None),
        ("The answer is not 5.", None),
        ("\\boxed{7}. We may check our answer: 7 + 1 = 8, so our answer is correct.", "7"),
        ("#### 12\n\\boxed{13}", "13"),  # the last mark counts
        ("It takes 5 to 5:30", None),
        ("She drank 3 1/2 cups", "7/2"),
        ("It was the 3rd", None),
        ("It weighs 5kg", "5"),
    ],
)
def test_final_answer(text: str, final: str | None) -> None:
    assert final_answer(text) == final


@pytest.mark.parametrize(
    ("solution", "final"),
    [
        ("2 + 2 = 4\n#### 4", "4"),
        ("#### Step 1: set up\n2+5\n\\boxed{7}", "7"),
        ("#### Step 1\nadd\n#### Step 2\ndouble\n#### 14", "14"),
        ("$\\boxed{9}$ divisors.The answer is: 9", "9"),
        ("#### 18\nQuestion: how many?\n#### 7", "7"),  # a gold solution is read to its end
        ("Half of it.\nSo 3 + 4 = 7", "7"),  # the only number after the last equals sign
        ("She has 4 apples.", "4"),
        ("2 + 2\n####\n4", "4"),
        ("She has 4 apples after 3 days.", None),  # which of them?
        ("3 + 4 = 7\nDone.", None),
        ("10 - 3", None),
        ("It depends", None),
        ("", None),
        ("18", "18"),
        ("x + 1", "x+1"),  # a data set of bare answers
        ("\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\pi/2)"),
        ("\\text{Evelyn}", "Evelyn"),
    ],
)
def test_gold_answer(solution: str, final: str | None) -> None:
    assert gold_answer(solution) == final


@pytest.mark.parametrize(
    "text", ["3 1/2", "100, 200", "3 4", "10^6", "18 dollars", "5 cm", "2 million", "x = 5", "1,2,3"]
)
def test_a_normalised_answer_stays_as_it_is(text: str) -> None:
    assert normalise_result(normalise_result(text)) == normalise_result(text)


@pytest.mark.parametrize(
    ("prediction", "answer"),
    [
        ("42", "42"), ("42.0", "42"), ("042", "42"), ("42.", "42"), ("1,042", "1042"), ("$42", "42"), ("42%", "42"),
        ("-3", "−3"), ("1/2", "0.5"), ("2/4", "1/2"), (".5", "0.50"), ("\\frac{1}{2}", "1/2"), ("x + 1", "x+1"),
        ("\\dfrac{x}{2}", "\\frac{x}{2}"), ("+3", "3"),
    ],
)  # fmt: skip
def test_results_that_agree(prediction: str, answer: str) -> None:
    assert same_result(prediction, answer)
    assert same_result(answer, prediction)


@pytest.mark.parametrize(
    ("prediction", "answer"),
    [
        (None, "42"), ("-42", "42"), ("4", "42"), ("0.33", "1/3"), ("x", "y"), ("1/0", "0"), ("4.2", "42"), ("", "0"),
        ("9" * 5000, "9"), ("X", "x"),
    ],
)  # fmt: skip
def test_results_that_differ(prediction: str | None, answer: str) -> None:
    assert not same_result(prediction, answer)


def test_endless_digits_are_compared_as_text() -> None:
    assert same_result("9" * 5000, "9" * 5000)


def test_texts_agree_without_case_and_white_space_but_with_their_punctuation() -> None:
    assert normalise_text("  Straße\n\tＡ ") == "strasse a"
    assert same_text("The  Cat\n", "the cat")
    assert not same_text("the cat", "the cat.")
    assert not same_text("the cat", "thecat")
