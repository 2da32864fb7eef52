"""Recognise the labels of a plan's fields ("Ablated Part:", "Action:", …); to add a spelling, add it to the tables."""

import re
from collections.abc import Iterator
from typing import Literal

from balora.importing.clean_text import OFF, ON, plain

Field = Literal["name", "part", "action", "replacement", "metrics", "other"]


def _labels(spellings: dict[Field, str]) -> dict[str, Field]:
    return {label: field for field, listed in spellings.items() for label in listed.split(", ")}


ANYWHERE = _labels({
    "part": "ablated part, ablated parts, ablated component, ablated components, ablated module, ablation part, "
    "part ablated, part to ablate, component to ablate, ablation target",
    "action": "action, ablation action",
    "replacement": "replacement, replacements, replacement list, replacement options, possible replacements, "
    "replacement s, replace with, replaced with, replaced by, replacement addition, replacements additions",
    "metrics": "metric, metrics, evaluation metric, evaluation metrics, metrics to report, reported metrics",
})  # fmt: skip
"""Labels that count wherever they stand in a line, if a colon follows."""
AT_THE_START = _labels({
    "part": "part, component, target",
    "replacement": "addition, additions, alternative, alternatives, values, options",
    "name": "name, ablation name, title",
})  # fmt: skip
"""Shorter labels, which count only at the start of a line."""
OTHER = _labels({
    "other": "rationale, reason, reasoning, description, motivation, hypothesis, purpose, goal, note, notes, "
    "importance, priority, dataset, datasets, baseline, discussion, justification, details, setup, expected outcome, "
    "expected result, expected results, expected impact, why, comment, comments, cost, research question, question, "
    "evaluation, benchmark, benchmarks, id, rank of importance",
})  # fmt: skip
"""Labels of fields that some plans add; the importer ignores their content."""
COLUMNS = ANYWHERE | AT_THE_START | _labels({"name": "ablation, experiment, study"})
"""Labels in a table's header row or first column, and keys of JSON objects."""

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
    """Return what may be a label as the tables spell it: lower case, single spaces, no punctuation."""
    return " ".join(re.sub(rf"[\W_{ON}{OFF}]+", " ", plain(words)).split())


def field_named(words: str) -> Field | None:
    """Return the field that a table cell or a JSON key stands for, or None if it is not exactly a label."""
    return COLUMNS.get(label_of(words))


def labelled_pieces(text: str) -> Iterator[tuple[Field | None, str]]:
    """Split a line at its labels: yield (field, text) for each; the field is None for text before the first label."""
    labels = sorted(_label_spans(text))
    starts = [start for start, _, _ in labels] + [len(text)]
    if starts[0] > 0 or not labels:
        yield None, text[: starts[0]]
    for (_, end, field), following in zip(labels, starts[1:], strict=True):
        yield field, text[end:following].rstrip(" ;|,")


def _label_spans(text: str) -> Iterator[tuple[int, int, Field]]:
    """Yield (start, end, field) of every label in a line."""
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
    """Whether a line starts with a label in bold or italics, whatever its words."""
    return bool(_UNKNOWN.match(text))


def starts_a_label(text: str) -> bool:
    """Whether ``text`` is the beginning of a label that a line break has split."""
    words = label_of(text)
    return bool(words) and any(label.startswith(f"{words} ") for label in ANYWHERE)
