"""Draw forest plots: differences to the arm of reference, or effects of factors, with intervals and verdicts."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from balora.errors import printable
from balora.report.figures.figure import LINES, Figure, Spec, first, full_spec
from balora.report.figures.palette import BAND, GRID, HELPS, HURTS, INK, OPEN, PAPER, ZERO
from balora.report.records.measures import Measure
from balora.report.records.report import Report
from balora.report.records.wording import INTERVAL, number, verdict
from balora.report.tables.table import Table
from balora.statistics import Comparison, Verdict

MOST = 24
WIDTH, STEP, LINE_STEP = 440, 16, 16
"""Pixels: of the plot, of a line's space, and of each line of its label."""
LINE, SHOWN = 52, 160
"""Characters of a label's line, and of all its lines."""
TONES = {Verdict.HELPS: "good", Verdict.HURTS: "bad"} | dict.fromkeys(
    (Verdict.BOUNDED, Verdict.SAME, Verdict.ABOVE, Verdict.BELOW), "settled"
)


class Line(NamedTuple):
    """One line of a forest."""

    label: str
    paired: Comparison
    joint: tuple[float, float] | None = None
    """The interval over blocks and test items together, where items were scored one by one."""
    words: str = ""
    """Its verdict in words, where they are not those of a study's report."""


class Scale(NamedTuple):
    """What the lines of a forest are differences in."""

    label: str
    unit: str
    noun: str
    """What the intervals are over: a seed, a block, an item."""
    margin: float
    """The smallest difference that matters, in the unit."""
    higher_is_better: bool = True


def forest(report: Report, measure: Measure, lines: Sequence[Line], table: Table) -> Figure | None:
    """Return the forest of ``lines`` in the unit of ``measure``; None where no line has a value."""
    margin = measure.margin(report.margin)
    scale = Scale(measure.label, measure.unit, report.noun, margin, measure.higher_is_better)
    return forest_on(scale, lines, table)


def forest_on(scale: Scale, lines: Sequence[Line], table: Table) -> Figure | None:
    """Return the forest of ``lines`` on a scale; None where no line has a value."""
    known = [line for line in lines if line.paired.mean is not None]
    if not known:
        return None
    labels, left_out = first([line.label for line in known], MOST, "lines")
    rows = [_row(line, scale) for line in known[: len(labels)]]
    has_joint = any("joint_low" in row for row in rows)
    return Figure(
        name=table.name,
        title=f"{scale.label}, {scale.unit}",
        summary=_summary(scale, known[: len(labels)]),
        spec=full_spec(
            {
                "width": WIDTH,
                "height": {"step": STEP + LINE_STEP * max(row[LINES].count("\n", 0, SHOWN) + 1 for row in rows)},
                "data": {"values": rows},
                "layer": list(_layers(scale, has_joint)),
            }
        ),
        table=table,
        note=left_out,
    )


def _row(line: Line, scale: Scale) -> Spec:
    paired = line.paired
    row: Spec = {
        LINES: wrapped(printable(line.label)),
        "mean": paired.mean,
        "tone": tone(paired.verdict),
        "size": number(paired.mean, scale.unit, sign=True),
        "verdict": _verdict(line, scale),
    }
    if paired.low is not None:
        row |= {"low": paired.low, "high": paired.high}
    if line.joint is not None:
        row |= {"joint_low": line.joint[0], "joint_high": line.joint[1]}
    return row


def _verdict(line: Line, scale: Scale) -> str:
    return line.words or verdict(line.paired, scale.unit, scale.noun)


def tone(found: Verdict) -> str:
    """Return how a verdict is drawn: `good`, `bad`, `settled` (all filled) or `open` (hollow: nothing is known)."""
    return TONES.get(found, "open")


def wrapped(label: str) -> str:
    """Return ``label`` with a line end before each `×`, and where a line would be too long."""
    lines = [""]
    for word in label.split(" "):
        starts = word == "×" or len(lines[-1]) + len(word) >= LINE
        if starts and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _layers(scale: Scale, has_joint: bool) -> Iterator[Spec]:
    better = "right" if scale.higher_is_better else "left"
    title = f"difference, {scale.unit} (better to the {better})"
    x = {"type": "quantitative", "axis": {"title": title, "tickCount": 6, "grid": True, "gridColor": GRID}}
    y = {
        "field": LINES,
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "labelExpr": rf"split(truncate(datum.label, {SHOWN}), '\n')", "grid": False},
    }
    yield {
        "data": {"values": [{"low": -scale.margin, "high": scale.margin}]},
        "mark": {"type": "rect", "color": BAND},
        "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}},
    }
    yield {"mark": {"type": "rule", "color": ZERO}, "encoding": {"x": {"datum": 0, **x}}}
    colour = _toned(OPEN)
    for low, high, width in (("joint_low", "joint_high", 1.0), ("low", "high", 2.5))[not has_joint :]:
        yield {
            "mark": {"type": "rule", "strokeWidth": width},
            "encoding": {"x": {"field": low, **x}, "x2": {"field": high}, "y": y, "color": colour},
        }
    yield {
        "mark": {"type": "point", "size": 95, "opacity": 1, "strokeWidth": 2},
        "encoding": {"x": {"field": "mean", **x}, "y": y, "stroke": colour, "fill": _toned(PAPER)},
    }
    for field, align, place in (("size", "right", WIDTH + 64), ("verdict", "left", WIDTH + 76)):
        yield {
            "mark": {"type": "text", "align": align, "baseline": "middle", "color": INK},
            "encoding": {"x": {"value": place}, "y": y, "text": {"field": field, "type": "nominal"}},
        }


def _toned(unclear: str) -> Spec:
    scale = {"domain": ["good", "bad", "settled", "open"], "range": [HELPS, HURTS, OPEN, unclear]}
    return {"field": "tone", "type": "nominal", "legend": None, "scale": scale}


def _summary(scale: Scale, lines: Sequence[Line]) -> str:
    parts = []
    for line in lines[:8]:
        low, high = line.paired.low, line.paired.high
        unit, size = scale.unit, number(line.paired.mean, scale.unit, True)
        interval = "" if low is None else f" ({number(low, unit, True)} to {number(high, unit, True)})"
        parts.append(f"{line.label} {size}{interval}, {_verdict(line, scale)}")
    more = f"; and {len(lines) - 8} more" if len(lines) > 8 else ""
    return f"Differences in {scale.label} with {INTERVAL}s: {'; '.join(parts)}{more}."
