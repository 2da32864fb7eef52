"""Hold a figure as data: a Vega-Lite specification, its description in words, and the table of its numbers."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from balora.errors import shortened
from balora.report.figures.palette import CONFIG
from balora.report.tables.table import Table

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""Names the grammar; nothing is fetched."""
Spec = dict[str, Any]
LINES = "label"
"""Field of the data whose texts have several lines."""
LONGEST_TITLE = 160
"""Characters of a title, which is one line above a figure or beside an axis."""


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


def titled(text: str) -> str:
    """Return a title that is no wider than a page, whatever it names."""
    return shortened(text, LONGEST_TITLE)


def slug(name: str) -> str:
    """Return ``name`` as part of a file's name and of an id on the page: letters, digits and hyphens."""
    plain = re.sub("[^a-zA-Z0-9_]", "-", name)[:60]
    is_usual = re.fullmatch(r"[\w.]{1,60}", name, re.ASCII)
    return plain if is_usual else f"{plain}-{sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"


def first(names: list[str], most: int, what: str) -> tuple[list[str], str]:
    """Return the first ``most`` of ``names``, and a sentence about those that are left out."""
    if len(names) <= most:
        return names, ""
    return names[:most], f"Only the first {most} of {len(names):,} {what} are drawn, in the order of the study."
