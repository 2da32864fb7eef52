"""Turn a row into the text of its prompt and the text of its answer; torch-free."""

from collections.abc import Callable
from typing import Any, NamedTuple

from balora.errors import ConfigError, DataError
from balora.tasks.catalogue import Task
from balora.tasks.config import DataConfig
from balora.tasks.row_checks import Row

GSM8K = "Question: {question}\nAnswer:"
ALPACA = "Instruction: {question}\nResponse:"
ALPACA_INPUT = "Instruction: {question}\nInput: {input}\nResponse:"
SPEAKERS = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


class Exchange(NamedTuple):
    """A prompt and its answer as two texts whose concatenation is what the model reads."""

    prompt: str
    answer: str
    """Starts with whatever white space separates it from the prompt."""
    special: bool
    """Whether the texts already hold the tokenizer's special tokens (they come from a chat template)."""


def render(task: Task, data: DataConfig, tokenizer: Any) -> Callable[[Row], Exchange]:
    """Return the function that turns a checked row into its exchange.

    Raises:
        ConfigError: a prompt template for conversations, which take the tokenizer's chat template.
    """
    if task.format == "chat":
        if data.prompt is not None:
            raise ConfigError(
                f"data.prompt does not apply to task {task.name!r}: conversations take the tokenizer's chat template, "
                f"or 'User: …' and 'Assistant: …' lines where it has none"
            )
        return lambda row: _chat(row, tokenizer)
    if task.format == "alpaca":
        return lambda row: _fill(data.prompt or (ALPACA_INPUT if row["input"] else ALPACA), row)
    return lambda row: _fill(data.prompt or GSM8K, row)


def _fill(template: str, row: Row) -> Exchange:
    return _split_blank(template.format(question=row["question"], input=row.get("input", "")), row["answer"])


def _split_blank(prompt: str, answer: str) -> Exchange:
    """Give the blanks at the prompt's end to the answer: tokenizers join a blank with the word that follows.

    A prompt that ends in neither blank nor line end gets one blank before the answer.
    """
    stripped = prompt.rstrip(" ")
    blank = prompt[len(stripped) :] or ("" if stripped.endswith("\n") else " ")
    return Exchange(stripped, blank + answer, special=False)


def _chat(row: Row, tokenizer: Any) -> Exchange:
    if not tokenizer.chat_template:
        lines = [f"{SPEAKERS[turn['role']]}: {turn['content']}\n" for turn in row["messages"]]
        return _split_blank("".join(lines) + "Assistant:", row["answer"])
    return _templated(row["messages"], row["answer"], tokenizer)


def _templated(messages: list[dict[str, str]], answer: str, tokenizer: Any) -> Exchange:
    """Render with the chat template: the prompt as generation sees it, the answer as the template closes it."""
    from jinja2.exceptions import TemplateError

    whole = [*messages, {"role": "assistant", "content": answer}]
    try:
        prompt: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        text: str = tokenizer.apply_chat_template(whole, tokenize=False)
    except TemplateError as error:
        roles = ", ".join(turn["role"] for turn in whole)
        raise DataError(f"the tokenizer's chat template refuses a conversation of {roles}: {error}") from None
    # Some templates add to the generation prompt what they do not add to a finished answer (an empty thought, say):
    # the prompt rules, since the model gets it in generation.
    closing = text[len(prompt) :] if text.startswith(prompt) else answer
    eos = tokenizer.eos_token
    if eos and eos in closing[len(answer) :]:
        closing = closing[: closing.index(eos, len(answer))]
    return Exchange(prompt, closing, special=True)
