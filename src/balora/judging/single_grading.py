"""Rate a model's answers to MT-Bench one by one, from 1 to 10 (Zheng et al. 2023, single-answer grading)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from balora.errors import InputError, shown
from balora.judging.judge import Judge, Judgement, OnDone
from balora.judging.judge_cost import JudgeCost
from balora.judging.judge_prompts import single_prompt
from balora.judging.questions import COUNT, WITH_REFERENCE, Question
from balora.judging.ratings import read_rating

METRICS = ("mt_bench_first_turn", "mt_bench_second_turn")
Answers = Sequence[Sequence[str] | None]
"""A model's answers by question: one a turn, or None for a question that has no room in the model."""


class Judged(NamedTuple):
    """What a judge makes of a model's answers."""

    items: list[dict[str, Any]]
    """One a question, in their order: `index`, `question_id`, `category`, `text` (the answers, or None), `score` (from
    1 to 10, the mean of the turns, or None), `ratings` (one a turn), `judgement` (what the judge wrote), `missing` (why
    there is no score, or None)."""
    metrics: dict[str, float]
    """`judged`, the share of judgements that came; `mt_bench_first_turn` and, with two turns, `mt_bench_second_turn`,
    the mean rating of the judged answers. A turn of which nothing could be judged is not in it."""
    notes: tuple[str, ...]
    cost: JudgeCost


class Exchange(NamedTuple):
    """A question, a model's answer, and the reference answer that the judge compares it with, if there is one."""

    question: str
    answer: str
    reference: str | None = None


def judge_answers(
    questions: Sequence[Question], answers: Answers, judge: Judge, on_done: OnDone | None = None
) -> Judged:
    """Rate answers to MT-Bench, each turn by itself.

    A question without room in the model is judged as an empty answer: it is the model that failed, not the judge, and
    FastChat too judges whatever a model returns. A judgement that does not come is missing, and is no part of any mean.

    Args:
        questions: as :func:`balora.judging.questions.read_questions` returns them.
        answers: one entry a question, each with at least `judge.config.turns` answers.
        judge: who rates.
        on_done: called after each judgement.

    Raises:
        InputError: answers and questions do not fit.
        ConfigError: as :meth:`Judge.ask`.
    """
    turns = judge.config.turns
    given = complete_answers(questions, answers, turns)
    prompts = [
        single_prompt(judge.templates, question.turns[:turn], texts[:turn], question.references(turn))
        for question, texts in zip(questions, given, strict=True)
        for turn in range(1, turns + 1)
    ]
    judgements, cost = judge.ask(prompts, read_rating, on_done)
    by_question = [judgements[start : start + turns] for start in range(0, len(judgements), turns)]
    items = [
        _item(index, question, None if answers[index] is None else given[index], by_question[index])
        for index, question in enumerate(questions)
    ]
    return Judged(items, _metrics(by_question, turns), tuple(_notes(judge, questions, answers, items, cost)), cost)


def rate_exchanges(
    exchanges: Sequence[Exchange], judge: Judge, on_done: OnDone | None = None
) -> tuple[list[Judgement[float]], JudgeCost]:
    """Rate answers to any questions from 1 to 10, as those to MT-Bench are: for tasks of one's own.

    Raises:
        ConfigError: as :meth:`Judge.ask`.
    """
    prompts = [
        single_prompt(
            judge.templates, (one.question,), (one.answer,), None if one.reference is None else (one.reference,)
        )
        for one in exchanges
    ]
    return judge.ask(prompts, read_rating, on_done)


def complete_answers(questions: Sequence[Question], answers: Answers, turns: int) -> list[tuple[str, ...]]:
    """Return the answers of the first ``turns`` turns; empty ones for a question without room in the model.

    Raises:
        InputError: there are more or fewer answers than questions, or fewer turns than are judged.
    """
    if len(questions) != len(answers):
        raise InputError(f"MT-Bench: {len(answers):,} answers to {len(questions):,} questions: give one a question")
    if not questions:
        raise InputError("MT-Bench: no question was given: give at least one")
    for question, texts in zip(questions, answers, strict=True):
        if texts is not None and (isinstance(texts, str) or len(texts) < turns):
            raise InputError(
                f"MT-Bench: question {question.question_id} needs answers to {turns} turns, got {shown(texts)}"
            )
    return [("",) * turns if texts is None else tuple(texts[:turns]) for texts in answers]


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value."""
    return sum(values) / len(values)


def _item(
    index: int, question: Question, texts: tuple[str, ...] | None, judgements: Sequence[Judgement[float]]
) -> dict[str, Any]:
    ratings = [judgement.value for judgement in judgements]
    known = [rating for rating in ratings if rating is not None]
    missing = [judgement.missing for judgement in judgements if judgement.missing is not None]
    return {
        "index": index,
        "question_id": question.question_id,
        "category": question.category,
        "score": mean(known) if len(known) == len(ratings) else None,
        "ratings": ratings,
        "text": None if texts is None else "\n\n".join(texts),
        "judgement": "\n\n".join(judgement.text for judgement in judgements),
        "missing": missing[0] if missing else None,
    }


def _metrics(by_question: Sequence[Sequence[Judgement[float]]], turns: int) -> dict[str, float]:
    metrics = {"judged": mean([float(j.value is not None) for judgements in by_question for j in judgements])}
    for turn, name in enumerate(METRICS[:turns]):
        ratings = [rating for judgements in by_question if (rating := judgements[turn].value) is not None]
        if ratings:
            metrics[name] = mean(ratings)
    return metrics


def _notes(
    judge: Judge, questions: Sequence[Question], answers: Answers, items: Sequence[dict[str, Any]], cost: JudgeCost
) -> list[str]:
    config, notes = judge.config, []
    if config.prompts != "fastchat":
        notes.append(
            f"MT-Bench was judged by {shown(config.model)} with balora's own prompts ({config.prompts}): compare its "
            "ratings with each other, not with published ones"
        )
    notes += missing_notes(items, "rated", "the mean is that of the others")
    if len(questions) != COUNT:
        notes.append(f"{len(questions):,} of MT-Bench's {COUNT} questions were asked")
    for turn in range(1, config.turns + 1):
        bare = sum(q.category in WITH_REFERENCE and q.references(turn) is None for q in questions)
        if bare:
            notes.append(
                f"{bare:,} questions of {', '.join(WITH_REFERENCE)} were judged without a reference in turn {turn}"
            )
    if count := sum(texts is None for texts in answers):
        notes.append(f"{count:,} questions had no room in the model, and were judged as empty answers")
    if cost.unmetered:
        notes.append(f"{cost.unmetered:,} of the judge's replies reported no tokens: the counts of tokens are too low")
    return notes


def missing_notes(items: Sequence[dict[str, Any]], what: str, then: str) -> list[str]:
    """Return a note that counts the items without a judgement and names up to three with their reason; or nothing."""
    missing = [item for item in items if item["missing"] is not None]
    if not missing:
        return []
    named = "; ".join(f"question {item['question_id']}: {item['missing']}" for item in missing[:3])
    more = f"; and {len(missing) - 3:,} more" if len(missing) > 3 else ""
    return [f"{len(missing):,} of {len(items):,} could not be {what}, and are missing ({named}{more}): {then}"]
