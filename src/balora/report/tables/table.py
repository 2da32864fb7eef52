"""Hold a table as data: cells of words, and of numbers with the text that shows them, for every format to render."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from balora.errors import printable
from balora.report.records.wording import number
from balora.statistics import Summary

ROWS = 200
"""Rows of a table on the page before it is cut."""


class Number(NamedTuple):
    """A number of the records and how it is shown."""

    value: float
    text: str


Cell = tuple[str | Number, ...]
"""What stands in one cell, piece by piece."""

NOTHING: Cell = ("–",)


@dataclass(frozen=True)
class Table:
    """One table; the first column names its rows."""

    name: str
    """Of its file, and of its place on the page."""
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    texts: int = 1
    """How many columns, from the left, hold words; the others hold numbers."""
    note: str = ""
    """What must be known to read it."""
    strong: int | None = None
    """The row of the arm of reference, if it has one."""

    def cut(self, rows: int = ROWS, *, elsewhere: str) -> "Table":
        """Return the table with at most so many rows, and a note that says ``elsewhere`` where the others are."""
        if len(self.rows) <= rows:
            return self
        left = f"The first {rows} of {len(self.rows):,} rows; all are in {elsewhere}."
        return replace(self, rows=self.rows[:rows], note=f"{self.note} {left}".strip())


def text(cell: Cell) -> str:
    """Return what a cell shows."""
    return "".join(piece.text if isinstance(piece, Number) else piece for piece in cell)


def words(content: str) -> Cell:
    """Return a cell of words."""
    return (content,)


def count(value: int) -> Cell:
    """Return a cell with a whole number."""
    return (Number(value, f"{value:,}"),)


def measured(value: float | None, unit: str, sign: bool = False) -> Cell:
    """Return a number with its unit's decimals."""
    return NOTHING if value is None else (Number(value, number(value, unit, sign)),)


def plain(value: float | None, digits: int = 4) -> Cell:
    """Return a number with so many significant digits."""
    return NOTHING if value is None else (Number(value, f"{value:.{digits}g}".replace("-", "−")),)


def fixed(value: float, decimals: int) -> Cell:
    """Return a number with so many decimals and separated thousands."""
    return (Number(value, f"{value:,.{decimals}f}".replace("-", "−")),)


def share(value: float | None) -> Cell:
    """Return a share of 1 in percent; its value stays the share."""
    return NOTHING if value is None else (Number(value, f"{100 * value:.2g} %"),)


def spread(summary: Summary | None, unit: str) -> Cell:
    """Return mean ± standard deviation."""
    if summary is None or summary.mean is None:
        return NOTHING
    sd: Cell = () if summary.sd is None else (" ± ", *measured(summary.sd, unit))
    return (*measured(summary.mean, unit), *sd)


def interval(low: float | None, high: float | None, unit: str) -> Cell:
    """Return ``low to high``."""
    if low is None or high is None:
        return NOTHING
    return (*measured(low, unit, sign=True), " to ", *measured(high, unit, sign=True))


def text_lines(table: Table) -> Iterator[str]:
    """Yield the heading and the rows, words to the left of their column and numbers to the right.

    A third column of words (the verdict) follows two columns of numbers, so that a narrow terminal shows these.
    """
    shown = (table.head, *(tuple(text(cell) for cell in row) for row in table.rows))
    rows = [tuple(map(printable, row)) for row in shown]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    order = [0, 1, 3, 4, 2, *range(5, len(widths))] if table.texts == 3 else range(len(widths))
    for row in rows:
        cells = [
            row[place].ljust(widths[place]) if place < table.texts else row[place].rjust(widths[place])
            for place in order
        ]
        yield "  ".join(cells).rstrip()
