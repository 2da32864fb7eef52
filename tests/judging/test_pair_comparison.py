"""Two models' answers are compared in both orders, and a verdict that changes with the order is a tie."""

from pathlib import Path
from typing import Any

import pytest
from tests.judging.judging_cases import PLAIN, SUM, judge
from tests.judging.loopback_judge import judge_server, says

from balora.judging.pair_comparison import compare_pairs, winner_of
from balora.judging.questions import Question

QUESTIONS = [Question(81 + number, "writing", ("First?", "Second?")) for number in range(3)]


def longer(body: dict[str, Any]) -> str:
    """Prefer the answer with more exclamation marks, whatever the order."""
    first, _, second = body["messages"][-1]["content"].rpartition("Assistant B's answer")
    first = first.rpartition("Assistant A's answer")[2]
    a, b = first.count("!"), second.count("!")
    return "[[A]]" if a > b else "[[B]]" if b > a else "[[C]]"


def test_a_judge_of_content_names_the_same_winner_in_both_orders(tmp_path: Path) -> None:
    first, second = [["a!"], ["b"], ["c"]], [["a"], ["b!"], ["c"]]
    with judge_server(write=longer) as server:
        compared = compare_pairs(QUESTIONS, first, second, judge(server.url, tmp_path))
    assert [item["winner"] for item in compared.items] == ["first", "second", "tie"]
    assert [item["score"] for item in compared.items] == [1, 0, 0.5]
    assert compared.metrics == {
        "judged": 1, "wins": 1 / 3, "losses": 1 / 3, "ties": 1 / 3, "win_rate": 0.5, "order_changed": 0,
    }  # fmt: skip
    assert compared.cost.requests == 6
    assert compared.notes == ()


@pytest.mark.parametrize("verdict", ["[[A]]", "[[B]]"])
def test_a_judge_of_positions_gives_ties_only_and_is_found_out(tmp_path: Path, verdict: str) -> None:
    with judge_server(write=lambda body: verdict) as server:
        compared = compare_pairs(QUESTIONS, [["x"]] * 3, [["y"]] * 3, judge(server.url, tmp_path))
    assert (compared.metrics["ties"], compared.metrics["order_changed"]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("in_order", "swapped", "winner"),
    [
        ("first", "first", "first"), ("second", "second", "second"), ("tie", "tie", "tie"), ("first", "second", "tie"),
        ("second", "first", "tie"), ("first", "tie", "tie"), ("tie", "second", "tie"), (None, "first", None),
        ("first", None, None), (None, None, None),
    ],
)  # fmt: skip
def test_a_model_wins_where_both_orders_name_it(in_order: Any, swapped: Any, winner: Any) -> None:
    assert winner_of(in_order, swapped) == winner


def test_each_turn_is_a_comparison_of_its_own(tmp_path: Path) -> None:
    first, second = [["a!", "a"]], [["a", "a!"]]
    with judge_server(write=longer) as server:
        compared = compare_pairs([SUM], first, second, judge(server.url, tmp_path, turns=2))
    assert [(item["turn"], item["winner"]) for item in compared.items] == [(1, "first"), (2, "second")]
    assert all("Reference answer" in body["messages"][-1]["content"] for body in server.bodies)


def test_a_pair_that_one_order_could_not_judge_is_missing(tmp_path: Path) -> None:
    with judge_server(write=longer, script=[says("Both are fine.")]) as server:
        compared = compare_pairs(QUESTIONS[:2], [["a!"]] * 2, [["a"]] * 2, judge(server.url, tmp_path, retries=0))
    assert [item["winner"] for item in compared.items] == [None, "first"]
    assert compared.items[0]["verdicts"] == [None, "first"]
    assert (compared.metrics["judged"], compared.metrics["wins"]) == (0.5, 1.0)
    assert compared.notes == (
        "1 of 2 could not be compared, and are missing (question 81: the reply holds no [[A]], [[B]] or [[C]]): the "
        "shares are of the others",
    )


def test_nothing_judged_gives_no_shares(tmp_path: Path) -> None:
    compared = compare_pairs([PLAIN], [["a"]], [["b"]], judge("http://127.0.0.1:9/v1", tmp_path, retries=0))
    assert compared.metrics == {"judged": 0.0}
