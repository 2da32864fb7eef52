"""Grade generated answers, each task by its own rule: texts in, verdicts and metrics out; torch-free."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from balora.tasks.answers import final_answer, same_result, same_text
from balora.tasks.catalogue import Grader, Task
from balora.tasks.testbed.program import passes
from balora.tasks.thoughts import after_thought

Rows = Sequence[dict[str, Any]]
Answers = Sequence[Sequence[str] | None]
"""Of every row the answers drawn for it, without a thought before them; None where its prompt left no room."""


class Graded(NamedTuple):
    """The verdicts on the answers to every row."""

    items: list[dict[str, Any]]
    metrics: dict[str, float]
    notes: tuple[str, ...] = ()


def grade(task: Task, rows: Rows, answers: Answers) -> Graded:
    """Return the verdict on the first answer to every row, and the share of right ones."""
    right = RULES[task.grader]
    items = []
    for row, given in zip(rows, answers, strict=True):
        text = None if given is None else given[0]
        said = None if text is None else after_thought(text, row.get("thought", ""))
        prediction = said if said is None or task.grader != "final_answer" else final_answer(said)
        correct = prediction is not None and right(prediction, row)
        items.append(
            {"index": row["index"], "prediction": prediction, "answer": row["answer"], "correct": correct, "text": text}
        )
    return Graded(items, {task.metrics[0]: sum(item["correct"] for item in items) / len(items)}, _unread(items))


RULES: dict[Grader, Callable[[str, dict[str, Any]], bool]] = {
    "final_answer": lambda prediction, row: same_result(prediction, row["answer"]),
    "text": lambda prediction, row: same_text(prediction, row["answer"]),
    "expressions": lambda prediction, row: passes(prediction.strip(), row["tests"]),
}
"""How one answer is judged right, where no other program is needed for that."""


def _unread(items: Rows) -> tuple[str, ...]:
    """Return a note that counts the answers whose final answer is missing or uncertain."""
    count = sum(item["text"] is not None and item["prediction"] is None for item in items)
    note = f"{count:,} of {len(items):,} answers have no final answer that can be read with certainty: counted as wrong"
    return (note,) if count else ()
