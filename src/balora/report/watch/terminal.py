"""The state of a running study as text for a terminal: drawing only."""

from collections.abc import Iterator, Sequence

from balora.report.records.measures import MEASURES
from balora.report.records.wording import number, verdict
from balora.report.watch.snapshot import Snapshot
from balora.statistics import Comparison
from balora.study.engine.display import clock

STATES = {True: "running", False: "no run is at work", None: "whether a run is at work cannot be told here"}
EARLY = "early differences to {base} (n blocks, 95 % interval); they move until the study is complete"


def draw(snapshot: Snapshot) -> str:
    """Return one look at a study."""
    return "\n".join(_lines(snapshot))


def _lines(snapshot: Snapshot) -> Iterator[str]:
    yield f"{snapshot.study}: {snapshot.question}"
    yield " · ".join(_state(snapshot))
    for one in snapshot.under_way:
        yield f"  {_under_way(one)}"
    for text in snapshot.unreadable:
        yield f"  cannot be used: {text}"
    for ended in snapshot.latest:
        yield f"  ended: {ended.label}: {_outcome(ended.status, ended.score)}"
    yield ""
    rows = [[arm.arm, f"{arm.ok}/{arm.planned}", str(arm.failed) if arm.failed else ""] for arm in snapshot.arms]
    yield from _table([["arm", "done", "failed" if any(row[2] for row in rows) else ""], *rows])
    compared = [one for one in snapshot.differences if one.paired.n]
    if compared:
        yield ""
        yield "differences to " + snapshot.base if snapshot.complete else EARLY.format(base=snapshot.base)
        yield from _table(
            [[one.arm, MEASURES[one.measure].label, *_paired(one.paired, one.measure)] for one in compared]
        )


def _state(snapshot: Snapshot) -> Iterator[str]:
    counts = snapshot.counts
    yield "complete" if snapshot.complete else STATES[snapshot.active]
    yield f"{counts.ok + counts.failed}/{counts.planned} runs" + (f", {counts.failed} failed" if counts.failed else "")
    if snapshot.models:
        yield f"{snapshot.models} models to be pre-trained first"
    if not snapshot.complete and snapshot.left_seconds is not None:
        workers = max(1, snapshot.workers)
        yield f"about {clock(snapshot.left_seconds)} left with {workers} worker{'s' * (workers > 1)}"


def _under_way(one: dict[str, object]) -> str:
    steps = f" {one['step']}/{one['steps']}" if one["steps"] else ""
    loss = f" · loss {one['loss']:.3f}" if one["loss"] is not None else ""
    return f"{one['label']} · {one['phase']}{steps}{loss} · {one['seconds']:.0f} s"


def _outcome(status: str, score: float | None) -> str:
    if status != "ok":
        return status.upper()
    return "done" if score is None else f"{score:.2f}"


def _paired(paired: Comparison, measure: str) -> list[str]:
    unit = MEASURES[measure].unit
    interval = ""
    if paired.low is not None:
        interval = f"[{number(paired.low, unit, sign=True)}, {number(paired.high, unit, sign=True)}]"
    return [number(paired.mean, unit, sign=True), interval, f"n {paired.n}", verdict(paired, unit, "block")]


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
