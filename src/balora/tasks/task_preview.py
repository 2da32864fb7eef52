"""Show a task of one's own as a model will see it: rows with what is learnt, lengths, labels, columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import Any

from balora.errors import shortened
from balora.tasks.catalogue import Task
from balora.tasks.config import DataConfig
from balora.tasks.encoding import IGNORED
from balora.tasks.exchange import Exchange
from balora.tasks.files import SourceRow
from balora.tasks.own_data import label_counts
from balora.tasks.own_rows import column_of
from balora.tasks.own_splits import TRAIN, VALIDATION, unsplit_rows
from balora.tasks.own_task import OwnTask
from balora.tasks.prepared import Encoded, repeated
from balora.tasks.prompts import render
from balora.tasks.row_checks import Row
from balora.tasks.splits import read_split

ROWS = 3
"""How many training rows are shown."""
LONGEST_PIECE = 2_000
"""Most characters of a piece that is shown."""
ANY_LENGTH = 10**9
"""In place of `data.max_length` while lengths are counted."""


@dataclass(frozen=True)
class Piece:
    """A part of a row whose tokens are all learnt, or all not."""

    text: str
    learnt: bool


@dataclass(frozen=True)
class RowPreview:
    """One row as the model will see it."""

    pieces: tuple[Piece, ...]
    label: str | None
    """The class or the number that is learnt; none for generation."""
    length: int


@dataclass(frozen=True)
class SplitPreview:
    """The rows of a split in numbers."""

    rows: int
    shortest: int
    median: float
    longest: int
    over: int
    """Rows longer than the limit."""
    labels: dict[str, int]
    """Rows of each class."""


@dataclass(frozen=True)
class TaskPreview:
    """What `balora task check` prints."""

    task: str
    family: str
    score: tuple[str, ...]
    columns: dict[str, str]
    """Every column of the training data, and the keys of the task file that use it."""
    unit: str
    """Of lengths: tokens, or, without a tokenizer, characters."""
    limit: int
    """`data.max_length`, in tokens."""
    train: SplitPreview
    validation: SplitPreview
    rows: tuple[RowPreview, ...]
    notes: tuple[str, ...]


def preview(own: OwnTask, data: DataConfig, tokenizer: Any = None, seed: int = 42) -> TaskPreview:
    """Return how a model with ``tokenizer`` will see a task; without one, its texts.

    Raises:
        InputError: as preparing a run on it does.
    """
    task = own.as_task()
    seen = _as_texts(task, data) if tokenizer is None else _as_tokens(task, data, tokenizer, seed)
    limit = data.max_length if tokenizer is not None else ANY_LENGTH
    read = {split: read_split(task, data, split).rows for split in (TRAIN, VALIDATION)}
    splits = {split: _split(own, read[split], seen.lengths[split], limit) for split in read}
    unit = "characters" if tokenizer is None else "tokens"
    return TaskPreview(
        own.task, own.family, own.score, _columns(own), unit, data.max_length, splits[TRAIN], splits[VALIDATION],
        tuple(seen.rows), tuple(seen.notes),
    )  # fmt: skip


@dataclass(frozen=True)
class _Seen:
    lengths: dict[str, list[int]]
    rows: list[RowPreview]
    notes: list[str]


def _as_tokens(task: Task, data: DataConfig, tokenizer: Any, seed: int) -> _Seen:
    from balora.tasks.nlg import prepare_nlg
    from balora.tasks.nlu import prepare_nlu

    whole = data.model_copy(update={"max_length": ANY_LENGTH})
    prepared = (prepare_nlu if task.family == "nlu" else prepare_nlg)(task, whole, tokenizer, seed=seed)
    lengths = {
        split: [len(row["input_ids"]) for row in rows]
        for split, rows in ((TRAIN, prepared.train), (VALIDATION, prepared.eval))
    }
    shown = [_tokens_shown(task, row, tokenizer) for row in prepared.train[:ROWS]]
    return _Seen(lengths, shown, list(prepared.notes))


def _tokens_shown(task: Task, row: Encoded, tokenizer: Any) -> RowPreview:
    ids, labels = row["input_ids"], row["labels"]
    learnt = [False] * len(ids) if task.family == "nlu" else [label != IGNORED for label in labels]
    pieces, start = [], 0
    for kept, group in groupby(learnt):
        stop = start + len(list(group))
        pieces.append(Piece(shortened(_decoded(tokenizer, ids, start, stop), LONGEST_PIECE), kept))
        start = stop
    return RowPreview(tuple(pieces), _label(task, labels) if task.family == "nlu" else None, len(ids))


def _decoded(tokenizer: Any, ids: Sequence[int], start: int, stop: int) -> str:
    """Return the text of some tokens as it stands in the whole: alone, SentencePiece drops a blank at its start."""
    as_written = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    before, whole = (tokenizer.decode(ids[:end], **as_written) for end in (start, stop))
    text: str = whole[len(before) :] if whole.startswith(before) else tokenizer.decode(ids[start:stop], **as_written)
    return text


def _as_texts(task: Task, data: DataConfig) -> _Seen:
    """Return rows without a tokenizer: prompts take no chat template, and lengths are in characters."""
    splits = {split: read_split(task, data, split) for split in (TRAIN, VALIDATION)}
    if task.family == "nlu":
        texts = {split: [_pair(task, row) for row in found.rows] for split, found in splits.items()}
        shown = [
            RowPreview((Piece(shortened(text, LONGEST_PIECE), False),), _label(task, row["label"]), len(text))
            for text, row in zip(texts[TRAIN][:ROWS], splits[TRAIN].rows, strict=False)
        ]
        lengths = {split: list(map(len, found)) for split, found in texts.items()}
    else:
        plain = render(task, data.model_copy(update={"chat_template": False}), None)
        exchanges = {split: [plain(row) for row in found.rows] for split, found in splits.items()}
        shown = [_text_shown(exchange) for exchange in exchanges[TRAIN][:ROWS]]
        lengths = {split: [len(made.prompt + made.answer) for made in found] for split, found in exchanges.items()}
    notes = [note for found in splits.values() for note in found.notes]
    notes += repeated(task, splits[TRAIN].rows, splits[VALIDATION].rows)
    return _Seen(lengths, shown, [*notes, "without --model: texts in place of tokens, and no chat template"])


def _pair(task: Task, row: Row) -> str:
    return "\n".join(row[name] for name in task.text)


def _text_shown(exchange: Exchange) -> RowPreview:
    borders = [0, *(border for span in exchange.earlier for border in span), len(exchange.prompt)]
    pieces = [
        Piece(shortened(exchange.prompt[start:stop], LONGEST_PIECE), number % 2 == 1)
        for number, (start, stop) in enumerate(pairwise(borders))
    ]
    answer = Piece(shortened(exchange.answer, LONGEST_PIECE), True)
    shown = tuple(piece for piece in (*pieces, answer) if piece.text)
    return RowPreview(shown, None, len(exchange.prompt) + len(exchange.answer))


def _label(task: Task, label: float) -> str:
    return f"{label:g}" if task.regression else task.labels[int(label)]


def _split(own: OwnTask, rows: list[Row], lengths: Sequence[int], limit: int) -> SplitPreview:
    labels = label_counts(own, rows) if own.labels else {}
    over = sum(length > limit for length in lengths)
    return SplitPreview(len(rows), min(lengths), median(lengths), max(lengths), over, labels)


def _columns(own: OwnTask) -> dict[str, str]:
    """Return the columns of the training data, each with the keys that use it (none: an empty text)."""
    columns = {name: None for row in _source_rows(own) for name in row.values}
    used: dict[str, list[str]] = {name: [] for name in columns}
    for key, names in own.columns().items():
        for name in names:
            if (found := column_of(columns, name)) is not None:
                used[found].append(key)
    return {name: ", ".join(keys) for name, keys in used.items()}


def _source_rows(own: OwnTask) -> Iterator[SourceRow]:
    return (row for row in unsplit_rows(own, TRAIN) if isinstance(row, SourceRow))
