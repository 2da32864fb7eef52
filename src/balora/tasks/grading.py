"""Grade generated answers, each task by its own rule: texts in, verdicts and metrics out; torch-free."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from balora.errors import TrainingError
from balora.judging.judge import Judge
from balora.judging.judge_cost import JudgeCost
from balora.judging.single_grading import judge_answers
from balora.sandbox.run_programs import Sandbox
from balora.tasks.answers import final_answer, same_result, same_text
from balora.tasks.catalogue import Grader, Task
from balora.tasks.config import ScoringConfig
from balora.tasks.kept_answers import KeptAnswers
from balora.tasks.math_grading import grade_math
from balora.tasks.own_judging import rate_answers
from balora.tasks.own_scores import own_scores
from balora.tasks.programs import grade_programs
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


class Tools(NamedTuple):
    """What scoring needs beside model and rows."""

    scoring: ScoringConfig = ScoringConfig()
    sandbox: Sandbox | None = None
    """Where generated programs run."""
    judge: Judge | None = None
    seed: int = 0
    """Of drawn answers."""
    kept: KeptAnswers | None = None
    """Where generated answers are kept for a run that goes on."""

    @property
    def turns(self) -> int:
        """How many turns of a question the judge wants answered."""
        return 1 if self.scoring.judge is None else self.scoring.judge.turns

    def drawing(self) -> dict[str, Any]:
        """Return how answers are drawn, as :func:`balora.tasks.sampling.generate_samples` takes it."""
        scoring = self.scoring
        return {
            "samples": scoring.samples,
            "temperature": scoring.temperature,
            "top_p": scoring.top_p,
            "seed": self.seed,
        }


PLAIN = Tools()
"""Enough for every task without programs and judge."""


def grade(task: Task, rows: Rows, answers: Answers, tools: Tools = PLAIN) -> Graded:
    """Return the verdicts on the answers to every row, and the metrics that follow from them."""
    said = [_without_thought(row, given) for row, given in zip(rows, answers, strict=True)]
    if task.grader == "programs":
        assert tools.sandbox is not None, "programs need a sandbox"
        return Graded(*grade_programs(rows, said, sandbox=tools.sandbox, ks=tools.scoring.pass_at))
    if task.grader == "judge":
        assert tools.judge is not None, "MT-Bench needs a judge"
        if task.own is not None:
            items, metrics, notes, cost = rate_answers(rows, [own[0] if own else None for own in said], tools.judge)
            return Graded(items, metrics, (*notes, _spent(cost)))
        judged = judge_answers([row["asked"] for row in rows], said, tools.judge)
        if task.metrics[0] not in judged.metrics:
            raise TrainingError(f"no answer could be judged, so there is no score: {judged.items[0]['missing']}")
        return Graded(judged.items, judged.metrics, (*judged.notes, _spent(judged.cost)))
    firsts = [(given[0], own[0]) if given and own else (None, None) for given, own in zip(answers, said, strict=True)]
    if task.own is not None:
        return _own_scores(task, rows, firsts)
    graded = _share_of_right(task, rows, firsts)
    return _with_math_verify(graded, rows) if "math_verify" in task.metrics else graded


def _spent(spent: JudgeCost) -> str:
    cost = f"the judge was asked {spent.requests:,} times ({spent.cached:,} judgements came from the cache), "
    return f"{cost}{spent.prompt_tokens:,} tokens in and {spent.completion_tokens:,} out"


def _own_scores(task: Task, rows: Rows, firsts: Sequence[tuple[str | None, str | None]]) -> Graded:
    """Return the verdicts on the first answers by the scores that a task file names."""
    found = own_scores(task, [said for _, said in firsts], [row["answer"] for row in rows])
    items = [
        {"index": row["index"], "prediction": said, "answer": row["answer"], **verdict, "text": text}
        for row, (text, said), verdict in zip(rows, firsts, found.items, strict=True)
    ]
    return Graded(items, found.metrics, found.notes)


def _without_thought(row: dict[str, Any], given: Sequence[str] | None) -> list[str] | None:
    return None if given is None else [after_thought(text, row.get("thought", "")) for text in given]


def _share_of_right(task: Task, rows: Rows, firsts: Sequence[tuple[str | None, str | None]]) -> Graded:
    """Return the verdict on the first answer to every row, given with and without a thought, and the share of right."""
    right = RULES[task.grader]
    items = []
    for row, (text, said) in zip(rows, firsts, strict=True):
        prediction = said if said is None or task.grader != "final_answer" else final_answer(said)
        correct = prediction is not None and right(prediction, row)
        items.append(
            {"index": row["index"], "prediction": prediction, "answer": row["answer"], "correct": correct, "text": text}
        )
    return Graded(items, {task.metrics[0]: sum(item["correct"] for item in items) / len(items)}, _unread(items))


def _with_math_verify(graded: Graded, rows: Rows) -> Graded:
    """Add math-verify's verdict on every answer, and the share of those that it accepts."""
    verified = grade_math(graded.items, rows)
    metrics = {**graded.metrics, "math_verify": verified.math_verify}
    return Graded(verified.items, metrics, (*graded.notes, *verified.notes))


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
