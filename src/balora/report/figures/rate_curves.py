"""Draw scores over the learning rate: a line a method, with intervals, and the rate of each start marked."""

from balora.report.figures.figure import Figure, Spec, full_spec
from balora.report.figures.palette import arm_encoding
from balora.report.figures.sweep import curve_layers
from balora.report.records.rate_sheets import RateSheet
from balora.report.records.report import Report
from balora.report.records.wording import INTERVAL, number
from balora.report.tables.rate_tables import reading, scores

WIDTH, HEIGHT = 560, 280


def rate_figures(report: Report) -> list[Figure]:
    """Return a figure for each sheet."""
    return [_figure(report, sheet) for sheet in report.rate_sheets]


def _figure(report: Report, sheet: RateSheet) -> Figure:
    names = list(dict.fromkeys(score.method for score in sheet.scores))
    rates = sorted({score.rate for score in sheet.scores})
    rows: list[Spec] = [
        {"rate": s.rate, "mean": s.mean, "method": s.method, "chosen": s.is_chosen}
        | ({} if s.low is None else {"low": s.low, "high": s.high})
        for s in sheet.scores
    ]
    if sheet.source == "blocks":
        what = f"Means over {report.noun}s with {INTERVAL}s; rings mark the rate that each start has in this study."
    else:
        what = "Means over the seeds of the search, on rows that no run trains on; rings mark what was chosen."
    better = "" if sheet.higher_is_better else " The lower the better."
    return Figure(
        name=f"rates-{sheet.key}",
        title=f"{sheet.label} over the learning rate",
        summary=_summary(sheet, names),
        spec=full_spec(_spec(rows, names, rates, sheet)),
        table=scores(report, sheet),
        note=" ".join(filter(None, (what + better, "Logarithmic axis.", reading(sheet)))),
    )


def _spec(rows: list[Spec], names: list[str], rates: list[float], sheet: RateSheet) -> Spec:
    x = {
        "field": "rate",
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 16},
        "axis": {"title": "learning rate", "values": rates, "format": "~g", "grid": False},
    }
    y = {
        "field": "mean",
        "type": "quantitative",
        "scale": {"zero": False, "padding": 12},
        "axis": {"title": f"{sheet.label}, {sheet.unit}", "tickCount": 6},
    }
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": rows},
        "encoding": {"x": x, "y": y},
        "layer": list(curve_layers(y, arm_encoding("method", names), ringed="chosen")),
    }


def _summary(sheet: RateSheet, names: list[str]) -> str:
    parts = []
    for name in names:
        found = [score for score in sheet.scores if score.method == name]
        parts.append(f"{name}: " + ", ".join(f"{number(s.mean, sheet.unit)} at {s.rate:g}" for s in found))
    return f"{sheet.label} ({sheet.unit}) over the learning rate. {'; '.join(parts)}."
