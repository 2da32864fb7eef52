"""Turn a row into the text of its prompt and the text of its answer; torch-free."""

from collections.abc import Callable
from typing import Any

from balora.errors import ConfigError, DataError, shown
from balora.tasks.catalogue import Task
from balora.tasks.chat_template import ChatTemplate
from balora.tasks.config import DataConfig
from balora.tasks.conversations import Message, calls_of
from balora.tasks.exchange import Exchange
from balora.tasks.row_checks import Row
from balora.tasks.turn_end import has_template

GSM8K = "Question: {question}\nAnswer:"
ALPACA = "Instruction: {question}\nResponse:"
ALPACA_INPUT = "Instruction: {question}\nInput: {input}\nResponse:"
USER_TURN = "{question}"
USER_TURN_INPUT = "{question}\n\n{input}"
SPEAKERS = {"system": "System", "developer": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


INSTRUCTION = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{question}\n\n### Response:"
)
"""The prompt with which the authors of PiSSA and BA-LoRA train and score on instructions (their released code)."""
INSTRUCTION_INPUT = INSTRUCTION.replace("{question}", "{question}\n\n{input}")


def render(task: Task, data: DataConfig, tokenizer: Any, style: Task | None = None) -> Callable[[Row], Exchange]:
    """Return the function that turns a checked row into its exchange.

    A row of ``task`` gets the prompt of the task ``style``, on which the model was trained, if one is given.

    Raises:
        ConfigError: a prompt template for conversations; a chat template asked for where the tokenizer has none.
    """
    if style is not None and style.conversations and not task.conversations:
        of_conversation = render(style, data, tokenizer)
        return lambda row: of_conversation(_asked(row))
    task = task if style is None else style
    if task.conversations and data.prompt is not None:
        raise ConfigError(
            f"data.prompt does not apply to task {task.name!r}: conversations take the tokenizer's chat template, "
            f"or 'User: …' and 'Assistant: …' lines where it has none"
        )
    all_turns = data.turns == "all"
    if uses_chat_template(data, tokenizer):
        template = ChatTemplate(tokenizer)
        if task.conversations:
            return lambda row: template.exchange(row, all_turns=all_turns)
        return lambda row: _as_conversation(template, data.prompt, row)
    if task.conversations:
        return lambda row: _as_lines(row, all_turns)
    if task.own is not None and task.own.prompt is not None:
        return lambda row: _fill(data.prompt or USER_TURN, row)
    if task.format in ("alpaca", "own"):
        return lambda row: _fill(data.prompt or (ALPACA_INPUT if row.get("input") else ALPACA), row)
    if task.format == "instructions":
        return lambda row: _fill(data.prompt or (INSTRUCTION_INPUT if row.get("input") else INSTRUCTION), row)
    return lambda row: _fill(data.prompt or GSM8K, row)


def _asked(row: Row) -> Row:
    """Return a question and its answer as a conversation."""
    question = _filled(USER_TURN_INPUT if row.get("input") else USER_TURN, row)
    messages = [{"role": "user", "content": question}]
    return {"messages": messages, "turn": {"role": "assistant", "content": row["answer"]}, "answer": row["answer"]}


def uses_chat_template(data: DataConfig, tokenizer: Any) -> bool:
    """Return whether prompts take the tokenizer's chat template: as configured, else where it has one.

    Raises:
        ConfigError: it is asked for, and the tokenizer has none.
    """
    if data.chat_template and not has_template(tokenizer):
        raise ConfigError(
            "data.chat_template is true, but the tokenizer has no chat template: leave it out, or give a model whose "
            "tokenizer has one"
        )
    return has_template(tokenizer) if data.chat_template is None else data.chat_template


def _as_conversation(template: ChatTemplate, prompt: str | None, row: Row) -> Exchange:
    """Render a row as a conversation: its filled prompt is the user's turn.

    Raises:
        ConfigError: the template refuses a question and its answer.
    """
    own = USER_TURN_INPUT if row.get("input") else USER_TURN
    turn = {"role": "user", "content": _filled(prompt or own, row)}
    try:
        return template.exchange({"messages": [turn], "answer": row["answer"]})
    except DataError as error:
        raise ConfigError(f"{error}; data.chat_template = false writes prompts without it") from None


def _filled(template: str, row: Row) -> str:
    return template.format(question=row["question"], input=row.get("input", ""))


def _fill(template: str, row: Row) -> Exchange:
    return _split_blank(_filled(template, row), row["answer"])


def _split_blank(prompt: str, answer: str) -> Exchange:
    """Give the blanks at the prompt's end to the answer: tokenizers join a blank with the word that follows.

    A prompt that ends in no white space gets one blank before the answer.
    """
    stripped = prompt.rstrip(" ")
    blank = prompt[len(stripped) :] or ("" if stripped[-1:].isspace() else " ")
    return Exchange(stripped, blank + answer, special=False)


def _as_lines(row: Row, all_turns: bool) -> Exchange:
    """Write a conversation as lines that begin with the speaker; the assistant's are learnt without their line end.

    Raises:
        DataError: it calls tools or brings tools or documents, which lines have no form for; names the row.
    """
    turns: list[Message] = [*row["messages"], row.get("turn", {})]
    calls = [function["name"] for turn in turns for function in calls_of(turn)]
    extra = [f"calls the tool {shown(calls[0])}"] if calls else []
    extra += [f"brings {name}" for name in ("tools", "documents") if row.get(name)]
    if extra:
        raise DataError(
            f"{row['where']}: the conversation {extra[0]}, which plain lines have no form for: give a "
            f"model whose tokenizer has a chat template (and leave data.chat_template out), or leave the row out"
        )
    text, earlier = "", list[tuple[int, int]]()
    for turn in row["messages"]:
        text += f"{SPEAKERS[turn['role']]}:"
        said = f" {turn.get('content', '')}"
        if all_turns and turn["role"] == "assistant" and said.strip():
            earlier.append((len(text), len(text) + len(said)))
        text += f"{said}\n"
    return _split_blank(text + "Assistant:", row["answer"])._replace(earlier=tuple(earlier))
