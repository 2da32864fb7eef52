"""Draw cost against score: seconds and peak memory of an arm's runs on one axis, its averages on the other."""

from typing import Any

from balora.report.figures.figure import Figure, Spec, first, full_spec
from balora.report.figures.palette import arm_encoding
from balora.report.records.measures import MEASURES
from balora.report.records.report import Report
from balora.report.tables.answer import reference_row
from balora.report.tables.table import Table, count, fixed, spread, words

ARMS = 48
NAMED = 6
"""Arms with a colour and shape of their own; beyond, only the arm of reference stands out."""
WIDTH, HEIGHT = 300, 170
COSTS = {"seconds": "seconds a run", "memory": "peak memory, MiB"}


def cost(report: Report) -> Figure | None:
    """Return cost against score; None where no arm has both."""
    measures = [key for key in report.measures if MEASURES[key].higher_is_better]
    rows, left_out = _rows(report, measures)
    shown = [measure for measure in measures if any(row["measure"] == measure for row in rows)]
    if not rows:
        return None
    names = list(dict.fromkeys(row["group"] for row in rows))
    spec = {
        "vconcat": [{"hconcat": [_panel(rows, measure, kind, names) for kind in COSTS]} for measure in shown],
        "resolve": {"legend": {"color": "shared", "shape": "shared"}},
    }
    return Figure(
        name="cost",
        title="Score against what the runs took",
        summary=_summary(report),
        spec=full_spec(spec),
        table=_table(report, measures),
        note="Up is better, left is cheaper. Seconds are means over an arm's runs, memory is the largest of them. "
        + left_out,
    )


def _rows(report: Report, measures: list[str]) -> tuple[list[dict[str, Any]], str]:
    costs = {one.arm: one for one in report.costs}
    arms = [arm for arm in report.arms if arm.name in costs]
    names, left_out = first([arm.name for arm in arms], ARMS, "arms")
    rows = [
        {
            "group": arm.name if len(names) <= NAMED else (arm.name if arm.name == report.against else "other arms"),
            "measure": measure,
            "mean": arm.averages[measure].mean,
            "seconds": costs[arm.name].seconds,
            "memory": costs[arm.name].peak_memory_mb,
        }
        for arm in arms[: len(names)]
        for measure in measures
        if arm.averages[measure].mean is not None
    ]
    return rows, left_out


def _panel(rows: list[dict[str, Any]], measure: str, kind: str, names: list[str]) -> Spec:
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": [row for row in rows if row["measure"] == measure]},
        "mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
        "encoding": {
            "x": {
                "field": kind,
                "type": "quantitative",
                "scale": {"zero": False, "padding": 16},
                "axis": {"title": COSTS[kind], "tickCount": 5},
            },
            "y": {
                "field": "mean",
                "type": "quantitative",
                "scale": {"zero": False, "padding": 16},
                "axis": {"title": f"{MEASURES[measure].label}, {MEASURES[measure].unit}", "tickCount": 5},
            },
            **arm_encoding("group", names),
        },
    }


def _table(report: Report, measures: list[str]) -> Table:
    costs = {one.arm: one for one in report.costs}
    arms = [arm for arm in report.arms if arm.name in costs]
    rows = tuple(
        (
            words(arm.name),
            fixed(costs[arm.name].seconds, 2),
            fixed(costs[arm.name].peak_memory_mb, 0),
            *(spread(arm.averages[measure], MEASURES[measure].unit) for measure in measures),
            count(costs[arm.name].runs),
        )
        for arm in arms
    )
    head = ("arm", *COSTS.values(), *(f"{MEASURES[measure].label}, points" for measure in measures), "runs")
    return Table(
        "cost-score", "Cost and score of each arm", head, rows, strong=reference_row(report, [arm.name for arm in arms])
    )


def _summary(report: Report) -> str:
    parts = (
        f"{one.arm} {one.seconds:.2f} seconds a run and {one.peak_memory_mb:.0f} MiB at most"
        for one in report.costs[:8]
    )
    return f"Average score against cost, arm by arm: {'; '.join(parts)}."
