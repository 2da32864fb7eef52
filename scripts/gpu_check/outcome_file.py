"""Add a part's rows to the file of results, or the reason why there are none, and print the goals."""

import re
import time
from pathlib import Path

from benchmarks.results import DRY, UNMEASURED, Row, read, write

from .parts import Outcome


def file_name(card: str) -> str:
    """Return the name of the file of results of a card."""
    return re.sub(r"[^a-z0-9]+", "-", card.lower()).strip("-") + ".json"


def record(output: Path, outcome: Outcome, fresh: Path, dry: bool) -> None:
    """Add to ``output`` what the part wrote into ``fresh``.

    A part that did not end has the reason beside its rows. One without rows leaves those that an earlier call measured.
    """
    results, entry = read(output), read(fresh).get(outcome.part)
    if entry is not None:
        results[outcome.part] = entry
        if outcome.reason:
            entry[UNMEASURED] = f"the rest: {outcome.reason}"
    elif not results.get(outcome.part, {}).get("rows"):
        day = time.strftime("%Y-%m-%d")
        results[outcome.part] = {**({DRY: True} if dry else {}), "date": day, UNMEASURED: outcome.reason, "rows": []}
    write(output, results)


def goals(output: Path, parts: list[str]) -> list[str]:
    """Return a line for each row of these parts that has a goal: the goal, what was measured, met or missed."""
    results = read(output)
    lines = []
    for part in parts:
        for row in (Row(**row) for row in results.get(part, {}).get("rows", [])):
            if row.goal is not None:
                verdict = "missed" if row.missed else "met"
                lines.append(f"  {verdict:6}  {row.ratio:7.2f}  goal ≤ {row.goal:<6g} {row.what}")
    return lines
