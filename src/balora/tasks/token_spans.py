"""Find the tokens that lie wholly within a span of a text; torch-free."""

from collections.abc import Sequence
from typing import Any

Span = tuple[int, int]


def tokens_within(text: str, ids: Sequence[int], spans: Sequence[Span], tokenizer: Any, **options: Any) -> list[bool]:
    """Return which of the tokens ``ids`` of ``text`` lie wholly within one of ``spans`` (positions of characters).

    A token that reaches over the border of a span belongs to none. ``options`` are those with which the text was made
    tokens. A tokenizer that gives no positions is asked for the tokens of the texts before each border: where they do
    not begin the whole, the span has no token.
    """
    if not spans:
        return [False] * len(ids)
    if getattr(tokenizer, "is_fast", False):
        offsets = tokenizer(text, return_offsets_mapping=True, **options)["offset_mapping"][: len(ids)]
        return [any(first <= start < end <= last for first, last in spans) for start, end in offsets]
    inside = [False] * len(ids)
    for span in spans:
        borders = [_tokens_before(text, border, ids, tokenizer, **options) for border in span]
        if None not in borders:
            first, last = borders
            inside[first:last] = [True] * len(inside[first:last])
    return inside


def _tokens_before(text: str, border: int, ids: Sequence[int], tokenizer: Any, **options: Any) -> int | None:
    before = list(tokenizer(text[:border], **options)["input_ids"])
    before = before[:-1] if len(before) > 1 and before[-1] == tokenizer.eos_token_id else before
    return len(before) if list(ids[: len(before)]) == before else None
