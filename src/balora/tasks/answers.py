"""Find the final answer of a worked answer, and compare answers; torch-free.

A *marked* answer is what follows `####` (GSM8K), the content of `\\boxed{…}` (MATH), or what follows "The answer is"
and "Answer:". It is taken whole or not at all: `#### 5:30` is the text `5:30`, never the number 5. The last `####` or
box counts, and "the answer is" only where there is neither. A `####` before words, with more text below it, is a
heading, and "the answer is" before a clause without a number is prose; neither marks.

Model outputs and gold solutions differ in two things. A model that misses its end goes on with a question of its own:
what follows such a `Question:` line does not count. Without a mark, the last number of a model's output counts if it
stands alone; of a gold solution, only a number that is the only one of its last line (after the last `=`) does.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from balora.tasks.written_numbers import Number, last_number, only_number, plain, read_number

MARKS = re.compile(
    r"(?P<title>^[#*_ ]*(?:the )?(?:final |correct )?answer[*_ ]*$)|"
    r"(?P<hashes>(?<!#)####(?!#))|(?P<box>\\(?:boxed|fbox)(?![a-z])\s*)|"
    r"(?P<said>\b(?:answer|ans)\b(?:[ ](?:to|for|of)\b[^\n.:=#\d]{1,60}?)?[*_ ]*"
    r"(?:(?P<colon>[:=])|\b(?:is|equals)\b(?!n))[*_} ]*[:=]?(?:[ ](?:therefore|thus|simply|just|then)\b)?)",
    re.IGNORECASE | re.MULTILINE,
)
NEXT_QUESTION = re.compile(
    r"^[#*_ ]*(?:question|problem|instruction|exercise|user|human|q)(?: ?\d+)?[*_ ]*:", re.IGNORECASE | re.MULTILINE
)
SENTENCE_END = re.compile(r"(?<!\\)[.!?]+[*_\"')\]]*(?=\s|$)")
HEADING = re.compile(r"[^\w$\\(\[{+-]*(?:[^\W\d_]{2,}|\d+[.):] )")
THOUGHT_END = re.compile(r"</think(?:ing)?>|\[/THINK\]")
STEP = re.compile(
    r"^[#*_ ]*(?:step|part|case|problem|question|example|section|phase)\b[ #]*\d+", re.IGNORECASE | re.MULTILINE
)
COMMAND = re.compile(r"\\[A-Za-z]+(?:\{[^{}]*\})?")
FORMULA = re.compile(r"[^\W\d]|[\\(\[,:^]")
WORD = re.compile(r"[^\W\d_]{2,}")
NATURAL_WORD = re.compile(r"[^\W\d_]{3,}")
HEDGED = re.compile(r"\b(?:not|never|than|least|most|between)\b|n't", re.IGNORECASE)
NOT_BLANK = re.compile(r"\S")
BARE = " \t\r*_:="
MOST_WORDS = 3
"""A longer text after a mark is a sentence, not an answer."""
MOST_MARKS = 200
"""Most marks that are looked at, from the last one backwards."""
MOST_QUESTIONS = 20
"""Most lines that are tried as the question of a model that missed its end."""

BETWEEN_DIGITS = re.compile(r"(?<=\d)\s+(?=\d)")
BETWEEN_GROUPS = re.compile(r"(?<=\d,)\s+(?=\d{3}(?!\d))")
NAME_OF_UNKNOWN = re.compile(r"[A-Za-z][A-Za-z]?=(?=[^=]+$)")


class Marked(NamedTuple):
    """What one mark marks."""

    answer: str | None
    """None where it cannot be read whole."""
    end: int
    """Where the text after it starts, in which a number may stand where the mark has none."""
    written: str | None = None
    """The answer as it was written, with its box; None where it was cut off or nothing is there."""


def final_answer(text: str) -> str | None:
    """Return the normalised final answer of a model's output, or None where none can be read with certainty."""
    text = counted_text(text)
    marked = last_marked(text)
    if marked is None:
        return bare_formula(text) or last_number(STEP.sub("", text))
    return marked.answer or last_number(text[marked.end :])


