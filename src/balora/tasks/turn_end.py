"""Find out how a tokenizer's chat template closes a turn of the assistant; torch-free."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

MARK = "Zq7Mark"
"""Stands for a text when a template is asked where it writes it: no template holds it, trims it or escapes it."""
QUESTION = {"role": "user", "content": "Zq7Question"}
ANSWER = {"role": "assistant", "content": MARK}
SYSTEM = {"role": "system", "content": "Zq7System"}


class TurnEnd(NamedTuple):
    """What a chat template writes after the text of the assistant."""

    whole: str | None
    """Everything up to the end of the conversation; empty if nothing, None if the template refuses to show it."""
    closing: str
    """The part that closes the turn (`<|im_end|>`), without what follows it; empty if nothing does."""
    token: int | None
    """The token in which the closing ends; None if it ends in text that is no token of its own."""


def turn_end(tokenizer: Any) -> TurnEnd:
    """Return how the chat template of ``tokenizer`` closes a turn of the assistant.

    The closing is what stands after an answer both at the conversation's end and before the user's next turn: Phi-3's
    template writes `<|end|>` after every turn, and the tokenizer's end token after the whole conversation. It ends with
    its last added token (`<|im_end|>`); what follows, a line end say, is no part of it. A template that closes with
    text that is no token (`[/answer]`) closes with the first line of it.
    """
    if not has_template(tokenizer):
        return TurnEnd("", "", None)
    last, inner = _after_answer(tokenizer, []), _after_answer(tokenizer, [QUESTION])
    if last is None:
        return TurnEnd(None, "", None)
    added = added_tokens(tokenizer)
    closing = _closing(last, _shared(last, inner, added) if inner is not None else "", added)
    name = next((name for name in added if closing.endswith(name)), None)
    return TurnEnd(last, closing, added[name] if name else None)


def has_template(tokenizer: Any) -> bool:
    """Return whether ``tokenizer`` has a chat template."""
    return bool(getattr(tokenizer, "chat_template", None))


def added_tokens(tokenizer: Any) -> dict[str, int]:
    """Return the tokens that stand for themselves in any text, the longest first: special ones, and added words."""
    added = {str(token): number for number, token in tokenizer.added_tokens_decoder.items()}
    return {name: added[name] for name in sorted(added, key=len, reverse=True) if name.strip()}


def _after_answer(tokenizer: Any, following: list[dict[str, str]]) -> str | None:
    """Return what the template writes after an answer, before ``following``; None if it refuses every conversation."""
    for before in ([QUESTION], [SYSTEM, QUESTION]):
        for parts in (False, True):
            turns = [as_parts(turn) if parts else turn for turn in (*before, ANSWER, *following)]
            try:
                text: str = tokenizer.apply_chat_template(turns, tokenize=False)
            except Exception:  # a template is a program: it refuses in its own ways
                continue
            if MARK in text:
                return text.rpartition(MARK)[2]
    return None


def as_parts(turn: dict[str, Any]) -> dict[str, Any]:
    """Return a turn with its text as a list of one part, as templates of models with images want it."""
    if not isinstance(turn.get("content"), str):
        return turn
    return {**turn, "content": [{"type": "text", "text": turn["content"]}]}


def _shared(last: str, inner: str, added: dict[str, int]) -> str:
    """Return what two texts begin with in common, in whole tokens and whole lines."""
    pieces = [_pieces(text, added) for text in (last, inner)]
    common = ""
    for left, right in zip(*pieces, strict=False):
        if left != right:
            text = _common(left, right)
            whole = text == left or left[len(text)] == "\n"
            return common + (text if whole else text[: text.rfind("\n") + 1])
        common += left
    return common


def _common(left: str, right: str) -> str:
    count = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    return left[:count]


def _pieces(text: str, added: dict[str, int]) -> list[str]:
    pattern = "|".join(map(re.escape, added))
    return [piece for piece in re.split(f"({pattern})", text) if piece] if pattern else [text]


def _closing(last: str, shared: str, added: dict[str, int]) -> str:
    """Return the closing: up to the last token of ``shared``, else the first of ``last``, else its first line."""
    for text, which in ((shared, -1), (last if not shared.strip() else "", 0)):
        ends = [match.end() for match in re.finditer("|".join(map(re.escape, added)), text)] if added else []
        if ends:
            return text[: ends[which]]
        line = re.match(r"\s*[^\s][^\n]*", text)
        if line:
            return line[0].rstrip()
    return ""


def without_tail(text: str, end: TurnEnd, added: Sequence[str]) -> tuple[str, bool]:
    """Return a finished turn up to and including its closing, and whether it ends in a token that closes it.

    Turns may be closed in another way than :func:`turn_end` found, calls above all: then the last token closes them.
    """
    if end.whole is not None:
        tail = end.whole[len(end.closing) :]
        if end.token is None or text.endswith(end.whole):
            return text.removesuffix(tail), end.token is not None
        text = text.removesuffix(tail)
    stripped = text.rstrip()
    return (stripped, True) if stripped.endswith(tuple(added)) else (text, False)
