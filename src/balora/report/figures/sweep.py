"""Draw curves over the values of a swept setting: the paired difference to the arm of reference at each."""

from collections.abc import Sequence

from balora.report.figures.figure import Figure, Spec, first, full_spec, slug, titled
from balora.report.figures.palette import INK, ZERO, arm_encoding
from balora.report.records.measures import MEASURES, Measure
from balora.report.records.report import Report
from balora.report.records.sweeps import Point, Sweep
from balora.report.records.wording import INTERVAL, number
from balora.report.tables.table import NOTHING, Table, count, interval, measured, plain, spread, words
from balora.statistics import Comparison, Summary

LINES = 6
WIDTH, HEIGHT = 560, 240
DECADES = 20.0
"""Largest over smallest value from which an axis is logarithmic."""


def sweep_figures(report: Report, found: Sequence[Sweep]) -> list[Figure]:
    """Return one figure for each swept setting and measure."""
    groups: dict[tuple[str, str], list[Sweep]] = {}
    for sweep in found:
        groups.setdefault((sweep.setting, sweep.measure), []).append(sweep)
    return [_figure(report, setting, measure, lines) for (setting, measure), lines in groups.items()]


def _figure(report: Report, setting: str, measure: str, lines: list[Sweep]) -> Figure:
    one = MEASURES[measure]
    names, left_out = first([_line_name(sweep) for sweep in lines], LINES, "lines")
    drawn = lines[: len(names)]
    paired = {d.arm: d.paired for d in report.differences if d.measure == measure}
    values = sorted({point.value for sweep in drawn for point in sweep.points})
    rows = [
        _row(point, name, report.against, paired.get(point.arm))
        for name, sweep in zip(names, drawn, strict=True)
        for point in sweep.points
    ]
    return Figure(
        name=f"sweep-{slug(setting)}-{measure}",
        title=f"{one.label} over {setting}",
        summary=_summary(setting, measure, drawn),
        spec=full_spec(_spec(rows, names, values, setting, one)),
        table=_table(report, setting, measure, lines, paired),
        note=f"Differences to {report.against} (the ring), {report.noun} by {report.noun}, with {INTERVAL}s. "
        f"{axis_note(values)} {left_out}".strip(),
    )


def _line_name(sweep: Sweep) -> str:
    return ", ".join(f"{key} {value}" for key, value in sweep.others) or "else as the base"


def _row(point: Point, name: str, against: str, paired: Comparison | None) -> Spec:
    if point.arm == against:
        return {"value": point.value, "mean": 0, "line": name, "reference": True}
    row: Spec = {"value": point.value, "line": name, "reference": False}
    if paired is not None and paired.mean is not None:
        row["mean"] = paired.mean
    if paired is not None and paired.low is not None:
        row |= {"low": paired.low, "high": paired.high}
    return row


def axis(values: Sequence[float]) -> Spec:
    """Return the scale for ``values``: logarithmic from a factor of 20 on; with 0 among them, linear around 0 alone."""
    positive = [value for value in values if value > 0]
    if not positive or min(values) < 0 or max(positive) / min(positive) < DECADES:
        return {"type": "linear", "zero": False, "nice": False, "padding": 16}
    if len(positive) == len(values):
        return {"type": "log", "nice": False, "padding": 16}
    return {"type": "symlog", "constant": min(positive), "nice": False, "padding": 16}


def axis_note(values: Sequence[float]) -> str:
    """Return what must be known of the axis."""
    return {"log": "Logarithmic axis.", "symlog": "Logarithmic axis, linear next to 0."}.get(
        str(axis(values)["type"]), ""
    )


def _spec(rows: list[Spec], names: list[str], values: Sequence[float], setting: str, measure: Measure) -> Spec:
    x = {
        "field": "value",
        "type": "quantitative",
        "scale": axis(values),
        "axis": {
            "title": titled(setting),
            "values": list(values),
            "format": "~g",
            "grid": False,
            "labelOverlap": "greedy",
        },
    }
    y = {
        "field": "mean",
        "type": "quantitative",
        "scale": {"zero": False, "padding": 12},
        "axis": {"title": f"difference, {measure.unit}", "tickCount": 5},
    }
    by_line = arm_encoding("line", names)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": rows},
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "mark": {"type": "rule", "color": ZERO},
                "encoding": {"y": {"datum": 0}, "x": {"value": 0}, "x2": {"value": WIDTH}},
            },
            *curve_layers(y, by_line, ringed="reference"),
        ],
    }


def curve_layers(y: Spec, by_line: Spec, *, ringed: str) -> tuple[Spec, ...]:
    """Return the layers of lines with their points: intervals from `low` to `high`, lines, rings where ``ringed``."""
    return (
        {
            "mark": {"type": "rule", "strokeWidth": 1.5},
            "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}, "color": by_line["color"]},
        },
        {
            "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 60, "filled": True}},
            "encoding": by_line,
        },
        {
            "transform": [{"filter": {"field": ringed, "equal": True}}],
            "mark": {"type": "point", "size": 210, "filled": False, "stroke": INK, "strokeWidth": 1.5},
        },
    )


def _table(report: Report, setting: str, measure: str, lines: list[Sweep], paired: dict[str, Comparison]) -> Table:
    one = MEASURES[measure]
    rows = []
    for sweep in lines:
        for point in sweep.points:
            of = paired.get(point.arm)
            rows.append(
                (
                    words(point.arm),
                    words(_line_name(sweep)),
                    plain(point.value, 6),
                    spread(Summary(point.n, point.mean, point.sd), one.unit),
                    count(point.n),
                    measured(of.mean, one.unit, sign=True) if of else NOTHING,
                    interval(of.low, of.high, one.unit) if of else NOTHING,
                )
            )
    head = ("arm", "else", setting, f"{one.label}, {one.unit}", f"{report.noun}s", "difference", INTERVAL)
    caption = f"{one.label} over {setting}: mean ± standard deviation over {report.noun}s"
    return Table(f"sweep-{slug(setting)}-{measure}", caption, head, tuple(rows), texts=2)


def _summary(setting: str, measure: str, lines: Sequence[Sweep]) -> str:
    one = MEASURES[measure]
    parts = (
        f"{_line_name(sweep)}: "
        + ", ".join(f"{number(point.mean, one.unit)} at {point.value:g}" for point in sweep.points[:12])
        for sweep in lines
    )
    return f"{one.label} ({one.unit}) over {setting}. {'; '.join(parts)}."