def gold_answer(solution: str) -> str | None:
    """Return the normalised final answer of a gold solution, or None where none can be read with certainty."""
    solution = said_aloud(solution)
    marked = last_marked(solution)
    if marked is not None:
        return marked.answer
    lines = [line for line in solution.splitlines() if line.strip()]
    return bare_formula(solution) or only_number(lines[-1].rpartition("=")[2]) if lines else None


def counted_text(text: str) -> str:
    """Return the part of a model's output that counts: what follows the last thought, up to a further question."""
    return _before_the_next_question(said_aloud(text))


def said_aloud(text: str) -> str:
    """Return what follows the end of the last thought; a box or "the answer is" within a thought marks nothing."""
    text = text.replace("\r\n", "\n")
    ends = [match.end() for match in THOUGHT_END.finditer(text)]
    return text[ends[-1] :] if ends and text[ends[-1] :].strip() else text


def bare_formula(text: str) -> str | None:
    """Return a text that is nothing but a formula, as the answers of some data sets are; no sum that is to be done."""
    text = text.strip()
    prose = "\n" in text or WORD.search(COMMAND.sub("", text)) or MARKS.search(text)
    return normalise_result(text) if FORMULA.search(text) and not prose else None


def same_result(prediction: str | None, answer: str) -> bool:
    """Return whether two final answers agree: as exact rational numbers where both are, else as normalised text.

    `42` = `42.0`; `1/2` = `0.5`; `50%` = `50`; but `0.33` ≠ `1/3`. Units count only where both answers state one.
    """
    if prediction is None:
        return False
    left, right = read_number(prediction), read_number(answer)
    if left is None or right is None:
        return _comparable(prediction) == _comparable(answer)
    return left.value == right.value and _units_agree(left.unit, right.unit)


def same_text(prediction: str, answer: str) -> bool:
    """Return whether two free texts agree after :func:`normalise_text`."""
    return normalise_text(prediction) == normalise_text(answer)


