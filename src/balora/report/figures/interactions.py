"""Draw the cells of a factorial: means as lines over the levels of one factor, one line a level of the next."""

from itertools import product

from balora.report.figures.figure import Figure, Spec, full_spec, titled
from balora.report.figures.palette import SHORTENED, SHOWN, arm_encoding
from balora.report.records.measures import MEASURES
from balora.report.records.report import ArmRow, Report
from balora.report.records.wording import number
from balora.report.tables.answer import cells

PANELS = 6
"""Panels of a factorial with more than two factors: one for each combination of the others' levels."""
WIDTH, HEIGHT, LETTER = 230, 190, 7


def factorial(report: Report, measure: str) -> Figure | None:
    """Return the cell means in ``measure``; None where no cell has a value."""
    arms = [arm for arm in report.arms if arm.cell and arm.averages[measure].mean is not None]
    if not arms:
        return None
    levels = _levels(arms)
    across, *others = levels
    lines, rest = (others[0], others[1:]) if others else (None, [])
    panels = list(product(*(levels[factor] for factor in rest)))
    fixed = [dict(zip(rest, panel, strict=True)) for panel in panels[:PANELS]]
    shown = [_panel(arms, measure, across, levels[across], lines, levels_of_panel) for levels_of_panel in fixed]
    cut = len(panels) - len(shown)
    return Figure(
        name=f"cells-{measure}",
        title=f"{MEASURES[measure].label} of each cell",
        summary=_summary(arms, measure),
        spec=full_spec(_resolved(shown, [f"{lines} {level}" for level in levels[lines]] if lines else [])),
        table=cells(report, measure),
        note=f"{cut} more panels are left out." if cut > 0 else "",
    )


def _levels(arms: list[ArmRow]) -> dict[str, list[str]]:
    """Return every factor with its levels, in the order of the arms."""
    found: dict[str, dict[str, None]] = {}
    for arm in arms:
        for factor, level in (arm.cell or {}).items():
            found.setdefault(factor, {})[level] = None
    return {factor: list(levels) for factor, levels in found.items()}


def _panel(
    arms: list[ArmRow], measure: str, across: str, order: list[str], lines: str | None, fixed: dict[str, str]
) -> Spec:
    """Return one panel; ``order`` of the levels is the same in all, whichever arm of a panel comes first."""
    rows = [
        {"level": cell[across], "line": f"{lines} {cell[lines]}" if lines else "", "mean": arm.averages[measure].mean}
        for arm in arms
        for cell in [arm.cell or {}]
        if all(cell[factor] == level for factor, level in fixed.items())
    ]
    named = {str(row["level"]) for row in rows}
    return {
        "title": titled(", ".join(f"{factor} {level}" for factor, level in fixed.items())),
        "width": max(WIDTH, LETTER * sum(min(len(level), SHOWN) + 3 for level in named)),
        "height": HEIGHT,
        "data": {"values": rows},
        "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 70, "filled": True}},
        "encoding": {
            "x": {
                "field": "level",
                "type": "nominal",
                "sort": order,
                "axis": {"title": titled(across), "labelAngle": 0, "grid": False, "labelExpr": SHORTENED},
            },
            "y": {
                "field": "mean",
                "type": "quantitative",
                "scale": {"zero": False, "padding": 14},
                "axis": {"title": MEASURES[measure].unit, "tickCount": 5},
            },
        },
    }


def _resolved(panels: list[Spec], names: list[str]) -> Spec:
    for panel in panels:
        panel["encoding"] |= arm_encoding("line", names or [""])
    return {"hconcat": panels, "resolve": {"scale": {"y": "shared"}, "legend": {"color": "shared", "shape": "shared"}}}


def _summary(arms: list[ArmRow], measure: str) -> str:
    one = MEASURES[measure]
    parts = (
        f"{', '.join(f'{factor} {level}' for factor, level in (arm.cell or {}).items())}: "
        f"{number(arm.averages[measure].mean, one.unit)}"
        for arm in arms[:12]
    )
    return f"{one.label} of each cell of the factorial, {one.unit}. {'; '.join(parts)}."
