"""Hold a figure as data: a Vega-Lite specification, its description in words, and the table of its numbers."""

from dataclasses import dataclass
from typing import Any

from balora.report.figures.palette import CONFIG
from balora.report.tables.table import Table

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""Names the grammar; nothing is fetched."""
Spec = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One figure of a report; drawing it is :mod:`balora.report.figures.render`'s business."""

    name: str
    """Of its file, and of its place on the page."""
    title: str
    summary: str
    """What it shows, for those who cannot see it."""
    spec: Spec
    table: Table
    """Every number it draws."""
    note: str = ""
    """How to read it, and what it leaves out."""


def full_spec(content: Spec) -> Spec:
    """Return a complete specification around ``content``."""
    return {"$schema": SCHEMA, "config": CONFIG, **content}


def first(names: list[str], most: int, what: str) -> tuple[list[str], str]:
    """Return the first ``most`` of ``names``, and a sentence about those that are left out."""
    if len(names) <= most:
        return names, ""
    return names[:most], f"Only the first {most} of {len(names):,} {what} are drawn, in the order of the study."
