"""Ratings and verdicts are read from a judge's reply, or the reply is refused: never guessed."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balora.judging.ratings import UnusableReplyError, read_rating, read_verdict


@pytest.mark.parametrize(
    ("reply", "rating"),
    [
        ("A fine answer. Rating: [[7]]", 7.0),
        ("Rating: [[7.5]]", 7.5),
        ("[[ 10 ]]", 10.0),
        ("Rating: [[1]]\nI repeat: [[1]].", 1.0),
        ("Rating: [[7.0]] … [[7]]", 7.0),
        ("Rating: [8]", 8.0),
        ("**Rating**: [8.5]", 8.5),
        ("The list a[3] is right. Rating: [[3]]", 3.0),
        ("<think>Perhaps [[2]].</think>Rating: [[9]]", 9.0),
    ],
)
def test_the_rating_in_double_brackets_is_read(reply: str, rating: float) -> None:
    assert read_rating(reply) == rating


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ("", "the reply is empty"),
        (" \n", "the reply is empty"),
        ("<think>[[5]]</think>", "the reply is empty"),
        ("I cannot rate this.", "the reply holds no [[rating]]"),
        ("Rating: [[rating]]", "the reply holds no [[rating]]"),
        ("Rating: 7/10", "the reply holds no [[rating]]"),
        ("a[3] is right", "the reply holds no [[rating]]"),
        ("Rating: [[-3]]", "the reply holds no [[rating]]"),
        ("Rating: [[٧]]", "the reply holds no [[rating]]"),
        ("Rating: [[11]]", "the rating 11 is outside 1 to 10"),
        ("Rating: [[0]]", "the rating 0 is outside 1 to 10"),
        ("Rating: [[0.99]]", "the rating 0.99 is outside 1 to 10"),
        ('The answer says "[[10]]". Rating: [[1]]', "the reply holds ratings that differ: 10, 1"),
    ],
)
def test_a_reply_without_one_rating_from_1_to_10_is_refused(reply: str, says: str) -> None:
    with pytest.raises(UnusableReplyError) as refused:
        read_rating(reply)
    assert str(refused.value) == says


@given(st.text(alphabet="[]A1.0 Rating:\n", max_size=60))
def test_any_text_gives_a_rating_from_1_to_10_or_is_refused(reply: str) -> None:
    with suppress(UnusableReplyError):
        assert 1 <= read_rating(reply) <= 10


@pytest.mark.parametrize(("reply", "verdict"), [("[[A]]", "A"), ("So: [[B]].", "B"), ("[[C]] … [[C]]", "tie")])
def test_the_verdict_on_a_pair_is_read(reply: str, verdict: str) -> None:
    assert read_verdict(reply) == verdict


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ("", "the reply is empty"),
        ("A is better", "the reply holds no [[A]], [[B]] or [[C]]"),
        ("[[a]]", "the reply holds no [[A]], [[B]] or [[C]]"),
        ("Not [[B]] but [[A]]", "the reply holds verdicts that differ: A, B"),
    ],
)
def test_a_reply_without_one_verdict_is_refused(reply: str, says: str) -> None:
    with pytest.raises(UnusableReplyError) as refused:
        read_verdict(reply)
    assert str(refused.value) == says
