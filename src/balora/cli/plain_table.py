"""Make and print plain tables and lines on a terminal; texts are shown as texts, whatever stands in them."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from balora.errors import printable

WIDEST = 10_000
"""More columns than a table needs."""


def plain_console(width: int | None = None) -> Console:
    """Return a console that takes no text for markup or for the name of an emoji."""
    return Console(highlight=False, markup=False, emoji=False, width=width)


def plain_table(rows: Iterable[Iterable[str]], headings: Iterable[str] = ()) -> Table:
    """Return a table without lines; columns whose heading ends with `>` are numbers, aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="", show_header=bool(headings))
    for heading in headings:
        is_number = heading.endswith(">")
        name = printable(heading.rstrip(">"))
        table.add_column(name, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for row in rows:
        table.add_row(*map(printable, row))
    return table


def print_whole(console: Console, table: Table) -> None:
    """Print a table whole: on a narrow terminal its lines run on, since a number that is cut off is another number."""
    needed = console.measure(table, options=console.options.update(width=WIDEST)).maximum
    plain_console(max(console.width, needed)).print(table)


def print_texts(console: Console, lines: Iterable[str]) -> None:
    """Print lines that run on where the terminal is narrow."""
    for line in lines:
        console.print(printable(line), soft_wrap=True)
