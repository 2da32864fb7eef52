"""Average loss, terms and gradient shares over the runs of an arm and family, step by step; torch-free."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora.errors import InputError
from balora.objective.config import TERMS
from balora.report.records.shareable import record_fault
from balora.settings import Family
from balora.study.store.study_folder import StudyRecord
from balora.training.record import RunRecord, read_beside
from balora.training.seal import parse_json

ARMS, RUNS = 12, 256
"""Arms, and runs of an arm and family, whose steps are read: a design of 100,000 runs stays readable in seconds."""
SERIES = "series.jsonl"
PARTS = ("task", *TERMS)
QUANTITIES = ("loss", *PARTS, *(f"{part}_share" for part in PARTS))
"""What is read of a recorded step: the whole loss, each term's value, and its share of the gradient."""


@dataclass(frozen=True)
class Curve:
    """One quantity over the steps, in one arm and family."""

    arm: str
    family: Family
    quantity: str
    """One of `QUANTITIES`."""
    steps: tuple[int, ...]
    """Those that all its runs recorded with this quantity: a mean over changing runs would show the change of runs."""
    means: tuple[float, ...]
    runs: int


@dataclass(frozen=True)
class Curves:
    """The curves of a study, and what they leave out."""

    curves: tuple[Curve, ...] = ()
    faulty: tuple[str, ...] = ()
    """What is wrong with the steps of finished runs that are missing or were damaged."""
    left_out: int = 0
    """Finished runs that were not read, because there are so many."""

    @property
    def unreadable(self) -> int:
        """How many finished runs have steps that are missing or were damaged."""
        return len(self.faulty)


def read_curves(folder: Path, record: StudyRecord, runs: Mapping[str, RunRecord]) -> Curves:
    """Return the curves of the finished runs among ``runs``, from `series.jsonl` beside each record."""
    groups: dict[tuple[str, Family], list[RunRecord]] = {}
    for entry in record.runs:
        run = runs.get(entry.id)
        if run is not None and run.status == "ok":
            groups.setdefault((entry.arm, record.study.find(entry.task).family), []).append(run)
    drawn = set(list(dict.fromkeys(arm for arm, _ in groups))[:ARMS])
    found: list[Curve] = []
    faulty: dict[str, str] = {}
    left_out = 0
    for (arm, family), group in groups.items():
        chosen = group[:RUNS] if arm in drawn else []
        series: list[list[dict[str, float]]] = []
        for run in chosen:
            try:
                series.append(_series(folder, run))
            except InputError as error:
                faulty[run.id] = record_fault(run.id, str(error))
        left_out += len(group) - len(chosen)
        found += _curves(arm, family, series)
    return Curves(tuple(found), tuple(faulty.values()), left_out)


def _series(folder: Path, run: RunRecord) -> list[dict[str, float]]:
    """Return the recorded steps of a run; raise :class:`InputError` where they are missing or not what it wrote."""
    place = folder / "runs" / run.id
    text = read_beside(run, place, SERIES)
    try:
        rows: Any = parse_json(f"[{','.join(text.splitlines())}]")
    except ValueError as error:
        raise InputError(f"{place / SERIES}: its steps cannot be read ({error})") from None
    if not all(map(_is_step, rows)):
        raise InputError(f"{place / SERIES}: its steps cannot be read (one is no numbers by name)")
    return rows  # type: ignore[no-any-return]


def _is_step(row: Any) -> bool:
    """Return whether ``row`` holds numbers, and with them the step at which they were recorded."""
    if not isinstance(row, dict):
        return False
    values = [row[name] for name in QUANTITIES if name in row]
    return all(isinstance(value, int | float) for value in [*values, row.get("step", None if values else 0)])


def _curves(arm: str, family: Family, series: list[list[dict[str, float]]]) -> Iterator[Curve]:
    for quantity in QUANTITIES:
        having = [[(row["step"], row[quantity]) for row in rows if quantity in row] for rows in series]
        having = [points for points in having if points]  # a term that could not act in a run has no value there
        sums: dict[int, list[float]] = {}
        for points in having:
            for step, value in points:
                sums.setdefault(int(step), []).append(value)
        whole = {step: values for step, values in sorted(sums.items()) if len(values) == len(having)}
        if whole:
            means = tuple(sum(values) / len(values) for values in whole.values())
            yield Curve(arm, family, quantity, tuple(whole), means, len(having))
