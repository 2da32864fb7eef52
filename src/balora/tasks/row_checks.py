"""Check the rows of data files and bring them into their task's form: columns by one name, valid labels; torch-free.

=========  =====================================================================================================
format     a checked row
=========  =====================================================================================================
`glue`     the task's text columns, `label`: index of the class, or a number from 0 to 5 (STS-B)
`gsm8k`    `question`, `answer` (the worked solution), `final` (its final answer as text; None where it is uncertain)
`alpaca`   `question` (the instruction), `input` (may be empty), `answer`
`chat`     `messages` (the conversation before the answer), `turn` (the message of the answer, with all its fields),
           `answer` (its text), `where`, and `tools` and `documents` where the row has them
=========  =====================================================================================================
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from balora.errors import DataError
from balora.tasks.answers import gold_answer
from balora.tasks.catalogue import Format, Task
from balora.tasks.conversations import conversation
from balora.tasks.files import SourceRow

Row = dict[str, Any]

FIRST_TEXT = ("sentence1", "sentence", "#1 String")
SECOND_TEXT = ("sentence2", "#2 String")
LABEL = ("label", "gold_label", "Quality", "is_duplicate")
SCORE = ("label", "score")
QUESTION = ("question", "problem", "query")
ANSWER = ("solution", "answer", "response")  # MATH has both: its `answer` is the bare result
CONVERSATION = ("messages", "conversations")
HIGHEST_SCORE = 5.0


def check_row(task: Task, row: SourceRow) -> Row | None:
    """Return one row under the names of its format; None for a row without an answer (it teaches nothing).

    Raises:
        DataError: a column is missing, a value has the wrong type, a label lies outside the set; with file and line.
    """
    return CHECKS[task.format](task, row)


def _glue(task: Task, row: SourceRow) -> Row:
    alternatives = [(task.text[0], *FIRST_TEXT), *((name, *SECOND_TEXT) for name in task.text[1:])]
    checked: Row = {}
    for name, choices in zip(task.text, alternatives, strict=True):
        checked[name] = _text(row, _column(row, choices, f"text column {name!r}"), may_be_empty=True)
    if not any(text.strip() for text in checked.values()):
        raise DataError(f"{row.where}: the text is empty: leave the row out of the file")
    column = _column(row, SCORE if task.regression else LABEL, "label column")
    checked["label"] = _score(row, column) if task.regression else _label(task, row, column)
    return checked


def _label(task: Task, row: SourceRow, column: str) -> int:
    """Return the index of the class: from an index, digits, or the class's name."""
    value = row.values[column]
    names = task.labels
    if isinstance(value, str):
        value = value.strip()
        if value in names:
            return names.index(value)
        value = int(value) if value in map(str, range(-1, len(names))) else value
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value < len(names):
            return value
        if value == -1:
            raise DataError(_hidden(row, column))
    allowed = ", ".join(f"{index} or {name!r}" for index, name in enumerate(names))
    raise DataError(f"{row.where}: {column} is {value!r}, but {task.name}'s labels are {allowed}")


def _score(row: SourceRow, column: str) -> float:
    """Return a similarity from 0 to 5, the range of STS-B."""
    value = row.values[column]
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if number == -1:
        raise DataError(_hidden(row, column))
    if not 0 <= number <= HIGHEST_SCORE:
        raise DataError(f"{row.where}: {column} is {value!r}, but a number from 0 to {HIGHEST_SCORE:g} is needed")
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


def _chat(task: Task, row: SourceRow) -> Row | None:
    filled = [name for name in CONVERSATION if row.values.get(name) is not None]  # `datasets` fills columns with nulls
    column = _column(row, filled or CONVERSATION, "conversation column")
    return conversation(row.where, row.values, column)


def _column(row: SourceRow, names: Sequence[str], what: str) -> str:
    for name in names:
        if name in row.values:
            return name
    distinct = ", ".join(repr(name) for name in dict.fromkeys(names))
    found = ", ".join(row.values) or "none"
    raise DataError(f"{row.where}: {what} missing (looked for {distinct}); columns found: {found}")


def _text(row: SourceRow, column: str, may_be_empty: bool = False) -> str:
    value = row.values[column]
    if not isinstance(value, str):
        raise DataError(f"{row.where}: {column} is {_shown(value)}, but a text is needed")
    if not value.strip() and not may_be_empty:
        raise DataError(f"{row.where}: {column} is empty")
    return value


def _shown(value: Any, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"


CHECKS: dict[Format, Callable[[Task, SourceRow], Row | None]] = {
    "glue": _glue,
    "gsm8k": _gsm8k,
    "alpaca": _alpaca,
    "chat": _chat,
}
