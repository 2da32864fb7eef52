"""Translate the metrics that a plan lists to the study's metrics (`nlu_avg`, `nlg_avg`)."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from balora.importing.actions import outside_brackets
from balora.importing.clean_text import plain, word_set
from balora.settings import Family
from balora.study.design.study import Metric
from balora.tasks.catalogue import TASKS

FAMILY_WORDS: dict[str, Family] = {
    "nlu": "nlu",
    "nlg": "nlg",
    "glue": "nlu",
    "natural language understanding": "nlu",
    "natural language generation": "nlg",
}
SCORE_WORDS = word_set(
    "avg average averaged averages mean overall score scores metric metrics performance accuracy accuracies task tasks "
    "result results benchmark benchmarks the on of across for in all"
)
"""Words that may stand beside a family's or task's name without changing its meaning."""
OF_A_TASK = SCORE_WORDS | word_set(
    "exact match em f1 matthews correlation mcc pearson spearman corr dev test validation set"
)


class Judged(NamedTuple):
    """A study's metrics, and how each of the plan's metrics was understood."""

    metrics: tuple[Metric, ...]
    suites: tuple[Family, ...]
    known: dict[str, str]
    """The plan's words, and the study's metric that they mean."""
    tasks: tuple[str, ...]
    """Tasks that the plan names; their scores enter the family's average."""
    unknown: tuple[str, ...]


def judge(blocks: Iterable[Sequence[str]]) -> Judged:
    """Return the study's metrics for the metrics that each block lists.

    These are both averages, unless every block that lists metrics lists a known one and all those are of one family.
    """
    known: dict[str, str] = {}
    unknown: dict[str, None] = {}
    tasks: dict[str, None] = {}
    families: set[Family] = set()
    for listed in blocks:
        pieces = [
            words for text in listed for piece in outside_brackets(text.strip("[] "), ",;") if (words := _bare(piece))
        ]
        meanings = {words: _meaning(words) for words in pieces}
        for words, (family, task) in meanings.items():
            if family:
                known[words] = f"{family}_avg"
                tasks |= {task: None} if task else {}
            else:
                unknown[words] = None
        named = {family for family, _ in meanings.values() if family}
        families |= named if named or not meanings else {"nlu", "nlg"}
    suites: tuple[Family, ...] = tuple(family for family in ("nlu", "nlg") if family in families or not families)
    metrics: tuple[Metric, ...] = tuple(f"{family}_avg" for family in suites)  # type: ignore[misc]
    return Judged(metrics, suites, known, tuple(tasks), tuple(unknown))


def _bare(words: str) -> str:
    return words.strip(" '\".")


def _meaning(words: str) -> tuple[Family | None, str | None]:
    """Return the family whose average the words mean, and the task if they mean one task's score."""
    head = re.split(r"[([{]", plain(words), maxsplit=1)[0]
    text = " ".join(re.sub(r"[_/&+'.:*]", " ", head).replace("avg", " avg ").split())
    for name, family in sorted(FAMILY_WORDS.items(), key=lambda item: -len(item[0])):
        if re.search(rf"\b{name}\b", text) and set(text.replace(name, " ").split()) <= SCORE_WORDS:
            return family, None
    tokens = set(text.split())
    for task in TASKS.values():
        spellings = {plain(name) for name in (task.name, *task.aliases)} | {
            task.name.replace("2", "-2"),
            plain(task.name),
        }
        named = tokens & {spelling for spelling in spellings if task.source == "files"}
        if named and tokens - named <= OF_A_TASK and task.format in ("glue", "gsm8k"):
            return task.family, task.name
    return None, None
