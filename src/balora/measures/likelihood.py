"""Compute how likely a language model finds texts: log-likelihoods, or pseudo-log-likelihoods of a masked model."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from balora.errors import DataError, ModelError, TrainingError, shown
from balora.tasks.collate import NOT_FOR_THE_MODEL, Collator
from balora.tasks.evaluating import OnRows, batches_by_length, device_of, evaluating
from balora.tasks.prepared import pad_id_of

LOGITS_AT_ONCE = 2**28
"""Most logits of one forward pass: 1 GiB in float32."""


class LanguageModel(NamedTuple):
    """A model that gives tokens probabilities, with what is needed to read texts with it."""

    model: Any
    tokenizer: Any
    is_masked: bool
    """Whether it predicts hidden tokens from both sides (BERT), and not the next one from the left (GPT)."""
    batch_size: int
    max_positions: int | None
    """The longest sequence that the model can read; none where nothing limits it."""

    @property
    def start(self) -> list[int]:
        """The token that a text begins with: the start token, else the end token (GPT-2), else none."""
        token = self.tokenizer.bos_token_id if self.tokenizer.bos_token_id is not None else self.tokenizer.eos_token_id
        return [] if token is None else [int(token)]


class Tokens(NamedTuple):
    """A text as tokens, and at which positions their log-probabilities are summed."""

    where: str
    """The place in a file that it came from, for errors."""
    ids: list[int]
    scored: list[int]


class _Pass(NamedTuple):
    """One sequence of a forward pass: what the model reads, and the tokens that it should predict."""

    row: int
    ids: list[int]
    places: list[int]
    """The positions whose outputs predict ``tokens``."""
    tokens: list[int]


def text_tokens(reader: LanguageModel, text: str, where: str) -> Tokens:
    """Return ``text`` with each of its tokens scored: after the start token, or between a masked model's own marks."""
    if not reader.is_masked:
        whole = reader.start + _ids(reader, text)
        return Tokens(where, whole, list(range(max(len(reader.start), 1), len(whole))))
    encoded = reader.tokenizer(text, return_special_tokens_mask=True, verbose=False)
    special = encoded["special_tokens_mask"]
    return Tokens(where, list(encoded["input_ids"]), [place for place, mark in enumerate(special) if not mark])


def answer_tokens(reader: LanguageModel, prompt: str, answer: str, where: str) -> Tokens:
    """Return ``prompt`` and ``answer`` as one text, of which the answer's tokens are scored (causal models only).

    The answer's tokens are those behind the longest beginning that the text shares with the prompt alone.
    """
    before, whole = _ids(reader, prompt), _ids(reader, prompt + answer)
    border = next((i for i, (one, two) in enumerate(zip(before, whole, strict=False)) if one != two), len(before))
    first = len(reader.start) + min(border, len(whole) - 1)
    ids = reader.start + whole
    return Tokens(where, ids, list(range(max(first, 1), len(ids))))


def _ids(reader: LanguageModel, text: str) -> list[int]:
    return list(reader.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def log_likelihoods(reader: LanguageModel, rows: Sequence[Tokens], on_rows: OnRows | None = None) -> list[float]:
    """Return Σ log p(token) over the scored positions of every row, in nats.

    A causal model gives log p(w_t | w_<t). A masked model gives log p(w_t | w without w_t), with one position hidden at
    a time; their sum over a text is its pseudo-log-likelihood (Salazar et al. 2020, *Masked language model scoring*,
    eq. 1).

    Raises:
        DataError: a row is longer than the model can read, or has no token.
        ModelError: the model has no embedding for a token of a row, or the tokenizer has no token for hidden ones.
        TrainingError: a probability is not finite.
    """
    check_rows(reader, rows)
    passes = list(_passes(reader, rows))
    sums, done = [0.0] * len(rows), 0
    longest = max((len(one.ids) for one in passes), default=1)
    size = max(1, min(reader.batch_size, LOGITS_AT_ONCE // (longest * _vocabulary(reader))))
    with evaluating(reader.model):
        for positions in batches_by_length([len(one.ids) for one in passes], size):
            batch = [passes[position] for position in positions]
            for one, log_p in zip(batch, _log_p(reader, batch), strict=True):
                if not torch.isfinite(log_p).all():
                    raise TrainingError(f"{rows[one.row].where}: the model gives a token no finite log-probability")
                sums[one.row] += float(log_p.sum(dtype=torch.float64))
            done += len(batch)
            if on_rows is not None:
                on_rows(done, len(passes))
    return sums


def check_rows(reader: LanguageModel, rows: Sequence[Tokens]) -> None:
    """Raise for rows that ``reader`` cannot score; as :func:`log_likelihoods`."""
    tokens, most = _vocabulary(reader), reader.max_positions
    if reader.is_masked and reader.tokenizer.mask_token_id is None:
        raise ModelError(
            "the tokenizer of this masked language model has no mask token: add it to the tokenizer's files"
        )
    for row in rows:
        if not row.ids:
            raise DataError(f"{row.where}: the text has no tokens: leave the row out of the file")
        if most is not None and len(row.ids) > most:
            raise DataError(
                f"{row.where}: the text has {len(row.ids):,} tokens, but the model reads at most {most:,}: leave the "
                "row out of the file"
            )
        if max(row.ids) >= tokens:
            name = reader.tokenizer.convert_ids_to_tokens(max(row.ids))
            raise ModelError(
                f"{row.where}: token {shown(name)} has the id {max(row.ids):,}, but the model has embeddings for "
                f"{tokens:,} tokens only: use the tokenizer that the model was trained with"
            )


def _passes(reader: LanguageModel, rows: Sequence[Tokens]) -> Iterator[_Pass]:
    for number, row in enumerate(rows):
        if not reader.is_masked:  # the output at t − 1 predicts the token at t
            yield _Pass(number, row.ids, [place - 1 for place in row.scored], [row.ids[place] for place in row.scored])
            continue
        mask = int(reader.tokenizer.mask_token_id)
        for place in row.scored:
            yield _Pass(number, [*row.ids[:place], mask, *row.ids[place + 1 :]], [place], [row.ids[place]])


def _vocabulary(reader: LanguageModel) -> int:
    return int(reader.model.get_input_embeddings().weight.shape[0])


def _log_p(reader: LanguageModel, batch: Sequence[_Pass]) -> Iterator[Tensor]:
    """Yield log p of the tokens of each sequence."""
    device = device_of(reader.model)
    collate = Collator(pad_id_of(reader.tokenizer, _vocabulary(reader)))
    padded = collate([{"input_ids": one.ids, "attention_mask": [1] * len(one.ids), "index": one.row} for one in batch])
    inputs = {name: value.to(device) for name, value in padded.items() if name not in NOT_FOR_THE_MODEL}
    options = {} if reader.is_masked else {"use_cache": False}
    for logits, one in zip(reader.model(**inputs, **options).logits, batch, strict=True):
        places, tokens = (torch.tensor(part, dtype=torch.long, device=device) for part in (one.places, one.tokens))
        yield logits[places].float().log_softmax(dim=-1).gather(1, tokens[:, None])[:, 0]
