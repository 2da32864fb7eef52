"""Answers to MT-Bench are rated one by one; what could not be judged is missing and said, never 0."""

from pathlib import Path
from typing import Any

import pytest
from tests.judging.judging_cases import PLAIN, SUM, judge
from tests.judging.loopback_judge import judge_server, loopback_judge, says

from balora.errors import InputError
from balora.judging.judge_cost import JudgeCost
from balora.judging.questions import Question, read_questions
from balora.judging.single_grading import Exchange, judge_answers, rate_exchanges


def last_number(body: dict[str, Any]) -> str:
    """Rate an answer by the number after its last `worth`."""
    return f"Rating: [[{body['messages'][-1]['content'].rpartition('worth ')[2].split()[0]}]]"


QUESTIONS = [Question(81 + number, "writing", ("First?", "Second?")) for number in range(4)]
ANSWERS = [["worth 2", "worth 8"], ["worth 3", "worth 9"], ["worth 7.5", "worth 10"], ["worth 1", "worth 1"]]


def test_the_mean_rating_of_the_first_turn_is_that_of_the_answers(tmp_path: Path) -> None:
    with judge_server(write=last_number) as server:
        judged = judge_answers(QUESTIONS, ANSWERS, judge(server.url, tmp_path))
    assert judged.metrics == {"judged": 1.0, "mt_bench_first_turn": (2 + 3 + 7.5 + 1) / 4}
    assert [item["score"] for item in judged.items] == [2, 3, 7.5, 1]
    assert judged.items[2] == {
        "index": 2, "question_id": 83, "category": "writing", "score": 7.5, "ratings": [7.5], "text": "worth 7.5",
        "judgement": "Rating: [[7.5]]", "missing": None,
    }  # fmt: skip
    assert judged.cost == JudgeCost(requests=4, prompt_tokens=400, completion_tokens=80)
    assert all("Second?" not in str(body) for body in server.bodies)


def test_two_turns_are_rated_apart_and_an_item_holds_their_mean(tmp_path: Path) -> None:
    with judge_server(write=last_number) as server:
        judged = judge_answers(QUESTIONS, ANSWERS, judge(server.url, tmp_path, turns=2))
    assert judged.metrics == {"judged": 1.0, "mt_bench_first_turn": 13.5 / 4, "mt_bench_second_turn": 28 / 4}
    assert [item["score"] for item in judged.items] == [5, 6, 8.75, 1]
    assert judged.items[0]["ratings"] == [2, 8]
    assert judged.items[0]["text"] == "worth 2\n\nworth 8"


def test_what_could_not_be_judged_is_missing_and_no_part_of_the_mean(tmp_path: Path) -> None:
    script = [says("I refuse."), says("Rating: [[0]]")]
    with judge_server(write=last_number, script=script) as server:
        judged = judge_answers(QUESTIONS, ANSWERS, judge(server.url, tmp_path, retries=0))
    assert judged.metrics == {"judged": 0.5, "mt_bench_first_turn": (7.5 + 1) / 2}
    assert [item["score"] for item in judged.items] == [None, None, 7.5, 1]
    assert judged.items[0]["missing"] == "the reply holds no [[rating]]"
    assert judged.items[0]["judgement"] == "I refuse."
    assert judged.cost.failures == 2
    assert (
        "2 of 4 could not be rated, and are missing (question 81: the reply holds no [[rating]]; question 82: the "
        "rating 0 is outside 1 to 10): the mean is that of the others"
    ) in judged.notes


def test_with_two_turns_an_item_needs_both_and_a_turn_takes_what_it_has(tmp_path: Path) -> None:
    with judge_server(write=last_number, script=[says("?")]) as server:
        judged = judge_answers(QUESTIONS[:2], ANSWERS[:2], judge(server.url, tmp_path, turns=2, retries=0))
    assert judged.metrics == {"judged": 0.75, "mt_bench_first_turn": 3.0, "mt_bench_second_turn": 8.5}
    assert [item["score"] for item in judged.items] == [None, 6]
    assert judged.items[0]["ratings"] == [None, 8]


