"""Encode prompts and answers as tokens, with an exact border between them; torch-free."""

from collections.abc import Sequence
from typing import Any

from balora.tasks.exchange import Exchange
from balora.tasks.prepared import Encoded
from balora.tasks.token_spans import tokens_within

IGNORED = -100
"""The label of a position that teaches nothing."""


def encode_exchanges(exchanges: Sequence[Exchange], tokenizer: Any) -> list[Encoded]:
    """Return prompts and answers as tokens with an exact border between them.

    The prompt's tokens are those that the model gets in generation. The answer's are what follows them in the tokens
    of the whole text; where a token spans the border, prompt and answer are tokenised apart. The start token stands
    once, at the front; the end token once, at the end, unless the answer ends in a token that closes the turn. Of the
    prompt, only the assistant's earlier turns have labels.
    """
    special: dict[str, Any] = {"add_special_tokens": not exchanges[0].special, "verbose": False}
    prompts = tokenizer([exchange.prompt for exchange in exchanges], **special)["input_ids"]
    wholes = tokenizer([exchange.prompt + exchange.answer for exchange in exchanges], **special)["input_ids"]
    eos = tokenizer.eos_token_id
    encoded = []
    for exchange, prompt, whole in zip(exchanges, prompts, wholes, strict=True):
        if not exchange.special:
            prompt, whole = _without_end(prompt, eos), _without_end(whole, eos)
        together = whole[: len(prompt)] == prompt
        answer = whole[len(prompt) :] if together else _apart(exchange, prompt, tokenizer)
        if eos is not None and not exchange.closed:
            answer = [*answer, eos]
        ids = prompt + answer
        earlier = tokens_within(exchange.prompt, prompt, exchange.earlier, tokenizer, **special)
        labels = [token if learnt else IGNORED for token, learnt in zip(prompt, earlier, strict=True)] + answer
        encoded.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels, "prompt_ids": prompt})
    return encoded


def _without_end(ids: list[int], eos: int | None) -> list[int]:
    """Drop the end token that some tokenizers add to every text."""
    return ids[:-1] if len(ids) > 1 and ids[-1] == eos else ids


def _apart(exchange: Exchange, prompt: list[int], tokenizer: Any) -> list[int]:
    """Tokenise the answer alone; SentencePiece puts a blank before every text, so one of its own may be too many."""
    whole = exchange.prompt + exchange.answer
    as_written = {"skip_special_tokens": not exchange.special, "clean_up_tokenization_spaces": False}
    candidates = [
        tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in (exchange.answer, exchange.answer.removeprefix(" "))
    ]
    for candidate in candidates:
        if tokenizer.decode(prompt + candidate, **as_written) == whole:
            return list(candidate)
    return list(candidates[0])
