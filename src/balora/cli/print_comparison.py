"""Print a comparison on a terminal: the answer, the systems, the differences, the tasks, notes and methods."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from balora.cli.plain_table import plain_console, plain_table, print_texts, print_whole
from balora.comparing.compared import Compared, PairResult
from balora.comparing.comparison_words import INTERVAL, answers, chance, facts, interval, methods, points


def print_comparison(compared: Compared, written: Sequence[Path] = ()) -> None:
    """Print ``compared``, and where it was written to."""
    console = plain_console()
    print_texts(console, [*answers(compared), " · ".join(facts(compared)), ""])
    print_whole(console, plain_table(_means(compared), ("system", "mean>", *_task_heads(compared))))
    console.print()
    joint = ("over seeds and items>",) if any(one.joint for one in compared.results) else ()
    print_whole(
        console, plain_table(_differences(compared), ("", "difference>", f"{INTERVAL}>", *joint, "p>", "corrected p>"))
    )
    console.print()
    heads = ("", "higher>", "lower>", "equal>", "detectable>", f"{compared.noun}s needed>")
    print_whole(console, plain_table(_strengths(compared), heads))
    print_texts(console, ["", *(f"note: {note}" for note in compared.notes), *islice(methods(compared), 1, 3)])
    print_texts(console, [f"written to {path}" for path in written])


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
