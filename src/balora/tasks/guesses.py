"""Compute what a guess scores on a task: an answer given without regard to its question; torch-free."""

from statistics import fmean

from balora.tasks.catalogue import Task

ANSWERS = {"arithmetic": 21, "facts": 8}
"""How many answers a question of the testbed's generation tasks may have."""
BY_CLASS = ("accuracy", "macro_f1")
"""Metrics of which a guess among the classes has one share in as many."""
LOWEST_GRADE = 1.0
"""What a judge gives the worst answer."""


def guess_score(task: Task) -> float:
    """Return the score of a guess in points of 100: the mean over the task's score metrics.

    100 divided by the number of classes for accuracy, or by that of possible answers on the testbed; the lowest grade
    of a judge; 0 for correlations, programs, and texts of which nobody knows how many are possible.
    """
    return task.scale * fmean(_guess(metric, task) for metric in task.score)


def _guess(metric: str, task: Task) -> float:
    if task.grader == "judge":
        return LOWEST_GRADE
    if metric in BY_CLASS:
        return 1 / len(task.labels)
    return 1 / ANSWERS[task.name] if task.source == "testbed" and task.name in ANSWERS else 0.0
