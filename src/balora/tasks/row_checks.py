"""Check the rows of data files and bring them into their task's form: columns by one name, valid labels; torch-free.

=========  =====================================================================================================
format     a checked row
=========  =====================================================================================================
`glue`     the task's text columns, `label`: index of the class, or a number from 0 to 5 (STS-B)
`gsm8k`    `question`, `answer` (the worked solution), `final` (its final answer as text; None where it is uncertain)
`alpaca`   `question` (the instruction), `input` (may be empty), `answer`
`instructions`  the same, under any of the usual names of the columns
`humaneval`, `mbpp`  see :mod:`balora.tasks.program_rows`
`mt_bench` `question` (of the first turn), `answer` (:data:`UNANSWERED`), `asked` (the whole question)
`chat`     `messages` (the conversation before the answer), `turn` (the message of the answer, with all its fields),
           `answer` (its text), `where`, and `tools` and `documents` where the row has them
`own`      as :mod:`balora.tasks.own_rows` describes
=========  =====================================================================================================
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from balora.errors import DataError, printable, shortened, shown
from balora.judging.questions import as_question
from balora.tasks.answers import gold_answer
from balora.tasks.catalogue import Format, Task
from balora.tasks.conversations import conversation
from balora.tasks.delimited import plain_name
from balora.tasks.files import Row, SourceRow
from balora.tasks.own_rows import check_own_row
from balora.tasks.parquet import ClassValue
from balora.tasks.program_rows import check_humaneval, check_mbpp

__all__ = ["Row", "check_row", "class_names_note", "class_of", "needed_columns"]

FIRST_TEXT = ("sentence1", "sentence", "#1 String")
SECOND_TEXT = ("sentence2", "#2 String")
LABEL = ("label", "gold_label", "Quality", "is_duplicate")
SCORE = ("label", "score")
QUESTION = ("question", "problem", "query")
ANSWER = ("solution", "answer", "response")  # MATH has both: its `answer` is the bare result
CONVERSATION = ("messages", "conversations")
INSTRUCTION = ("instruction", "query", "question", "problem")
RESPONSE = ("output", "response", "answer", "solution")
UNANSWERED = "."
"""Stands for the answer to a question that has none: a chat template may refuse an empty turn, or hide how an answer
begins."""
HIGHEST_SCORE = 5.0
NUMBERS = (int, float, Decimal)
WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,2})(?:\.0*)?", re.ASCII)
PLAIN_DECIMAL = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
LONGEST_LIST = 1000
"""Most characters of a list of columns in an error text."""
HALF_A_PAIR = re.compile("[\ud800-\udfff]")


def check_row(task: Task, row: SourceRow) -> Row | None:
    """Return one row under the names of its format; None for a row without an answer (it teaches nothing).

    Raises:
        DataError: a column is missing, a value has the wrong type, a label lies outside the set; with file and line.
    """
    checked = CHECKS[task.format](task, row) if task.own is None else check_own_row(task.own, row)
    if checked is not None:
        _refuse_half_pairs(row, checked)
    return checked


def needed_columns(task: Task) -> list[tuple[str, ...]]:
    """Return the columns that a row of ``task`` must have, each by its possible names."""
    if task.format == "glue":
        return [*_text_columns(task), SCORE if task.regression else LABEL]
    return NEEDED[task.format]


def class_names_note(task: Task, row: SourceRow) -> str | None:
    """Return a note where a data set's own names of the classes are not the task's, so that only numbers count."""
    named = task.labels and task.own is None
    values = [value for value in row.values.values() if isinstance(value, ClassValue)] if named else []
    if not values or _class_by_name(task, values[0]) is not None or len(values[0].names) != len(task.labels):
        return None
    pairs = ", ".join(f"{shown(own)} as {name!r}" for own, name in zip(values[0].names, task.labels, strict=True))
    return f"the data set's own class names are unknown and were read by their numbers: {pairs}"


def _refuse_half_pairs(row: SourceRow, checked: Row) -> None:
    """Refuse half of a surrogate pair anywhere in a row: no tokenizer takes it, and no file can hold it."""
    # Columns of the file before what was derived; `where` is a path, which may hold bytes of any kind.
    waiting: list[tuple[str, Any]] = [(name, value) for name, value in checked.items() if name != "where"][::-1]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, str) and (found := HALF_A_PAIR.search(value)):
            raise DataError(
                f"{row.where}: {printable(name)} holds half of a character ({printable(found[0])}, a lone surrogate) "
                f"at position {found.start() + 1}: mend the text, or leave the row out"
            )
        if isinstance(value, Mapping):
            waiting += [(name, part) for pair in value.items() for part in pair]
        elif isinstance(value, (list, tuple)):
            waiting += [(name, part) for part in value]


def _glue(task: Task, row: SourceRow) -> Row:
    checked: Row = {}
    for name, choices in zip(task.text, _text_columns(task), strict=True):
        checked[name] = _text(row, _column(row, choices, f"text column {name!r}"), may_be_empty=True)
    if not any(text.strip() for text in checked.values()):
        raise DataError(f"{row.where}: the text is empty: leave the row out of the file")
    column = _column(row, SCORE if task.regression else LABEL, "label column")
    checked["label"] = _score(row, column) if task.regression else _label(task, row, column)
    return checked


def _text_columns(task: Task) -> list[tuple[str, ...]]:
    return [(task.text[0], *FIRST_TEXT), *((name, *SECOND_TEXT) for name in task.text[1:])]


def _label(task: Task, row: SourceRow, column: str) -> int:
    value = row.values[column]
    index = class_of(task, value)
    if index == -1:
        raise DataError(_hidden(row, column))
    if index is None:
        value = value.strip() if isinstance(value, str) else value
        allowed = ", ".join(f"{index} or {name!r}" for index, name in enumerate(task.labels))
        raise DataError(f"{row.where}: {column} is {shown(value)}, but {task.name}'s labels are {allowed}")
    return index


def class_of(task: Task, value: Any) -> int | None:
    """Return the index of the class that a label names, −1 for a hidden one, None for none of the task's.

    A label is a class's number (also `1.0`), the same in digits, or its name, in any case; true and false where class 1
    affirms. A data set's own class names go before its numbers.
    """
    if isinstance(value, ClassValue):
        named = _class_by_name(task, value)
        return named if named is not None or len(value.names) != len(task.labels) else value.number
    if isinstance(value, str):
        text = value.strip()
        names = [_plain_class(name) for name in task.labels]
        if _plain_class(text) in names:
            return names.index(_plain_class(text))
        if text.casefold() not in ("true", "false"):
            return class_of(task, int(text.partition(".")[0])) if WHOLE.fullmatch(text) else None
        value = text.casefold() == "true"
    if isinstance(value, bool):
        affirming = len(task.labels) == 2 and not task.labels[1].startswith("not_")
        return int(value) if affirming else None
    return int(value) if isinstance(value, NUMBERS) and value in range(-1, len(task.labels)) else None


def _class_by_name(task: Task, value: ClassValue) -> int | None:
    """Return the class by the data set's own name for it, if all its names are names of the task's classes."""
    classes = [class_of(task, name) for name in value.names]
    return classes[value.number] if sorted(map(str, classes)) == [str(i) for i in range(len(task.labels))] else None


def _plain_class(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def _score(row: SourceRow, column: str) -> float:
    """Return a similarity from 0 to 5, the range of STS-B."""
    value = row.values[column]
    if isinstance(value, str):
        readable = PLAIN_DECIMAL.fullmatch(value.strip()) is not None
    else:
        readable = isinstance(value, NUMBERS) and not isinstance(value, bool) and -1 <= value <= HIGHEST_SCORE
    number = float(value) if readable else math.nan
    if number == -1:
        raise DataError(_hidden(row, column))
    if not 0 <= number <= HIGHEST_SCORE:
        raise DataError(f"{row.where}: {column} is {shown(value)}, but a number from 0 to {HIGHEST_SCORE:g} is needed")
    return number


def _hidden(row: SourceRow, column: str) -> str:
    return (
        f"{row.where}: {column} is -1: GLUE keeps the labels of its test sets to itself, so this split can be neither "
        f"trained on nor scored: use 'validation'"
    )


def _gsm8k(task: Task, row: SourceRow) -> Row:
    question = _text(row, _column(row, QUESTION, "question column"))
    answer = _text(row, _column(row, ANSWER, "answer column"))
    return {"question": question, "answer": answer, "final": gold_answer(answer)}


def _alpaca(task: Task, row: SourceRow) -> Row | None:
    question = _text(row, _column(row, ("instruction",), "instruction column"))
    extra = _text(row, "input", may_be_empty=True) if row.values.get("input") is not None else ""
    extra = extra if extra.strip() else ""
    answer = _text(row, _column(row, ("output",), "answer column"), may_be_empty=True)
    return {"question": question, "input": extra, "answer": answer} if answer.strip() else None


def _instructions(task: Task, row: SourceRow) -> Row | None:
    question = _text(row, _column(row, INSTRUCTION, "instruction column"))
    extra = _text(row, "input", may_be_empty=True) if row.values.get("input") is not None else ""
    answer = _text(row, _column(row, RESPONSE, "answer column"), may_be_empty=True)
    extra = extra if extra.strip() else ""
    return {"question": question, "input": extra, "answer": answer} if answer.strip() else None


def _chat(task: Task, row: SourceRow) -> Row | None:
    if not any(name in row.values for name in CONVERSATION) and {"instruction", "output"} <= row.values.keys():
        return _single_exchange(task, row)
    filled = [name for name in CONVERSATION if row.values.get(name) is not None]  # `datasets` fills columns with nulls
    column = _column(row, filled or CONVERSATION, "conversation column")
    return conversation(row.where, row.values, column)


def _mt_bench(task: Task, row: SourceRow) -> Row:
    question = as_question(row.values, row.where)
    return {"question": question.turns[0], "answer": UNANSWERED, "asked": question}


def _single_exchange(task: Task, row: SourceRow) -> Row | None:
    """Return an instruction and its output as a conversation."""
    found = _instructions(task, row)
    if found is None:
        return None
    asked = "\n\n".join(filter(None, (found["question"], found["input"])))
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": found["answer"]}]
    return conversation(row.where, {"messages": turns}, "messages")


def _column(row: SourceRow, names: Sequence[str], what: str) -> str:
    for name in names:
        if name in row.values:
            return name
    plain = {plain_name(found): found for found in row.values}  # ` Label` and `LABEL` are meant
    for name in names:
        if plain_name(name) in plain:
            return plain[plain_name(name)]
    distinct = ", ".join(repr(name) for name in dict.fromkeys(names))
    found = printable(shortened(", ".join(row.values), LONGEST_LIST)) or "none"
    raise DataError(f"{row.where}: {what} missing (looked for {distinct}); columns found: {found}")


def _text(row: SourceRow, column: str, may_be_empty: bool = False) -> str:
    value = row.values[column]
    if not isinstance(value, str):
        raise DataError(f"{row.where}: {column} is {_shown(value)}, but a text is needed")
    if not value.strip() and not may_be_empty:
        raise DataError(f"{row.where}: {column} is empty")
    return value


def _shown(value: Any) -> str:
    return shown(value, 60)


NEEDED: dict[Format, list[tuple[str, ...]]] = {
    "gsm8k": [QUESTION, ANSWER],
    "alpaca": [("instruction",), ("output",)],
    "chat": [(*CONVERSATION, "instruction")],
    "instructions": [INSTRUCTION, RESPONSE],
    "humaneval": [("prompt",), ("canonical_solution",), ("test",), ("entry_point",)],
    "mbpp": [("text", "prompt"), ("code",), ("test_list",)],
    "mt_bench": [("turns", "prompt"), ("category",)],
}
CHECKS: dict[Format, Callable[[Task, SourceRow], Row | None]] = {
    "glue": _glue,
    "gsm8k": _gsm8k,
    "alpaca": _alpaca,
    "chat": _chat,
    "instructions": _instructions,
    "humaneval": lambda task, row: check_humaneval(row),
    "mbpp": lambda task, row: check_mbpp(row),
    "mt_bench": _mt_bench,
}
