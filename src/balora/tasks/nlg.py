"""Prepare and score generation tasks: answers learnt after prompts, scored by exact match and by their loss."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from balora.errors import ConfigError, DataError
from balora.tasks.behaviour import Behaviour
from balora.tasks.catalogue import Task, find_task
from balora.tasks.config import DataConfig
from balora.tasks.encoding import IGNORED, encode_exchanges
from balora.tasks.evaluating import OnRows
from balora.tasks.exchange import Exchange
from balora.tasks.generation import answer_loss, generate
from balora.tasks.grading import PLAIN, Tools, grade
from balora.tasks.prepared import (
    Encoded,
    Prepared,
    draw,
    length_limit,
    pad_id_of,
    question_of,
    read_both,
    repeated,
    seen_in_training,
)
from balora.tasks.prompts import render, uses_chat_template
from balora.tasks.row_checks import UNANSWERED, Row
from balora.tasks.sampling import generate_samples
from balora.tasks.scores import Evaluation, task_score
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.thoughts import after_thought, thought_of
from balora.tasks.turn_end import TurnEnd, turn_end

CHUNK = 512


def prepare_nlg(
    task: Task,
    data: DataConfig,
    tokenizer: Any,
    *,
    seed: int,
    max_positions: int | None = None,
    train: bool = True,
    score: bool = True,
    style: Task | None = None,
    learnt_questions: Collection[str] = (),
    testbed: TestbedConfig | None = None,
) -> Prepared:
    """Return the task's rows as tokens: prompt, answer and its end, with labels on the answer and the end only, and
    in training, unless ``data.turns`` is `last`, on the assistant's earlier turns.

    The end is the token with which the tokenizer's chat template closes a turn, else the tokenizer's end token.

    Nothing is ever truncated. Training rows over the limit are left out and counted. Evaluation rows also hold
    `prompt_ids`, `answer` (the reference for exact match) and `thought` (what stands before it in the answer's turn);
    those too long for the model are counted in the notes, and wrong (see :func:`evaluate_nlg`).

    Args:
        task: one of the NLG tasks of the catalogue.
        data: where the rows are, how many are used, how long they may be, and the prompt.
        tokenizer: a transformers tokenizer; one without an end token teaches no end, and a note records it.
        seed: decides which training rows are drawn, where ``data.train_rows`` is fewer than there are.
        max_positions: the longest sequence that the model can read.
        train: False reads no training split, for a model that is only to be scored.
        score: False reads no evaluation split, for a model that is scored on other tasks.
        style: the task whose prompts are used, where the model was trained on another one.
        learnt_questions: what that other one asked.
        testbed: the world that the rows of a testbed's task are about.

    Raises:
        DataError: as :func:`balora.tasks.splits.read_rows`; every training row is over the limit.
        ConfigError: no evaluation prompt leaves room for ``data.max_new_tokens``.
    """
    rows, scored_rows, notes = read_both(task, data, seed=seed, train=train, score=score, testbed=testbed)
    exchange = render(task, data, tokenizer, style)
    scoring = render(task, data.model_copy(update={"turns": "last"}), tokenizer, style)
    end = turn_end(tokenizer) if uses_chat_template(data, tokenizer) else None
    chosen = _fitting(rows, data, tokenizer, exchange, seed, max_positions) if train else ([], [], [])
    learnt, used, length_note = chosen
    scored = [
        {**encoded, "index": index, "answer": _reference(row, encoded, tokenizer, end), **_graded_by(task, row)}
        for index, (encoded, row) in enumerate(zip(_encode(scored_rows, tokenizer, scoring), scored_rows, strict=True))
    ]
    notes += length_note + _room(task, scored, data.max_new_tokens, max_positions) + repeated(task, used, scored_rows)
    notes += seen_in_training(learnt_questions, scored_rows)
    if end is not None:
        notes += _template_notes(task, tokenizer, [*learnt, *scored])
    if tokenizer.eos_token_id is None and (end is None or not end.closing):
        notes.append(
            "the tokenizer has no end token: answers are learnt without an end, and generation runs to its limit"
        )
    for row in learnt:
        del row["prompt_ids"]
        for name in ("thought", "incomplete", "missed"):
            row.pop(name, None)
    truth = [row["tags"] for row in scored_rows if "tags" in row]
    closing = end.closing.strip() if end is not None and end.token is None else ""
    asks_twice = _follow_up(data, tokenizer) if task.grader == "judge" else None
    asked = frozenset() if score else frozenset(map(question_of, used))
    return Prepared(task, learnt, scored, pad_id_of(tokenizer), max_positions, notes, truth, asked, asks_twice, closing)


def _follow_up(data: DataConfig, tokenizer: Any) -> Callable[[str, str, str], list[int]]:
    """Return the function that encodes a second question after the answer to a first one, as a conversation."""
    exchange = render(find_task("chat"), data.model_copy(update={"prompt": None}), tokenizer)

    def encoded(first: str, answer: str, second: str) -> list[int]:
        turns = [("user", first), ("assistant", answer), ("user", second)]
        messages = [{"role": role, "content": text} for role, text in turns]
        row = {"messages": messages, "turn": {"role": "assistant", "content": UNANSWERED}, "answer": UNANSWERED}
        prompt: list[int] = encode_exchanges([exchange(row)], tokenizer)[0]["prompt_ids"]
        return prompt

    return encoded


def _graded_by(task: Task, row: Row) -> Row:
    """Return what a grader needs of a row beside its answer."""
    solution = {"solution": row["answer"]} if "math_verify" in task.metrics else {}
    return {name: row[name] for name in ("tests", "prompt", "entry_point", "asked") if name in row} | solution


def _reference(row: Row, encoded: Encoded, tokenizer: Any, end: TurnEnd | None) -> str:
    """Return what an answer is compared with: the result, the text, or the text and the calls as the model writes them.

    A call has no text but the one that the chat template gives it, so it is read back from the tokens.
    """
    if end is None or not row.get("turn", {}).get("tool_calls"):
        return str(row.get("final", row["answer"]))
    tokens = [label for label in encoded["labels"] if label != IGNORED]
    if tokens[-1] in (end.token, tokenizer.eos_token_id):
        tokens.pop()
    text: str = tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text.removesuffix(end.closing) if end.token is None else text


def _template_notes(task: Task, tokenizer: Any, rows: Sequence[Encoded]) -> list[str]:
    """Return notes on what the tokenizer's chat template does that the settings do not show."""
    notes = []
    if not task.conversations:
        notes.append("prompts take the tokenizer's chat template (data.chat_template = false: they do not)")
    incomplete = sum("incomplete" in row for row in rows)
    if incomplete:
        notes.append(
            f"{incomplete:,} of {len(rows):,} rows: the chat template leaves out the text beside the call, or the "
            f"thought, of the answer"
        )
    missed = sum("missed" in row for row in rows)
    if missed:
        notes.append(
            f"{missed:,} conversations: the chat template writes earlier turns of the assistant otherwise than their "
            f"own, and these turns are not learnt"
        )
    if "strftime_now" in str(tokenizer.chat_template):
        notes.append("the chat template writes the date of the day into prompts: another day gives other numbers")
    return notes


def _fitting(
    rows: list[Row],
    data: DataConfig,
    tokenizer: Any,
    exchange: Callable[[Row], Exchange],
    seed: int,
    positions: int | None,
) -> tuple[list[Encoded], list[Row], list[str]]:
    """Return the first ``data.train_rows`` drawn rows within the limit, in the file's order, and notes on the rest."""
    limit, limit_name = length_limit(data, positions, 3)
    order = draw(len(rows), data.train_rows, seed)
    wanted = data.train_rows or len(rows)
    fitting: dict[int, Encoded] = {}
    over: list[int] = []
    for position, encoded in zip(order, _encode([rows[p] for p in order], tokenizer, exchange), strict=False):
        if len(encoded["input_ids"]) <= limit:
            fitting[position] = encoded
        else:
            over.append(len(encoded["input_ids"]))
        if len(fitting) == wanted:
            break
    if not fitting:
        raise DataError(
            f"every one of the {len(rows):,} training rows is longer than {limit_name} (the shortest has {min(over):,} "
            f"tokens, prompt included): raise the limit, or use shorter rows"
        )
    train = [{**fitting[position], "index": index} for index, position in enumerate(sorted(fitting))]
    examined = len(fitting) + len(over)
    note = (
        f"{len(over):,} of {examined:,} training rows are longer than {limit_name}: left out, {len(fitting):,} are used"
    )
    return train, [rows[position] for position in sorted(fitting)], [note] if over else []


def _encode(rows: Sequence[Row], tokenizer: Any, exchange: Callable[[Row], Exchange]) -> Iterator[Encoded]:
    for start in range(0, len(rows), CHUNK):
        exchanges = [exchange(row) for row in rows[start : start + CHUNK]]
        for encoded, made in zip(encode_exchanges(exchanges, tokenizer), exchanges, strict=True):
            if made.opening:
                encoded["thought"] = thought_of(made.opening, tokenizer)
            if made.incomplete:
                encoded["incomplete"] = True
            if made.missed:
                encoded["missed"] = made.missed
            yield encoded


def _room(task: Task, scored: list[Encoded], new: int, positions: int | None) -> list[str]:
    """Return notes on the evaluation rows that the model cannot hold."""
    if positions is None or not scored:
        return []
    shortest = min(len(row["prompt_ids"]) for row in scored)
    if shortest >= positions:
        raise ConfigError(
            f"every evaluation prompt fills the model's {positions:,} positions (the shortest: {shortest:,})"
        )
    if shortest + new > positions:
        raise ConfigError(
            f"data.max_new_tokens = {new:,} leaves no room for any prompt (the shortest has {shortest:,} tokens, the "
            f"model {positions:,} positions): set it to {positions - shortest:,} or less"
        )
    count = f"of {len(scored):,} evaluation"
    without_room = sum(len(row["prompt_ids"]) + new > positions for row in scored)
    too_long = sum(len(row["input_ids"]) > positions for row in scored)
    room = f"{without_room:,} {count} prompts leave no room for {new:,} new tokens in {positions:,} positions: "
    room += "counted as wrong"
    read = f"{too_long:,} {count} rows are longer than the model's {positions:,} positions: not in answer_loss"
    return [room] * bool(without_room) + [read] * (bool(too_long) and "answer_loss" in task.metrics)


def evaluate_nlg(
    model: Any,
    tokenizer: Any,
    prepared: Prepared,
    *,
    batch_size: int,
    max_new_tokens: int,
    on_rows: OnRows | None = None,
    tools: Tools = PLAIN,
) -> Evaluation:
    """Score ``model`` on the evaluation rows: the metrics of the task's grader on greedy answers, and, where the task
    has it, `answer_loss` in nats per token.

    A prompt that leaves no room for ``max_new_tokens`` counts as wrong, so that every run divides by the same number of
    rows. The loss is Σ −log p over all answer tokens (the end token is one) / their number, over the rows that fit.
    ``on_rows`` counts a row twice: for its answer and for its loss. ``tools`` are what programs and a judge need.

    Raises:
        TrainingError: the loss is not finite.
    """
    task, rows, positions = prepared.task, prepared.eval, prepared.max_positions
    with_loss = rows if "answer_loss" in task.metrics else []
    readable = [row for row in with_loss if positions is None or len(row["input_ids"]) <= positions]
    answerable = [row for row in rows if positions is None or len(row["prompt_ids"]) + max_new_tokens <= positions]
    total = len(answerable) + len(readable)

    def after(already: int) -> OnRows | None:
        return on_rows and (lambda done, _: on_rows(already + done, total))

    prompts = [row["prompt_ids"] for row in answerable]
    limits: dict[str, Any] = {"batch_size": batch_size, "max_new_tokens": max_new_tokens, "closing": prepared.closing}
    drawing = tools.drawing() if task.grader == "programs" else {}
    limits["kept"] = tools.kept
    texts = generate_samples(model, tokenizer, prompts, **limits, **drawing, on_rows=after(0))
    given = {row["index"]: answers for row, answers in zip(answerable, texts, strict=True)}
    unasked: tuple[str, ...] = ()
    if prepared.follow_up is not None and tools.turns == 2:
        given, unasked = _second_turns(model, tokenizer, prepared, given, limits)
    graded = grade(task, rows, [given.get(row["index"]) for row in rows], tools)
    metrics, notes, behaviour = dict(graded.metrics), (*unasked, *graded.notes), Behaviour()
    if readable:
        metrics["answer_loss"] = answer_loss(
            model, readable, prepared.pad_id, batch_size=batch_size, on_rows=after(len(answerable)), behaviour=behaviour
        )
    elif with_loss:
        notes += ("answer_loss is missing: no evaluation row fits into the model's positions",)
    return Evaluation(metrics, task_score(task, metrics), graded.items, notes, behaviour.measures())


def _second_turns(
    model: Any, tokenizer: Any, prepared: Prepared, given: Mapping[int, list[str]], limits: Mapping[str, Any]
) -> tuple[dict[int, list[str]], tuple[str, ...]]:
    """Return both answers to every question, the second one empty where it could not be asked, and a note on these."""
    prompts: dict[int, list[int]] = {}
    for row in prepared.eval:
        if row["index"] in given:
            first, second = row["asked"].turns
            answer = after_thought(given[row["index"]][0], row.get("thought", "")).strip()
            prompt = _second_prompt(prepared, first, answer, second)
            positions = prepared.max_positions
            if prompt and (positions is None or len(prompt) + limits["max_new_tokens"] <= positions):
                prompts[row["index"]] = prompt
    texts = generate(model, tokenizer, list(prompts.values()), **limits) if prompts else []
    said = dict(zip(prompts, texts, strict=True))
    note = (
        f"{len(given) - len(said):,} of {len(given):,} second questions were not asked, for want of room in the "
        "model's positions or because the chat template takes no empty answer to the first: judged as empty answers"
    )
    both = {index: [answers[0], said.get(index, "")] for index, answers in given.items()}
    return both, (note,) if len(said) < len(given) else ()


def _second_prompt(prepared: Prepared, first: str, answer: str, second: str) -> list[int] | None:
    """Return the prompt of the second question; None where the chat template refuses an empty ``answer``."""
    assert prepared.follow_up is not None
    try:
        return prepared.follow_up(first, answer, second)
    except DataError:
        if answer:
            raise
        return None
