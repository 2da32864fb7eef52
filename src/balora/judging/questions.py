"""Read MT-Bench's 80 questions (Zheng et al. 2023): two turns each, and for some a reference answer."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from balora.errors import DataError, shown, unwritable
from balora.regular_files import SETTINGS_BYTES, read_regular_text

CATEGORIES = ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities")
WITH_REFERENCE = ("math", "reasoning", "coding")
"""Categories whose judge sees a reference answer (FastChat's `NEED_REF_CATS`)."""
COUNT = 80
TURNS = 2


class Question(NamedTuple):
    """One question of MT-Bench."""

    question_id: int
    category: str
    turns: tuple[str, str]
    reference: tuple[str, ...] = ()
    """The reference answers in order of the turns, empty where a turn has none; nothing where no turn has one."""

    def references(self, turn: int) -> tuple[str, ...] | None:
        """Return the references that a judge of ``turn`` needs, of all turns up to it; None if it judges without.

        A judge compares with references in the categories `WITH_REFERENCE`, where all of them are there.
        """
        needed = self.reference[:turn]
        whole = len(needed) == turn and all(text.strip() for text in needed)
        return needed if whole and self.category in WITH_REFERENCE else None


def read_questions(path: Path) -> list[Question]:
    """Return the questions of a `question.jsonl`, in its order.

    Raises:
        DataError: it cannot be read, is another benchmark's file, or names a question twice.
    """
    try:
        text = read_regular_text(path, SETTINGS_BYTES).lstrip("\ufeff")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}): give MT-Bench's question.jsonl") from None
    questions = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            questions.append(as_question(_json_object(line, f"{path}:{number}"), f"{path}:{number}"))
    if not questions:
        raise DataError(f"{path}: the file is empty: give MT-Bench's question.jsonl")
    twice = [number for number, count in Counter(q.question_id for q in questions).items() if count > 1]
    if twice:
        raise DataError(f"{path}: question {twice[0]} stands in the file twice: keep one of them")
    return questions


def as_question(row: Mapping[str, Any], where: str) -> Question:
    """Return a row of FastChat's file, or of the Hub's `mt_bench_prompts`, as a question.

    Raises:
        DataError: it has other columns, another number of turns, or a category that MT-Bench does not have; the message
            begins with ``where``.
    """
    number, turns = row.get("question_id", row.get("prompt_id")), row.get("turns", row.get("prompt"))
    category, reference = row.get("category"), row.get("reference") or []
    if number is None or category is None or turns is None:
        raise _other(where, f"it needs question_id, category and turns, and has {', '.join(map(shown, list(row)[:8]))}")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 10**9:
        raise _other(where, f"its question_id is {shown(number)}, not a number")
    if not _texts(turns) or len(turns) != TURNS or not all(turn.strip() for turn in turns):
        raise _other(where, f"each question has {TURNS} turns, this one has {_count(turns)}")
    if category not in CATEGORIES:
        raise _other(where, f"its category is {shown(category)}, and MT-Bench has {', '.join(CATEGORIES)}")
    if not _texts(reference) or len(reference) > TURNS:
        raise DataError(f"{where}: `reference` of question {number} is no list of up to {TURNS} texts: mend the row")
    for text in (*turns, *reference):
        if reason := unwritable(text):
            raise DataError(f"{where}: question {number}: {reason}")
    return Question(number, category, (turns[0], turns[1]), tuple(reference) if any(map(str.strip, reference)) else ())


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(f"{where}: not a whole JSON object: fetch MT-Bench's question.jsonl again") from None
    if not isinstance(row, dict):
        raise _other(where, f"the line is {shown(row, 40)}")
    return row


def _other(where: str, why: str) -> DataError:
    return DataError(f"{where}: not a question of MT-Bench ({why}): give FastChat's data/mt_bench/question.jsonl")


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


def _count(turns: Any) -> str:
    return f"{len(turns):,}" if _texts(turns) else shown(turns, 40)
