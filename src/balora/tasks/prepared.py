"""Read a task's training and evaluation rows, and hold them as tokens; torch-free."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from balora.errors import ConfigError
from balora.tasks.catalogue import Task
from balora.tasks.config import HELD_OUT, DataConfig
from balora.tasks.row_checks import Row
from balora.tasks.splits import Split, eval_split, read_split
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.testbed_tasks import rows

HELD_OUT_SEED = 9000
LEAST_SHARE = 5
"""At most one of so many training rows is set aside."""
Encoded = dict[str, Any]
"""One row: `input_ids`, `attention_mask`, `labels`, `index` and what its family adds."""


class Prepared(NamedTuple):
    """The rows that a run trains on and is scored on."""

    task: Task
    train: list[Encoded]
    """`index` is the position in this list."""
    eval: list[Encoded]
    """The same, in the file's order."""
    pad_id: int
    """The token that pads rows; it is masked, so any will do where the tokenizer has none."""
    max_positions: int | None
    """The longest sequence that the model can read; none where nothing limits it."""
    notes: list[str]
    """What was left out, truncated or found twice."""
    truth: list[dict[str, Any]] = []
    """Of a testbed: the ground truth about every evaluation row (:func:`balora.tasks.testbed.rows_nlu.tags`)."""
    questions: frozenset[str] = frozenset()
    """Of a set that is only trained on: what its rows ask."""
    follow_up: Callable[[str, str, str], list[int]] | None = None
    """Of a task that asks twice: returns the tokens of a prompt from the first question, the answer to it, and the
    second question."""
    closing: str = ""
    """The text with which the chat template closes an answer, where that is no token: generation stops there."""


def read_both(
    task: Task,
    data: DataConfig,
    *,
    seed: int,
    train: bool = True,
    score: bool = True,
    testbed: TestbedConfig | None = None,
) -> tuple[list[Row], list[Row], list[str]]:
    """Return the training rows, the first ``data.eval_rows`` evaluation rows, and notes.

    No training rows without ``train``, and no evaluation rows without ``score``.

    The rows of a ``testbed`` are drawn: those to train on with ``seed``, as many as ``data.train_rows`` sets.
    """
    if testbed is not None:
        flaws = {"cue": data.cue, "label_noise": data.label_noise}
        to_train = rows(task.name, "train", testbed, data.train_rows, seed=seed, **flaws) if train else []
        to_score = rows(task.name, "test", testbed, data.eval_rows)
        for name, drawn in (("data.train_rows", to_train), ("data.eval_rows", to_score)):
            if drawn:
                _refuse_empty_classes(task, drawn, name)
        return to_train, to_score, []
    scores_held_out = data.eval_split == HELD_OUT
    training = read_split(task, data, data.train_split) if train or scores_held_out else Split([], [])
    training, held_out = set_aside(training, data.held_out)
    training = training if train else Split([], [])
    evaluation = held_out if scores_held_out else Split([], [])
    if score and not scores_held_out:
        evaluation = read_split(task, data, eval_split(task, data))
    notes = [*training.notes, *evaluation.notes]
    limits = {"data.eval_rows": (data.eval_rows, evaluation), "data.train_rows": (data.train_rows, training)}
    for name, (wanted, split) in limits.items():
        if wanted is not None and wanted > len(split.rows) and (train if split is training else score):
            notes.append(f"{name} is {wanted:,}, but the split has {len(split.rows):,} rows: all are used")
    return training.rows, evaluation.rows[: data.eval_rows], notes


