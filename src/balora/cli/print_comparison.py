"""Print a comparison on a terminal: the answer, the systems, the differences, the tasks, notes and methods."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from balora.comparing.compared import Compared, PairResult
from balora.comparing.comparison_words import INTERVAL, answers, chance, facts, interval, methods, points
from balora.errors import printable


def print_comparison(compared: Compared, written: Sequence[Path] = ()) -> None:
    """Print ``compared``, and where it was written to."""
    console = _console()
    _lines(console, [*answers(compared), " · ".join(facts(compared)), ""])
    _print(console, _table(_means(compared), ("system", "mean>", *_task_heads(compared))))
    console.print()
    joint = ("over seeds and items>",) if any(one.joint for one in compared.results) else ()
    _print(console, _table(_differences(compared), ("", "difference>", f"{INTERVAL}>", *joint, "p>", "corrected p>")))
    console.print()
    heads = ("", "higher>", "lower>", "equal>", "detectable>", f"{compared.noun}s needed>")
    _print(console, _table(_strengths(compared), heads))
    _lines(console, ["", *(f"note: {note}" for note in compared.notes), *islice(methods(compared), 1, 3)])
    _lines(console, [f"written to {path}" for path in written])


def _print(console: Console, table: Table) -> None:
    """Print a table whole: on a narrow terminal its lines run on, since a number that is cut off is another number."""
    needed = console.measure(table, options=console.options.update(width=WIDEST)).maximum
    _console(max(console.width, needed)).print(table)


def _console(width: int | None = None) -> Console:
    return Console(highlight=False, markup=False, emoji=False, width=width)


WIDEST = 10_000
"""More columns than a table needs."""


MOST_TASKS = 5
"""Tasks whose means have a column of their own; of more, the page and the JSON document hold the means."""


def _task_heads(compared: Compared) -> Sequence[str]:
    several = 1 < len(compared.tasks) <= MOST_TASKS
    return [f"{task.name}: {task.metric}>" for task in compared.tasks] if several else []


def _means(compared: Compared) -> Iterator[Sequence[str]]:
    several = 1 < len(compared.tasks) <= MOST_TASKS
    for one in compared.systems:
        yield (one.name, points(one.mean), *(points(mean) for mean in one.tasks.values() if several))


def _differences(compared: Compared) -> Iterator[Sequence[str]]:
    joint = any(one.joint for one in compared.results)
    for one in compared.results:
        paired = one.paired
        yield (
            _label(one),
            points(paired.mean, sign=True),
            interval(paired.low, paired.high),
            *((interval(*one.joint) if one.joint else "–",) if joint else ()),
            chance(paired.p),
            chance(paired.adjusted_p),
        )


def _strengths(compared: Compared) -> Iterator[Sequence[str]]:
    for one in compared.results:
        needed = "–" if one.paired.needed is None else f"{one.paired.needed:,}"
        counts = (f"{count:,}" for count in (one.higher, one.lower, one.equal))
        yield (_label(one), *counts, points(one.paired.detectable), needed)


def _label(one: PairResult) -> str:
    return f"{one.system} − {one.against}"


def _table(rows: Iterable[Sequence[str]], headings: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="")
    for heading in headings:
        is_number = heading.endswith(">")
        name = printable(heading.rstrip(">"))
        table.add_column(name, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for row in rows:
        table.add_row(*map(printable, row))
    return table


def _lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(printable(line), soft_wrap=True)
