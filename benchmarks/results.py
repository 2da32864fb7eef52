"""Read and write the results of all benchmarks, with date and machine, in one JSON file; make the table from it."""

import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results", HERE.parent / "docs" / "performance.md"
FILE = RESULTS / "cpu.json"
BEGIN, END = "<!-- table: python -m benchmarks -->\n", "<!-- end of table -->\n"
CARDS_BEGIN, CARDS_END = "<!-- cards: scripts/on_gpu -->\n", "<!-- end of cards -->\n"
DRY, UNMEASURED = "dry", "not measured"
"""Entries of a benchmark: that its figures mean nothing, and why it has none or not all."""


class Row(NamedTuple):
    """One measured figure."""

    what: str
    ratio: float
    goal: float | None
    """The largest ratio that is good enough; None: only reported."""
    detail: str

    @property
    def missed(self) -> bool:
        """Whether the goal was not reached."""
        return self.goal is not None and self.ratio > self.goal


def update(file: Path, name: str, rows: list[Row], threads: int, dry: bool = False) -> None:
    """Write the rows of the benchmark ``name`` into ``file``; they replace its earlier rows and leave all others."""
    from balora.training.machine import processor  # imports torch, which reading the results does not need

    results = read(file)
    results[name] = {
        **({DRY: True} if dry else {}),
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{processor()}, {threads} threads",
        **{package: version(package) for package in ("torch", "transformers", "peft")},
        "rows": [row._asdict() for row in rows],
    }
    write(file, results)


def write(file: Path, results: dict[str, Any]) -> None:
    """Write all results, whole or not at all."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(file)


def read(file: Path) -> dict[str, Any]:
    """Return the results by benchmark, in the order in which they were first measured."""
    return json.loads(file.read_text()) if file.exists() else {}


def table(results: dict[str, Any]) -> str:
    """Return all rows as a Markdown table, and below it the date, machine and versions of each benchmark."""
    lines = ["| what | measured | goal | |", "|---|---|---|---|"]
    places: dict[str, list[str]] = {}
    for name, result in results.items():
        for row in (Row(**row) for row in result["rows"]):
            goal = "" if row.goal is None else f"≤ {row.goal:g}{' (missed)' if row.missed else ''}"
            lines.append(f"| {row.what} | {row.ratio:.2f} | {goal} | {row.detail} |")
        place = ", ".join(f"{key} {value}".removeprefix("date ") for key, value in result.items() if key != "rows")
        places.setdefault(place, []).append(name)
    lines.append("")
    lines += [f"{', '.join(names)}: {place}" for place, names in places.items()]
    return "\n".join(lines) + "\n"


def card_tables(folder: Path = RESULTS) -> str:
    """Return one section for each file of results in ``folder`` that is not the CPU's: a card's name and its table.

    Raises:
        ValueError: a file holds results of a dry run, which mean nothing.
    """
    sections = []
    for file in sorted(folder.glob("*.json")):
        results = read(file)
        if any(result.get(DRY) for result in results.values()):
            raise ValueError(f"{file} holds results of a dry run: remove it, they mean nothing")
        if file.name != FILE.name:
            sections.append(f"### {file.stem}\n\n{table(results)}")
    return "\n".join(sections) or "No GPU has been measured yet.\n"


def page_with(page: str, table: str, cards: str) -> str:
    """Return the text of the page with its table, and the tables of cards, replaced."""
    return _between(_between(page, BEGIN, table, END), CARDS_BEGIN, cards, CARDS_END)


def _between(page: str, begin: str, text: str, end: str) -> str:
    head, _, rest = page.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}{text}{end}{tail}"


def update_page() -> None:
    """Write the tables of all results into the page."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page_with(page, table(read(FILE)), card_tables()), encoding="utf-8")
