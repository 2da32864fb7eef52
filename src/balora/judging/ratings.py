"""Read the rating of one answer, or the verdict on two, from what a judge wrote."""

import re
from typing import Literal

Verdict = Literal["A", "B", "tie"]

BEST, WORST = 10.0, 1.0
NUMBER = r"\[\[\s*(\d{1,4}(?:\.\d{1,6})?)\s*\]\]"
NUMBER_AFTER_WORD = r"(?i:rating|grade|score)\W{0,10}\[\s*(\d{1,4}(?:\.\d{1,6})?)\s*\]"
VERDICTS: dict[str, Verdict] = {"A": "A", "B": "B", "C": "tie"}


class UnusableReplyError(ValueError):
    """A judge's reply holds no verdict, or two that differ; the message says which."""


def read_rating(reply: str) -> float:
    """Return the rating from 1 to 10 in double brackets, as in `Rating: [[7]]`; decimals count.

    Without one, a number in single brackets right after the word rating, grade or score counts too.

    Note: FastChat's `run_judge_single` takes the first bracketed number, whatever it is and whatever follows. A judge
    that quotes a "[[10]]" from the answer it judges would then be misread, so two different ratings are no rating here,
    and neither is one outside 1 to 10 (tests/judging/test_ratings.py).

    Raises:
        UnusableReplyError: there is none, there are several that differ, or it is outside 1 to 10.
    """
    said = _after_thoughts(reply)
    found = re.findall(NUMBER, said, re.ASCII) or re.findall(NUMBER_AFTER_WORD, said, re.ASCII)
    ratings = list(dict.fromkeys(map(float, found)))
    if not ratings:
        raise UnusableReplyError("the reply is empty" if not said.strip() else "the reply holds no [[rating]]")
    if len(ratings) > 1:
        raise UnusableReplyError(f"the reply holds ratings that differ: {', '.join(f'{r:g}' for r in ratings[:5])}")
    if not WORST <= ratings[0] <= BEST:
        raise UnusableReplyError(f"the rating {ratings[0]:g} is outside {WORST:g} to {BEST:g}")
    return ratings[0]


def read_verdict(reply: str) -> Verdict:
    """Return which of two answers is better: `[[A]]`, `[[B]]`, or `[[C]]` for a tie.

    Raises:
        UnusableReplyError: there is no verdict, or there are two that differ.
    """
    said = _after_thoughts(reply)
    verdicts = sorted(set(re.findall(r"\[\[\s*([ABC])\s*\]\]", said)))
    if not verdicts:
        raise UnusableReplyError(
            "the reply is empty" if not said.strip() else "the reply holds no [[A]], [[B]] or [[C]]"
        )
    if len(verdicts) > 1:
        raise UnusableReplyError(f"the reply holds verdicts that differ: {', '.join(verdicts)}")
    return VERDICTS[verdicts[0]]


def _after_thoughts(reply: str) -> str:
    """Return the reply without the thoughts that a reasoning model may write before it."""
    return reply.rpartition("</think>")[2]
