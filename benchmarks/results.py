"""Read and write the results of all benchmarks, with date and machine, in one JSON file; make the table from it."""

import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from balora.training.machine import processor

HERE = Path(__file__).parent
FILE, PAGE = HERE / "results" / "cpu.json", HERE.parent / "docs" / "performance.md"
BEGIN, END = "<!-- table: python -m benchmarks -->\n", "<!-- end of table -->\n"


class Row(NamedTuple):
    """One measured figure."""

    what: str
    ratio: float
    goal: float
    detail: str

    @property
    def missed(self) -> bool:
        """Whether the goal was not reached."""
        return self.ratio > self.goal


def update(file: Path, name: str, rows: list[Row], threads: int) -> None:
    """Write the rows of the benchmark ``name`` into ``file``; they replace its earlier rows and leave all others."""
    results = read(file)
    results[name] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{processor()}, {threads} threads",
        **{package: version(package) for package in ("torch", "transformers", "peft")},
        "rows": [row._asdict() for row in rows],
    }
    file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def read(file: Path) -> dict[str, Any]:
    """Return the results by benchmark, in the order in which they were first measured."""
    return json.loads(file.read_text()) if file.exists() else {}


def table(results: dict[str, Any]) -> str:
    """Return all rows as a Markdown table, and below it the date, machine and versions of each benchmark."""
    lines = ["| what | measured | goal | |", "|---|---|---|---|"]
    places: dict[str, list[str]] = {}
    for name, result in results.items():
        for row in (Row(**row) for row in result["rows"]):
            missed = " (missed)" if row.missed else ""
            lines.append(f"| {row.what} | {row.ratio:.2f} | ≤ {row.goal:g}{missed} | {row.detail} |")
        place = ", ".join(f"{key} {value}".removeprefix("date ") for key, value in result.items() if key != "rows")
        places.setdefault(place, []).append(name)
    lines.append("")
    lines += [f"{', '.join(names)}: {place}" for place, names in places.items()]
    return "\n".join(lines) + "\n"


def page_with(page: str, table: str) -> str:
    """Return the text of the page with its table replaced."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{table}{END}{tail}"
