"""Part an answer from the thought that a chat template writes before it; torch-free."""

import re
from typing import Any

CLOSING_TAG = re.compile(r"</[^<>\s]+>|\[/[^\[\]\s]+\]")


def thought_of(opening: str, tokenizer: Any) -> str:
    """Return what a template writes before an answer as generation shows it: without special tokens, trimmed."""
    for token in tokenizer.all_special_tokens:
        opening = opening.replace(token, "")
    return opening.strip()


def after_thought(text: str, thought: str) -> str:
    """Return a generated ``text`` without the thought before its answer.

    The thought is the one that the template writes (often an empty one), or another that ends in the same closing tag
    (`</think>`). A text that begins otherwise is an answer without a thought.
    """
    if not thought:
        return text
    if text.lstrip().startswith(thought):
        return text.lstrip().removeprefix(thought)
    tag = CLOSING_TAG.search(thought[thought.rfind("<" if thought.endswith(">") else "[") :])
    return text.partition(tag[0])[2] if tag and thought.endswith(tag[0]) and tag[0] in text else text