def set_aside(split: Split, wanted: int | None) -> tuple[Split, Split]:
    """Return the rows to train on, and the ``wanted`` ones that no run trains on, each in the file's order.

    They are drawn once for all, whatever the seed of a run, and are at most a fifth of the split. Those whose final
    answer cannot be read with certainty are left out: they cannot be scored.
    """
    if wanted is None or not split.rows:
        return split, Split([], [])
    count = min(wanted, len(split.rows) // LEAST_SHARE)
    chosen = set(draw(len(split.rows), count, HELD_OUT_SEED)[:count])
    kept = [row for place, row in enumerate(split.rows) if place not in chosen]
    fewer = f", the most that may be set aside of {len(split.rows):,}" if count < wanted else ""
    notes = [*split.notes, f"{count:,} training rows are held out{fewer}: no run trains on them"]
    held_out = [row for place, row in enumerate(split.rows) if place in chosen and row.get("final", "") is not None]
    return Split(kept, notes), Split(held_out, [])


def _refuse_empty_classes(task: Task, drawn: list[Row], name: str) -> None:
    """Raise ConfigError where a class has no row, or a number to predict is the same in all: nothing can be learnt."""
    labels = {row["label"] for row in drawn} if task.family == "nlu" else set()
    empty = [label for index, label in enumerate(task.labels) if index not in labels]
    if empty:
        raise ConfigError(
            f"{name} = {len(drawn)} leaves class {empty[0]!r} of task {task.name!r} without a row: ask for more"
        )
    if task.regression and len(labels) < 2:
        raise ConfigError(f"{name} = {len(drawn)} leaves task {task.name!r} one value to predict: ask for more rows")


def draw(count: int, wanted: int | None, seed: int) -> list[int]:
    """Return the positions of ``count`` rows in the order in which they are taken, the first ``wanted`` being used.

    A plain sample without replacement (classes are not balanced), from a generator of its own: the same seed draws the
    same rows whatever the global random state is. Without ``wanted``, the order of the file.
    """
    positions = list(range(count))
    if wanted is not None:
        random.Random(seed).shuffle(positions)
    return positions


def repeated(task: Task, train: Sequence[Row], scored: Sequence[Row]) -> list[str]:
    """Return a note for training rows that occur twice, and for evaluation rows that occur among them.

    Only the input counts: a text scored on has been seen in training whatever its label there. The testbed draws its
    rows with replacement from a small language, on purpose.
    """
    if task.source == "testbed":
        return []
    counts = Counter(map(_input_text, train))
    twice = len(train) - len(counts)
    seen = sum(_input_text(row) in counts for row in scored)
    notes = [f"{twice:,} of {len(train):,} training rows repeat the text of an earlier one"] if twice else []
    return notes + (
        [f"{seen:,} of {len(scored):,} evaluation rows have a text that is also trained on"] if seen else []
    )


def question_of(row: Row) -> str:
    """Return what a row of a generation task asks: its question, or what the user said last."""
    if "messages" in row:
        said = (turn.get("content", "") for turn in reversed(row["messages"]) if turn["role"] == "user")
        return str(next(said, "")).strip()
    return "\n\n".join(filter(None, (row["question"].strip(), row.get("input", "").strip())))


def seen_in_training(learnt: Collection[str], scored: Sequence[Row]) -> list[str]:
    """Return a note on the evaluation rows whose question is among those ``learnt`` from another data set."""
    count = sum(question_of(row) in learnt for row in scored)
    return [f"{count:,} of {len(scored):,} evaluation rows have a question that is also trained on"] if count else []


def _input_text(row: Row) -> str:
    return repr([value for name, value in row.items() if name not in ("label", "answer", "final", "turn", "where")])


def pad_id_of(tokenizer: Any, tokens: int | None = None) -> int:
    """Return the tokenizer's padding token, else its end token, else 0: a mask shows what is padding, not the token.

    One that the model, with embeddings for ``tokens`` tokens, cannot look up is passed over.
    """
    for candidate in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if candidate is not None and (tokens is None or candidate < tokens):
            return int(candidate)
    return 0


def length_limit(data: DataConfig, max_positions: int | None, least: int) -> tuple[int, str]:
    """Return the most tokens a row may have and the words that name this limit.

    Raises:
        ConfigError: fewer than ``least`` tokens, which every row needs.
    """
    limit, name = data.max_length, f"data.max_length = {data.max_length:,}"
    if max_positions is not None and max_positions < limit:
        limit, name = max_positions, f"the model's {max_positions:,} positions"
    if limit < least:
        raise ConfigError(f"{name}: every row needs at least {least} tokens (special tokens and one of text): raise it")
    return limit, name
