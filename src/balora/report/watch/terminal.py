"""Render the state of a running study as text for a terminal."""

from collections.abc import Iterator, Mapping

from balora.errors import printable
from balora.report.tables.table import text_lines
from balora.report.watch.snapshot import Snapshot
from balora.study.engine.display import clock
from balora.training.record import scores_in_words

STATES = {True: "running", False: "not running", None: "unknown if running (this file system has no locks)"}


def draw(snapshot: Snapshot) -> str:
    """Return the state of a study, a line each for what goes on, then its tables."""
    return "\n".join(map(printable, _lines(snapshot)))


def _lines(snapshot: Snapshot) -> Iterator[str]:
    yield f"{snapshot.report.study}: {snapshot.report.question}"
    yield " · ".join(_state(snapshot))
    for one in snapshot.under_way:
        yield f"  {_under_way(one)}"
    for fault in snapshot.report.unreadable:
        yield f"  cannot be used: {fault}"
    for ended in snapshot.latest:
        yield f"  ended: {ended.label}: {_outcome(ended.status, ended.scores)}"
    for table in snapshot.tables():
        yield ""
        yield table.caption
        yield from text_lines(table)


def _state(snapshot: Snapshot) -> Iterator[str]:
    counts = snapshot.report.counts
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


def _outcome(status: str, scores: Mapping[str, float]) -> str:
    if status != "ok":
        return status.upper()
    return scores_in_words(scores) or "done"
