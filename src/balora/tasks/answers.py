"""Extract the final answer of a worked answer, and compare answers; torch-free.

A worked answer's *final answer* is, in this order:

1. what follows the first `####` (GSM8K): the number there, or the rest of its line;
2. the content of the last `\\boxed{…}`, braces balanced (MATH);
3. the last number of the text.

The first `####` counts, because a model that misses its end goes on with a question and an answer of its own.
"""

import re
import unicodedata
from fractions import Fraction

MINUS = r"(?:(?<![\w)}\]])[-−])?"  # in "10-3" it subtracts, in "= -3" it belongs to the number
NUMBER = MINUS + r"(?:\$\s?[-−]?)?(?:(?:\d+(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s?/\s?\d+)?|\.\d+)"
MARK = re.compile(r"####[ \t]*([^\n]*)")
BOXED = re.compile(r"\\f?boxed\s*")
LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
LATEX_SHORT_FRACTION = re.compile(r"\\[dt]?frac\s*(\d)\s*(\d)(?!\d)")
LATEX_TEXT = re.compile(r"\\(?:text|mathrm|textbf|mbox)\s*\{([^{}]*)\}")
LATEX_NOISE = re.compile(r"\\left|\\right|\\[!,;: ]|\^\s*(?:\\circ|\{\s*\\circ\s*\})")
RATIONAL = re.compile(r"([-+]?)(\d+\.?\d*|\.\d+)(?:/(\d+))?")


def final_answer(text: str) -> str | None:
    """Return the normalised final answer of a worked answer, or None where it has none."""
    marked = MARK.search(text)
    if marked:
        number = re.search(NUMBER, marked[1])
        found = number[0] if number else marked[1]
    else:
        numbers = re.findall(NUMBER, text)
        boxed = _last_boxed(text)
        found = boxed if boxed is not None else numbers[-1] if numbers else ""
    return normalise_result(found) or None


def same_result(prediction: str | None, answer: str) -> bool:
    """Return whether two final answers agree: as exact rational numbers where both are, else as normalised text.

    `42` = `42.0`; `1/2` = `0.5`; `50%` = `50`; but `0.33` ≠ `1/3`.
    """
    if prediction is None:
        return False
    left, right = normalise_result(prediction), normalise_result(answer)
    numbers = _rational(left), _rational(right)
    return left == right if None in numbers else numbers[0] == numbers[1]


def same_text(prediction: str, answer: str) -> bool:
    """Return whether two free texts agree after :func:`normalise_text`."""
    return normalise_text(prediction) == normalise_text(answer)


def normalise_text(text: str) -> str:
    """Return ``text`` in Unicode NFKC, without case, with every run of white space as one blank, trimmed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def normalise_result(result: str) -> str:
    """Return a final answer without dress: thousands' commas, `$`, `%`, a last full stop, LaTeX spacing, blanks.

    `\\frac{a}{b}` becomes `a/b`, `\\text{cm}` becomes `cm`; every minus sign becomes `-`.
    """
    text = LATEX_NOISE.sub("", result.replace("−", "-"))
    text = LATEX_TEXT.sub(r"\1", text)
    text = LATEX_SHORT_FRACTION.sub(r"\1/\2", LATEX_FRACTION.sub(r"\1/\2", text))
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", re.sub(r"\\?[$%]", "", text))
    return re.sub(r"\s+", "", text).rstrip(".")


def _rational(text: str) -> Fraction | None:
    match = RATIONAL.fullmatch(text)
    if not match:
        return None
    sign, number, divisor = match.groups()
    try:
        value = Fraction(number) / Fraction(divisor or 1)
    except (ValueError, ZeroDivisionError):  # thousands of digits (Python refuses to convert them), or x/0
        return None
    return -value if sign == "-" else value


def _last_boxed(text: str) -> str | None:
    matches = list(BOXED.finditer(text))
    if not matches:
        return None
    rest = text[matches[-1].end() :]
    if not rest.startswith("{"):
        return re.split(r"[\s$]", rest, maxsplit=1)[0]
    depth = 0
    for position, character in enumerate(rest):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return rest[1:position]
    return rest[1:]  # the end is missing: generation was cut off
