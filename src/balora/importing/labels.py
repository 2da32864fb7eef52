"""The labels of a plan's fields as data, and finding them in a line."""

import re
from collections.abc import Iterator
from typing import Literal

from balora.importing.clean_text import plain
from balora.importing.lines import OFF, ON

Field = Literal["name", "part", "action", "replacement", "metrics", "other"]

ANYWHERE: dict[str, Field] = {
    "ablated part": "part",
    "ablated parts": "part",
    "ablated component": "part",
    "ablated components": "part",
    "ablated module": "part",
    "ablation part": "part",
    "part ablated": "part",
    "part to ablate": "part",
    "component to ablate": "part",
    "ablation target": "part",
    "action": "action",
    "ablation action": "action",
    "replacement": "replacement",
    "replacements": "replacement",
    "replacement list": "replacement",
    "replacement options": "replacement",
    "possible replacements": "replacement",
    "replacement s": "replacement",
    "replace with": "replacement",
    "replaced with": "replacement",
    "replaced by": "replacement",
    "replacement addition": "replacement",
    "replacements additions": "replacement",
    "metric": "metrics",
    "metrics": "metrics",
    "evaluation metric": "metrics",
    "evaluation metrics": "metrics",
    "metrics to report": "metrics",
    "reported metrics": "metrics",
}
"""Labels with their colon, wherever they stand in a line."""
AT_THE_START: dict[str, Field] = {
    "part": "part",
    "component": "part",
    "target": "part",
    "addition": "replacement",
    "additions": "replacement",
    "alternative": "replacement",
    "alternatives": "replacement",
    "values": "replacement",
    "options": "replacement",
    "name": "name",
    "ablation name": "name",
    "title": "name",
}
"""Shorter words, labels only where a line starts with them."""
OTHER = {
    *(
        "rationale",
        "reason",
        "reasoning",
        "description",
        "motivation",
        "hypothesis",
        "purpose",
        "goal",
        "note",
        "notes",
    ),
    *("importance", "priority", "dataset", "datasets", "baseline", "discussion", "justification", "details", "setup"),
    *(
        "expected outcome",
        "expected result",
        "expected results",
        "expected impact",
        "why",
        "comment",
        "comments",
        "cost",
    ),
    *("research question", "question", "evaluation", "benchmark", "benchmarks", "id", "rank of importance"),
}
"""Labels of fields that other plans add; what they hold is no part of the study."""
COLUMNS: dict[str, Field] = {**ANYWHERE, **AT_THE_START, "ablation": "name", "experiment": "name", "study": "name"}
"""Labels at the head of a table's column or row, and keys of JSON objects."""

_SEPARATOR = rf"\s*[*_]*\s*(?::|：|=(?!=)|->|→|\s[–—-]+\s)\s*[*_]*{OFF}?"
_LEAD = rf"[\s\-*+•·>#'\"_\[({ON}]*(?:\d+[.)]\s*)?[\s*_'\"{ON}]*"


def _either(labels: dict[str, Field]) -> str:
    words = sorted(labels, key=len, reverse=True)
    return "|".join(r"[\s_/()-]+".join(map(re.escape, label.split())) for label in words)


_END = rf"[)\s'\"*_\]]*(?:{OFF}?{_SEPARATOR}|(?P<bare>{OFF}))"
_FIRST = re.compile(rf"^{_LEAD}(?P<label>{_either(ANYWHERE | AT_THE_START)}){_END}", re.I)
_LATER = re.compile(rf"[;|,.]\s*{_LEAD}(?P<label>{_either(ANYWHERE)})[)'\"*_\]]*{OFF}?\s*[*_]*(?::|：)\s*{OFF}?", re.I)
_UNKNOWN = re.compile(rf"^[\s\-*+•]*{ON}(?P<label>[^{ON}{OFF}:]{{1,40}})(?::\s*{OFF}|{OFF}\s*:)")
_PLAIN_UNKNOWN = re.compile(r"^[\s\-*+•'\"]*(?P<label>[^\W\d][^:\n]{0,30}?)['\"]?\s*:\s")


def label_of(words: str) -> str:
    """Return the words of a possible label in the form of the tables."""
    return " ".join(re.sub(rf"[\W_{ON}{OFF}]+", " ", plain(words)).split())


def column(words: str) -> Field | None:
    """Return the field that a table's cell or a JSON key names, if it is nothing but a label."""
    return COLUMNS.get(label_of(words))


def pieces(text: str) -> Iterator[tuple[Field | None, str]]:
    """Yield (field, text) for every labelled stretch of a line; the field is None before the first label."""
    marks = sorted(_found(text))
    starts = [start for start, _, _ in marks] + [len(text)]
    if starts[0] > 0 or not marks:
        yield None, text[: starts[0]]
    for (_, end, field), following in zip(marks, starts[1:], strict=True):
        yield field, text[end:following].rstrip(" ;|,")


def _found(text: str) -> Iterator[tuple[int, int, Field]]:
    first = _FIRST.match(text)
    start = 0
    if first and (not first["bare"] or ON in text[: first.start("label")]):
        yield 0, first.end(), COLUMNS[label_of(first["label"])]
        start = first.end()
    elif (other := _UNKNOWN.match(text) or _PLAIN_UNKNOWN.match(text)) and label_of(other["label"]) in OTHER:
        yield 0, other.end(), "other"
        start = other.end()
    for later in _LATER.finditer(text, start):
        yield later.start(), later.end(), COLUMNS[label_of(later["label"])]


def has_unknown_label(text: str) -> bool:
    """Whether a line starts with an emphasised label that no table knows."""
    return bool(_UNKNOWN.match(text))


def starts_a_label(text: str) -> bool:
    """Whether ``text`` is the first words of a label of several words, torn off at a line's end."""
    words = label_of(text)
    return bool(words) and any(label.startswith(f"{words} ") for label in ANYWHERE)
