"""Measure the loss of a causal language model on any text: nats a token, and bits a byte."""

import math
from collections.abc import Sequence
from pathlib import Path

from balora.errors import DataError, shown
from balora.measures.likelihood import LanguageModel, Tokens, log_likelihoods
from balora.measures.measured import Measured
from balora.regular_files import read_regular_text
from balora.tasks.evaluating import OnRows

LARGEST = 64 * 2**20
"""Most bytes of the text; it is read twice in every run, so a few hundred kilobytes are a good size."""
WINDOW = 1024
"""Most tokens that are read together, where the model could read more."""
END_OF_DOCUMENT = "<|endoftext|>"


def read_documents(path: str) -> list[str]:
    """Return the documents of a text file: its parts between `<|endoftext|>`, the whole file where there is none.

    Raises:
        DataError: it cannot be read, is too large, not UTF-8, or empty.
    """
    try:
        text = read_regular_text(Path(path), LARGEST)
    except OSError as error:
        raise DataError(
            f"measures.held_out: {shown(path)} cannot be read ({error.strerror or type(error).__name__}): name a UTF-8 "
            f"text file of at most {LARGEST // 2**20} MiB"
        ) from None
    documents = [part.strip() for part in text.removeprefix("\ufeff").split(END_OF_DOCUMENT)]
    filled = [document for document in documents if document]
    if not filled:
        raise DataError(f"measures.held_out: {path} holds no text: name a file with some")
    return filled


def windows(ids: Sequence[int], start: Sequence[int], size: int, where: str) -> list[Tokens]:
    """Return a document in windows of ``size`` tokens that do not overlap, each behind the start token.

    Every token is scored once, on the tokens of its window before it. Without a start token, nothing comes before the
    first token of a window, which then is not scored.
    """
    step = size - len(start)
    parts = [[*start, *ids[place : place + step]] for place in range(0, len(ids), step)]
    return [Tokens(where, part, list(range(max(len(start), 1), len(part)))) for part in parts]


def held_out_scores(log_likelihood: Sequence[float], tokens: Sequence[int], size: int, unscored: int = 0) -> Measured:
    """Return `held_out_loss`, −Σ log p / tokens in nats, and `held_out_bits_per_byte`, −Σ log₂ p / bytes.

    Tokens that could not be scored, whose bytes are counted too, are taken to be as likely as the others.

    The second can be compared between models with different tokenizers: bits per byte = nats a token · tokens / bytes
    / log 2 (Gao et al. 2020, *The Pile*, section 3.1).

    Args:
        log_likelihood: of every window, in nats.
        tokens: how many tokens were scored in every window.
        size: the bytes of the text in UTF-8.
        unscored: how many tokens of the text were not scored: without a start token, the first of every window.
    """
    loss = -sum(log_likelihood) / sum(tokens)
    values = {
        "held_out_loss": loss,
        "held_out_bits_per_byte": loss * (sum(tokens) + unscored) / math.log(2) / size,
    }
    items = [
        {"index": index, "score": value / count, "tokens": count}
        for index, (value, count) in enumerate(zip(log_likelihood, tokens, strict=True))
        if count
    ]
    return Measured(values, {"held_out": items})


def measure_held_out(reader: LanguageModel, documents: Sequence[str], on_rows: OnRows | None = None) -> Measured:
    """Return the loss of a causal model on ``documents``.

    Raises:
        DataError: the documents have no token that can be scored.
    """
    size = min(WINDOW, reader.max_positions or WINDOW)
    rows: list[Tokens] = []
    for number, document in enumerate(documents, 1):
        ids = reader.tokenizer(document, add_special_tokens=False, verbose=False)["input_ids"]
        rows += windows(ids, reader.start, size, f"measures.held_out: document {number}")
    if not any(row.scored for row in rows):
        raise DataError("measures.held_out: the text has no token to score: give a longer one")
    found = log_likelihoods(reader, rows, on_rows)
    scored = [len(row.scored) for row in rows]
    unscored = sum(len(row.ids) - len(reader.start) for row in rows) - sum(scored)
    return held_out_scores(found, scored, sum(len(text.encode()) for text in documents), unscored)