def test_a_judge_that_is_gone_leaves_no_score_at_all(tmp_path: Path) -> None:
    judged = judge_answers(QUESTIONS, ANSWERS, judge("http://127.0.0.1:9/v1", tmp_path, retries=0))
    assert judged.metrics == {"judged": 0.0}
    assert {item["score"] for item in judged.items} == {None}
    assert "; and 1 more): the mean is that of the others" in "\n".join(judged.notes)


def test_a_question_without_room_in_the_model_is_judged_as_an_empty_answer(tmp_path: Path) -> None:
    with judge_server() as server:
        asked = judge(server.url, tmp_path)
        without_room = judge_answers([PLAIN], [None], asked)
        empty = judge_answers([PLAIN], [[""]], asked)
    assert without_room.items[0]["score"] == empty.items[0]["score"] is not None
    assert (without_room.items[0]["text"], empty.items[0]["text"]) == (None, "")
    assert "1 questions had no room in the model, and were judged as empty answers" in without_room.notes
    assert empty.cost.cached == 1


def test_a_reference_is_shown_in_its_categories_and_its_want_is_noted(tmp_path: Path) -> None:
    bare = Question(129, "coding", ("Code?", "More?"))
    with judge_server() as server:
        judged = judge_answers([PLAIN, SUM, bare], [["a"], ["b"], ["c"]], judge(server.url, tmp_path))
    shown = ["Reference answer" in body["messages"][-1]["content"] for body in server.bodies]
    assert shown == [False, True, False]
    assert "1 questions of math, reasoning, coding were judged without a reference in turn 1" in judged.notes


def test_notes_say_that_own_prompts_give_no_published_numbers_and_that_questions_are_few(tmp_path: Path) -> None:
    with loopback_judge() as url:
        judged = judge_answers([PLAIN], [["a"]], judge(url, tmp_path))
    assert judged.notes == (
        "MT-Bench was judged by 'loopback' with balora's own prompts (balora-1): compare its ratings with each other, "
        "not with published ones",
        "1 of MT-Bench's 80 questions were asked",
    )


def test_answers_to_any_questions_are_rated_with_or_without_a_reference(tmp_path: Path) -> None:
    exchanges = [Exchange("Name a fruit.", "worth 4"), Exchange("2 + 3?", "worth 6", "5")]
    with judge_server(write=last_number) as server:
        judgements, cost = rate_exchanges(exchanges, judge(server.url, tmp_path))
    assert [judgement.value for judgement in judgements] == [4, 6]
    assert cost.requests == 2
    shown = ["Reference answer:\n<<<\n5\n" in body["messages"][-1]["content"] for body in server.bodies]
    assert shown == [False, True]


def test_replies_without_tokens_are_noted(tmp_path: Path) -> None:
    with judge_server(script=[says("Rating: [[5]]", usage=None)]) as server:
        judged = judge_answers([PLAIN], [["a"]], judge(server.url, tmp_path))
    assert "1 of the judge's replies reported no tokens: the counts of tokens are too low" in judged.notes


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([["a"]], "1 answers to 2 questions"),
        ([["a"], []], "question 111 needs answers to 1 turns"),
        ([["a"], "text"], "question 111 needs answers to 1 turns, got 'text'"),
    ],
)
def test_answers_that_do_not_fit_are_refused(tmp_path: Path, answers: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        judge_answers([PLAIN, SUM], answers, judge("http://127.0.0.1:9/v1", tmp_path))


def test_no_question_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no question was given"):
        judge_answers([], [], judge("http://127.0.0.1:9/v1", tmp_path))


def test_the_80_real_questions_are_judged_in_both_turns_and_again_for_nothing(data: Path, tmp_path: Path) -> None:
    questions = read_questions(data / "mt_bench" / "question.jsonl")
    answers = [[f"My answer to {question.turns[0]}", "And more."] for question in questions]
    with loopback_judge() as url:
        judged = judge_answers(questions, answers, judge(url, tmp_path, turns=2, concurrency=8))
        again = judge_answers(questions, answers, judge(url, tmp_path, turns=2))
    assert judged.cost.requests == again.cost.cached == 160
    assert judged.items == again.items
    assert judged.metrics == again.metrics
    assert judged.metrics["judged"] == 1.0
    assert "4 questions of math, reasoning, coding were judged without a reference in turn 2" in judged.notes
