"""Define what a row becomes before it becomes tokens: a prompt and its answer; torch-free."""

from typing import NamedTuple


class Exchange(NamedTuple):
    """A prompt and its answer as two texts whose concatenation is what the model reads."""

    prompt: str
    answer: str
    """Starts with whatever white space separates it from the prompt."""
    special: bool
    """Whether the texts already hold the tokenizer's special tokens (they come from a chat template)."""
    closed: bool = False
    """Whether the answer ends in the token that closes the turn, so that no end token follows it."""
    opening: str = ""
    """What the template writes before the answer's own text, at the start of `answer` (an empty thought, say)."""
    incomplete: bool = False
    """Whether the template leaves out the text beside a call, or the thought, of the answer's message."""
    earlier: tuple[tuple[int, int], ...] = ()
    """Where the assistant's earlier turns stand in the prompt, if they are learnt too."""
    missed: int = 0
    """How many of these could not be found in what the chat template wrote."""
