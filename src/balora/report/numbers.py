"""List every number of a study in tidy tables, one observation a row: for spreadsheets, R and pandas."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from io import BytesIO, StringIO
from typing import Any

from balora.errors import printable
from balora.report.records.dossier import Dossier, RunRow
from balora.report.records.noise_sources import SOURCES
from balora.report.records.shareable import shareable_settings, without_paths

Row = dict[str, Any]
FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|\\[tnr]")
"""How a text begins that a spreadsheet may compute; some of them skip blanks and escapes of them, or are wide."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.ASCII | re.IGNORECASE)


def arms(dossier: Dossier) -> Iterable[Row]:
    """Yield each arm's average in each measure, and its changes."""
    for arm in dossier.report.arms:
        for measure, summary in arm.averages.items():
            changes = _named("set", shareable_settings(arm.changes))
            cell = {f"factor.{factor}": level for factor, level in (arm.cell or {}).items()}
            yield {"arm": arm.name, "base": arm.is_base, "measure": measure, **asdict(summary), **cell, **changes}


def seeds(dossier: Dossier) -> Iterable[Row]:
    """Yield each arm's average in each measure and seed: what every difference is made of."""
    for arm in dossier.report.arms:
        for measure, by_seed in arm.by_seed.items():
            yield from ({"arm": arm.name, "measure": measure, "seed": s, "value": v} for s, v in by_seed.items())


def differences(dossier: Dossier) -> Iterable[Row]:
    """Yield each arm against the arm of reference in each measure."""
    for one in dossier.report.differences:
        yield {"arm": one.arm, "against": dossier.report.against, "measure": one.measure, **_flat(asdict(one.paired))}


def effects(dossier: Dossier) -> Iterable[Row]:
    """Yield main effects and interactions."""
    for one in dossier.report.effects:
        yield {"effect": one.name, "measure": one.measure, **_flat(asdict(one.paired))}


def noise(dossier: Dossier) -> Iterable[Row]:
    """Yield where the noise of each difference comes from, in variances, and the spread between models."""
    for one in dossier.report.noise:
        found = one.components
        variances = {f"variance.{source}": getattr(found, source) for source in SOURCES}
        spread = {f"models.{key}": value for key, value in asdict(one.spread).items()} if one.spread else {}
        gains = {f"narrowing.{gain.way}.{gain.more}": gain.narrowing for gain in one.gains}
        known = {"blocks": found.blocks, "missing": "; ".join(found.missing), "half_width": one.half_width}
        yield {"arm": one.arm, "measure": one.measure, **known, **variances, **spread, **gains, "needed": one.needed}


def collapses(dossier: Dossier) -> Iterable[Row]:
    """Yield the runs that collapsed."""
    yield from (asdict(one) for one in dossier.report.collapses.runs)


def tasks(dossier: Dossier) -> Iterable[Row]:
    """Yield each arm's score in each task, with its difference to the arm of reference, and its answer loss."""
    changes = {(one.arm, one.task): one for one in dossier.by_task}
    for arm in dossier.report.arms:
        for task, summary in arm.tasks.items():
            one = changes.get((arm.name, task))
            change = {"difference": one.mean, "low": one.low, "high": one.high} if one else {}
            loss = arm.task_losses.get(task)
            losses = {"answer_loss": loss.mean, "answer_loss_sd": loss.sd} if loss else {}
            yield {"arm": arm.name, "task": task, **asdict(summary), **change, **losses}


def inherited(dossier: Dossier) -> Iterable[Row]:
    """Yield the measures beside the scores."""
    for one in dossier.report.inherited:
        yield {**_flat(asdict(one), ("summary",)), "tasks": " ".join(one.tasks)}


def curves(dossier: Dossier) -> Iterable[Row]:
    """Yield loss, terms and gradient shares over the steps."""
    for one in dossier.curves.curves:
        for step, mean in zip(one.steps, one.means, strict=True):
            row = {"arm": one.arm, "family": one.family, "quantity": one.quantity}
            yield {**row, "step": step, "mean": mean, "runs": one.runs}