def normalise_text(text: str) -> str:
    """Return ``text`` in Unicode NFKC, without case, with every run of white space as one blank, trimmed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def normalise_result(result: str) -> str:
    """Return a final answer without dress: a number in plain digits with its unit, any other text without blanks.

    A blank stays where two numbers would become one without it. `\\frac{a}{b}` becomes `a/b`, `\\text{cm}` becomes
    `cm`.
    """
    number = read_number(result)
    return _of_number(number) if number else _of_text(result)


def _of_number(number: Number) -> str:
    return f"{number.written} {number.unit}".strip()


def _of_text(text: str) -> str:
    kept = BETWEEN_DIGITS.sub("\0", re.sub(r"[$%]", "", plain(text)).strip())
    if not kept.startswith(("(", "[", "{", "\\{")):  # `100, 200` is a list, and `100,200` a number
        kept = BETWEEN_GROUPS.sub("\0", kept)
    return re.sub(r"\s+", "", kept).replace("\0", " ").strip("*_").rstrip(".")


def _comparable(text: str) -> str:
    """Return a text without what is written in two ways: `x^{2}` and `x^2`, `x=5` and `5`."""
    return NAME_OF_UNKNOWN.sub("", re.sub(r"([\^_])\{(\w)\}", r"\1\2", _of_text(text)), count=1)


def _units_agree(left: str, right: str) -> bool:
    """Return whether one unit starts with the words of the other; the plural does not matter."""
    first, second = ([word.rstrip("s.") for word in unit.split()] for unit in (left, right))
    return all(one == other for one, other in zip(first, second, strict=False))


def _before_the_next_question(text: str) -> str:
    """Return the text up to a further question that follows a marked answer: the model missed its end."""
    for match in islice(NEXT_QUESTION.finditer(text), MOST_QUESTIONS):
        if last_marked(text[: match.start()]) is not None:
            return text[: match.start()]
    return text


def last_marked(text: str) -> Marked | None:
    """Return what the last `####` or box marks; without any, the last "the answer is"."""
    said = None
    for match in list(MARKS.finditer(text))[: -MOST_MARKS - 1 : -1]:
        kind = str(match.lastgroup)
        for marked in READ[kind](text, match):
            if kind in ("hashes", "box"):
                return marked
            said = said or marked
    return said


def _hashes(text: str, match: re.Match[str]) -> Iterator[Marked]:
    """Yield what `####` marks: its line, or where that is empty the number below it; nothing for a heading."""
    line, end = _line(text, match.end())
    line = line.partition("####")[0]
    if not line.strip(BARE):
        yield _below(text, end)
    elif number := read_number(line, comma_decimals=True):
        yield Marked(_of_number(number), end, line)
    elif NOT_BLANK.search(text, end) is None or not HEADING.match(line.lstrip()):
        whole = line.strip()[:1].isdigit() or len(line.split()) <= MOST_WORDS or not is_prose(line)
        yield Marked(_of_text(line) or None if whole else None, end, line)


def _title(text: str, match: re.Match[str]) -> Iterator[Marked]:
    """Yield the number below a line that only says "Answer"."""
    yield _below(text, match.end())


def _box(text: str, match: re.Match[str]) -> Iterator[Marked]:
    """Yield the content of a box, braces balanced; a box without an end was cut off and holds no whole answer."""
    content, end = _in_braces(text, match.end())
    if content is None:
        yield Marked(None, end)
    elif content.strip():
        yield Marked(normalise_result(content) or None, end, f"\\boxed{{{content}}}")


def _said(text: str, match: re.Match[str]) -> Iterator[Marked]:
    """Yield what follows "the answer is", up to the end of the sentence; of a sentence, its only number."""
    line, end = _line(text, match.end())
    if not line.strip(BARE):
        if match["colon"] and NOT_BLANK.search(text, end):
            yield _below(text, end)
        return
    stop = SENTENCE_END.search(line)
    said = line[: stop.start()] if stop else line
    after = match.end() + (stop.end() if stop else len(line))
    short = match["colon"] is not None and len(said.split()) <= MOST_WORDS and not NOT_BLANK.search(text, after)
    if number := read_number(said):
        yield Marked(_of_number(number), after, said)
    elif short or not is_prose(said):
        yield Marked(_of_text(said) or None, after, said)
    elif re.search(r"\d", said):
        yield Marked(None if HEDGED.search(said) else only_number(said), after, said)


READ = {"hashes": _hashes, "box": _box, "said": _said, "title": _title}


def _line(text: str, start: int) -> tuple[str, int]:
    """Return the rest of the line from ``start`` on, and where it ends."""
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    return text[start:end], end


def _below(text: str, start: int) -> Marked:
    """Return the number that the next line with text is."""
    first = NOT_BLANK.search(text, start)
    line = _line(text, first.start())[0] if first else ""
    number = read_number(line, comma_decimals=True)
    return Marked(_of_number(number) if number else None, start, line or None)


def _in_braces(text: str, start: int) -> tuple[str | None, int]:
    """Return the group that opens at ``start`` without its braces (None if it has no end), and where it ends."""
    if not text.startswith("{", start):
        bare = re.compile(r"[^\s$]*").match(text, start)
        return (bare[0], bare.end()) if bare else ("", start)
    depth = 0
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += (match[0] == "{") - (match[0] == "}")
        if depth == 0:
            return text[start + 1 : match.start()], match.end()
    return None, len(text)


def is_prose(text: str) -> bool:
    """Return whether a text has words of a language beside formulas."""
    return NATURAL_WORD.search(COMMAND.sub("", text)) is not None
