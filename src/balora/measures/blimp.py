"""Measure grammar by BLiMP: how often the acceptable sentence of a minimal pair is the likelier one."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from balora.measures.benchmark_rows import read_rows, text_of
from balora.measures.likelihood import LanguageModel, log_likelihoods, text_tokens
from balora.measures.measured import Measured, mean, name_part
from balora.tasks.evaluating import OnRows

COLUMNS = {
    "good": ("sentence_good",),
    "bad": ("sentence_bad",),
    "field": ("field",),
    "term": ("linguistics_term",),
    "paradigm": ("UID",),
}


class MinimalPair(NamedTuple):
    """An acceptable sentence and an unacceptable one that differs in as little as possible."""

    where: str
    good: str
    bad: str
    field: str
    term: str
    paradigm: str


def read_blimp(path: str, limit: int | None) -> list[MinimalPair]:
    """Return the pairs; raises DataError as :func:`read_rows`."""
    rows = read_rows(path, "blimp", COLUMNS, limit)
    return [MinimalPair(row.where, *(text_of(row, name) for name in COLUMNS)) for row in rows]


def blimp_scores(pairs: Sequence[MinimalPair], good: Sequence[float], bad: Sequence[float]) -> Measured:
    """Return the share of pairs with log p(good) > log p(bad); a tie is wrong.

    `blimp` is the mean over paradigms, which all have 1,000 pairs as published; `blimp_syntax` and its like are the
    means over the paradigms of a field or of a linguistic term.

    Source: Warstadt et al. 2020, *BLiMP: The Benchmark of Linguistic Minimal Pairs for English*.
    """
    items: list[dict[str, Any]] = [
        {"index": index, "correct": one > two, "good": one, "bad": two, "field": name_part(pair.field),
         "term": name_part(pair.term), "paradigm": pair.paradigm}
        for index, (pair, one, two) in enumerate(zip(pairs, good, bad, strict=True))
    ]  # fmt: skip
    values = {"blimp": _mean_over_paradigms(items)}
    for kind in ("field", "term"):
        for name in sorted({item[kind] for item in items}):
            values[f"blimp_{name}"] = _mean_over_paradigms([item for item in items if item[kind] == name])
    return Measured(values, {"blimp": items})


def _mean_over_paradigms(items: Sequence[dict[str, Any]]) -> float:
    right: dict[str, list[bool]] = {}
    for item in items:
        right.setdefault(item["paradigm"], []).append(item["correct"])
    return mean(mean(paradigm) for paradigm in right.values())


def measure_blimp(reader: LanguageModel, pairs: Sequence[MinimalPair], on_rows: OnRows | None = None) -> Measured:
    """Return the BLiMP values of a causal model, or of a masked one by pseudo-log-likelihoods."""
    texts = chain.from_iterable((pair.good, pair.bad) for pair in pairs)
    wheres = chain.from_iterable((pair.where, pair.where) for pair in pairs)
    rows = [text_tokens(reader, text, where) for text, where in zip(texts, wheres, strict=True)]
    found = log_likelihoods(reader, rows, on_rows)
    return blimp_scores(pairs, found[::2], found[1::2])
