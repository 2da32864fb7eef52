"""Check the rows of a task of one's own, and bring them into the form that its family needs; torch-free.

A checked row of an understanding task holds `text` (with two columns also `text_pair`) and `label`: the index of its
class, or a number. A row of a generation task holds `question` (its filled prompt, or its text), `answer`, and what a
sandbox (`tests`, `prompt`, `entry_point`) or a judge (`asked`) needs; one of conversations holds what
:func:`balora.tasks.conversations.conversation` returns.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from balora.errors import DataError, printable, shown, unknown_name
from balora.settings import number
from balora.tasks.column_template import filled
from balora.tasks.conversations import conversation
from balora.tasks.delimited import plain_name
from balora.tasks.files import Row, SourceRow
from balora.tasks.own_task import LABELS, OwnTask
from balora.tasks.parquet import ClassValue
from balora.tasks.program_rows import find_entry_point, own_tests

BETWEEN_LABELS = ", "


def check_own_row(own: OwnTask, row: SourceRow) -> Row | None:
    """Return one row in the form of its family; None for a row without an answer.

    Raises:
        DataError: a column is missing, or a value of it cannot be used; with file and line.
    """
    if own.family == "nlu":
        return {**_texts(own, row), "label": _label(own, row)}
    if own.messages is not None:
        found = conversation(row.where, row.values, column(row, own.messages))
        return found and found | ({"asked": _as_lines(found)} if "judge" in own.score else {})
    answer = _answer(own, row)
    if not answer.strip():
        return None
    question = _question(own, row)
    return {"question": question, "answer": answer} | _graded_by(own, row, question, answer)


def column(row: SourceRow, name: str) -> str:
    """Return the name under which ``row`` has the column ``name``; case and outer blanks do not matter.

    Raises:
        DataError: it has none; names the nearest.
    """
    found = column_of(row.values, name)
    if found is None:
        raise DataError(f"{row.where}: {unknown_name('column', name, row.values)}")
    return found


def column_of(columns: Mapping[str, Any], name: str) -> str | None:
    """Return the column of ``columns`` that is called ``name``: exactly, else but for case and outer blanks."""
    if name in columns:
        return name
    return next((one for one in columns if plain_name(one) == plain_name(name)), None)


def label_name(row: SourceRow, name: str) -> str:
    """Return the class that a row's label column names, as a text.

    Raises:
        DataError: the column is missing or empty, or holds a list or an object.
    """
    value = row.values[column(row, name)]
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # how programs write whole numbers of a column that has gaps
    text = _text(row, name, value).strip()
    if not text:
        raise DataError(f"{row.where}: {printable(name)} is empty: give the row a label, or leave it out")
    return text


def row_id(row: SourceRow, name: str) -> str:
    """Return the name that a row's id column gives it."""
    text = _text(row, name, row.values[column(row, name)]).strip()
    if not text:
        raise DataError(f"{row.where}: {printable(name)} is empty: give the row an id, or drop `id`")
    return text


def input_of(own: OwnTask, row: SourceRow) -> str:
    """Return the input of a row as one text, by which one file is split: equal inputs go to one side."""
    names = own.columns()
    used = names.get("messages") or names.get("prompt") or names.get("text", ())
    return repr([row.values[column(row, name)] for name in used])


def _texts(own: OwnTask, row: SourceRow) -> dict[str, str]:
    texts = [_text(row, name, row.values[column(row, name)]) for name in own.text]
    if not any(text.strip() for text in texts):
        raise DataError(f"{row.where}: {_listed(own.text)} is empty: leave the row out of the file")
    return {"text": texts[0], "text_pair": texts[1]} if len(texts) == 2 else {"text": _joined(texts)}


def _joined(texts: list[str]) -> str:
    return "\n".join(text for text in texts if text.strip())


def _label(own: OwnTask, row: SourceRow) -> int | float:
    name = str(own.label)
    if own.regression:
        return _number(row, name)
    text = label_name(row, name)
    if text not in own.labels:
        raise DataError(f"{row.where}: {printable(name)}: {unknown_name('label', text, own.labels)}")
    return own.labels.index(text)


def _number(row: SourceRow, name: str) -> float:
    value = row.values[column(row, name)]
    if isinstance(value, str):
        try:
            value = number(value.strip())
        except ValueError:
            value = None
    known = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    found = float(value) if known and value is not None and abs(value) < 1e30 else math.nan
    if not math.isfinite(found):
        raise DataError(
            f"{row.where}: {printable(name)} is {shown(row.values[column(row, name)], 60)}, but a number is needed"
        )
    return found


def _as_lines(found: Row) -> str:
    """Return what a judge sees of a conversation before its answer."""
    return "\n".join(f"{turn['role']}: {turn.get('content', '')}" for turn in found["messages"])


def _question(own: OwnTask, row: SourceRow) -> str:
    names = own.columns().get("prompt") or own.text
    texts = {name: _text(row, name, row.values[column(row, name)]) for name in names}
    if not any(text.strip() for text in texts.values()):
        raise DataError(f"{row.where}: {_listed(names)} is empty: leave the row out of the file")
    return filled(own.prompt, texts) if own.prompt is not None else _joined(list(texts.values()))


def _answer(own: OwnTask, row: SourceRow) -> str:
    name = str(own.answer)
    value = row.values[column(row, name)]
    if isinstance(value, list | tuple) and LABELS in own.score:
        return BETWEEN_LABELS.join(_text(row, name, one) for one in value)
    if isinstance(value, list | tuple):
        raise DataError(
            f"{row.where}: {printable(name)} is a list ({shown(value, 60)}), but one answer is learnt: choose one of "
            f"them, or score a list of labels with {LABELS}"
        )
    return _text(row, name, value)


def _graded_by(own: OwnTask, row: SourceRow, question: str, answer: str) -> Row:
    """Return what a sandbox or a judge needs of a row."""
    if "judge" in own.score:
        return {"asked": question}
    if own.tests is None:
        return {}
    value = row.values[column(row, own.tests)]
    tests = own_tests(row.where, printable(own.tests), value)
    return {"tests": tests, "prompt": "", "entry_point": find_entry_point(tests, answer)}


def _text(row: SourceRow, name: str, value: Any) -> str:
    """Return a cell as a text: an empty one for null, digits for a number, the data set's own name for a class."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, ClassValue):
        return value.names[value.number] if 0 <= value.number < len(value.names) else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return str(value)
    kind = "a list" if isinstance(value, list | tuple) else "an object" if isinstance(value, Mapping) else "no text"
    raise DataError(f"{row.where}: {printable(name)} is {kind} ({shown(value, 60)}), but a text is needed")


def _listed(names: tuple[str, ...]) -> str:
    return printable(" and ".join(names))
