"""Cells, tables and lists of a Markdown report: numbers and text in, Markdown out."""

import re
from collections.abc import Sequence

from balora.report.records.wording import number
from balora.statistics import Summary

SHOWN = 20
"""Rows of a list of failures or notes before it is cut."""


def escape(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is, in a table cell or a paragraph."""
    one_line = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", one_line)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Return a Markdown table; its first ``texts`` columns are words, the others are numbers."""
    align = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, align, *rows))


def spread(summary: Summary | None, unit: str) -> str:
    """Return mean ± SD, and the number of seeds where it is not to be taken for granted."""
    if summary is None or summary.mean is None:
        return "–"
    sd = f" ± {number(summary.sd, unit)}" if summary.sd is not None else ""
    return number(summary.mean, unit) + sd


def plain(value: float | None) -> str:
    """Return a number with four digits; `–` for none."""
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


def count_runs(n: int) -> str:
    """Return `1 run`, `2 runs`."""
    return "1 run" if n == 1 else f"{n} runs"


def bullets(lines: Sequence[str]) -> str:
    """Return a Markdown list of escaped lines, cut after the first 20."""
    more = [f"- and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([*(f"- {escape(line)}" for line in lines[:SHOWN]), *more])
