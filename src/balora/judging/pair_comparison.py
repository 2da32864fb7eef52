"""Compare two models' answers to MT-Bench in both orders: a verdict that changes with the order is a tie."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from balora.judging.judge import Judge, Judgement, OnDone
from balora.judging.judge_cost import JudgeCost
from balora.judging.judge_prompts import Prompt, pair_prompt
from balora.judging.questions import Question
from balora.judging.ratings import Verdict, read_verdict
from balora.judging.single_grading import Answers, complete_answers, mean, missing_notes

Winner = Literal["first", "second", "tie"]
SCORES: dict[Winner, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}
IN_ORDER: dict[Verdict, Winner] = {"A": "first", "B": "second", "tie": "tie"}
SWAPPED: dict[Verdict, Winner] = {"A": "second", "B": "first", "tie": "tie"}


class Compared(NamedTuple):
    """What a judge makes of two models' answers."""

    items: list[dict[str, Any]]
    """One a question and turn: `index`, `question_id`, `category`, `turn`, `winner` ("first", "second", "tie" or None),
    `score` (1, 0, 0.5 or None, for the first model), `verdicts` (of both orders), `judgement`, `missing`."""
    metrics: dict[str, float]
    """`judged`, the share of comparisons with a verdict in both orders; of these, the shares `wins`, `losses` and
    `ties` of the first model, `win_rate` (wins and half the ties), and `order_changed`: the share whose verdict changed
    with the order, which measures the judge's bias to a position. Only `judged` where nothing could be judged."""
    notes: tuple[str, ...]
    cost: JudgeCost


def compare_pairs(
    questions: Sequence[Question], first: Answers, second: Answers, judge: Judge, on_done: OnDone | None = None
) -> Compared:
    """Compare two models' answers, each pair twice: with the first model as assistant A, and as assistant B.

    A model wins if both verdicts name it (Zheng et al. 2023, section 3.4, the conservative way). With two turns, each
    turn is a comparison of its own.

    Args:
        questions: what both models answered.
        first: the answers of the one model, as in :func:`balora.judging.single_grading.judge_answers`.
        second: those of the other.
        judge: who compares.
        on_done: called after each judgement; there are two a comparison.

    Raises:
        InputError: answers and questions do not fit.
        ConfigError: as :meth:`Judge.ask`.
    """
    turns = judge.config.turns
    pairs = [
        (index, question, turn, a[:turn], b[:turn])
        for index, (question, a, b) in enumerate(
            zip(questions, *(complete_answers(questions, answers, turns) for answers in (first, second)), strict=True)
        )
        for turn in range(1, turns + 1)
    ]
    prompts = [_prompt(judge, question, turn, a, b) for _, question, turn, a, b in pairs]
    prompts += [_prompt(judge, question, turn, b, a) for _, question, turn, a, b in pairs]
    judgements, cost = judge.ask(prompts, read_verdict, on_done)
    items = [
        {"index": index, "question_id": question.question_id, "category": question.category, "turn": turn,
         **_verdict(judgements[place], judgements[place + len(pairs)])}
        for place, (index, question, turn, _, _) in enumerate(pairs)
    ]  # fmt: skip
    return Compared(
        items, _metrics(items), tuple(missing_notes(items, "compared", "the shares are of the others")), cost
    )


def _prompt(judge: Judge, question: Question, turn: int, first: tuple[str, ...], second: tuple[str, ...]) -> Prompt:
    return pair_prompt(judge.templates, question.turns[:turn], first, second, question.references(turn))


def _verdict(in_order: Judgement[Verdict], swapped: Judgement[Verdict]) -> dict[str, Any]:
    verdicts = [
        None if in_order.value is None else IN_ORDER[in_order.value],
        None if swapped.value is None else SWAPPED[swapped.value],
    ]
    winner = winner_of(*verdicts)
    return {
        "winner": winner,
        "score": None if winner is None else SCORES[winner],
        "verdicts": verdicts,
        "judgement": f"{in_order.text}\n\n{swapped.text}",
        "missing": in_order.missing or swapped.missing,
    }


def winner_of(in_order: Winner | None, swapped: Winner | None) -> Winner | None:
    """Return who wins by the verdicts ``in_order`` and ``swapped``; None if one of them is missing."""
    if in_order is None or swapped is None:
        return None
    return in_order if in_order == swapped else "tie"


def _metrics(items: Sequence[dict[str, Any]]) -> dict[str, float]:
    judged = [item for item in items if item["winner"] is not None]
    metrics = {"judged": len(judged) / len(items)}
    if judged:
        shares = {"wins": "first", "losses": "second", "ties": "tie"}
        metrics |= {name: mean([float(item["winner"] == winner) for item in judged]) for name, winner in shares.items()}
        metrics["win_rate"] = mean([item["score"] for item in judged])
        metrics["order_changed"] = mean([float(len(set(item["verdicts"])) > 1) for item in judged])
    return metrics