def runs(dossier: Dossier) -> Iterable[Row]:
    """Yield every planned run of every arm: settings, score, metrics, measures, cost.

    `score`, `rows` and `metrics` are those on the task in `scored`; those on further tasks have its name before them.
    """
    return (_run(row) for row in dossier.runs)


def _run(row: RunRow) -> Row:
    found: Row = {"arm": row.arm, "task": row.task, "seed": row.seed, "id": row.id}
    if row.record is None:
        return {**found, "status": "missing"}
    record = row.record
    found |= {"status": record.status, "scored": record.spec.scored[0], "score": record.score, "rows": record.rows}
    found |= {"error": without_paths(f"{record.error.kind}: {record.error.message}")} if record.error else {}
    for task, other in record.others.items():
        found |= _named(task, {"score": other.score, "rows": other.rows, **_named("metrics", other.metrics)})
    for group in ("metrics", "behaviour", "inheritance", "measures", "cost"):
        found |= _named(group, getattr(record, group) if group != "cost" else record.cost.model_dump())
    for term, summary in record.terms.items():
        found |= _named(f"terms.{term}", summary.model_dump())
    return found | _named("set", shareable_settings(record.spec.model_dump())) | _named("versions", record.versions)


def _named(group: str, values: Mapping[str, Any]) -> Row:
    return {f"{group}.{key}": value for key, value in values.items()}


def _flat(row: Row, groups: tuple[str, ...] = ()) -> Row:
    """Return ``row`` with the values of ``groups`` beside its own, and pairs as two columns."""
    flat: Row = {}
    for key, value in row.items():
        if key in groups:
            flat |= value
        elif isinstance(value, tuple) and len(value) == 2:
            flat |= {f"{key}_low": value[0], f"{key}_high": value[1]}
        else:
            flat[key] = value
    return flat


TABLES: dict[str, Callable[[Dossier], Iterable[Row]]] = {
    "runs": runs,
    "arms": arms,
    "seeds": seeds,
    "differences": differences,
    "effects": effects,
    "noise": noise,
    "collapses": collapses,
    "tasks": tasks,
    "inherited": inherited,
    "curves": curves,
}
"""File → its rows."""


def columns(rows: Iterable[Row]) -> dict[str, list[Any]]:
    """Return rows as columns, in order of first appearance; a column has one type, text if need be."""
    listed = list(rows)
    names = list(dict.fromkeys(key for row in listed for key in row))
    found = {printable(name): [_plain(row.get(name)) for row in listed] for name in names}
    return {name: _one_type(values) for name, values in found.items()}


def _plain(value: Any) -> Any:
    """Return a number as it is, and anything else as text without control characters."""
    if isinstance(value, int) and abs(value) >= 2**63:  # Parquet has no larger integers
        return str(value)
    return value if value is None or isinstance(value, int | float) else printable(str(value))


def _one_type(values: list[Any]) -> list[Any]:
    """Return ``values`` as text where they are of several kinds (a setting that is a number here, a word there)."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and float in kinds:
        return [None if value is None else float(value) for value in values]
    return values if len(kinds) < 2 else [None if value is None else str(value) for value in values]


def csv_of(found: Mapping[str, list[Any]]) -> bytes:
    """Return columns as CSV: a header, full precision, nothing for none; no text that a spreadsheet would compute."""
    import csv

    file = StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(guarded, found))
    writer.writerows(map(guarded, row) for row in zip(*found.values(), strict=True))
    return file.getvalue().encode()


def guarded(value: Any) -> Any:
    """Return a cell of CSV; an apostrophe precedes a text that a spreadsheet would take for a formula and compute."""
    is_formula = isinstance(value, str) and FORMULA.match(value) and not NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


def parquet_of(found: Mapping[str, list[Any]]) -> bytes:
    """Return columns as Parquet."""
    import pyarrow
    import pyarrow.parquet

    file = BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(dict(found)), file)
    return file.getvalue()
