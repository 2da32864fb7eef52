"""Draw where the noise of each comparison comes from: stacked shares of the variance of a block's difference."""

from balora.report.figures.figure import Figure, Spec, first, full_spec
from balora.report.figures.palette import FAINT, INK, MUTED, SHORTENED
from balora.report.records.measures import MEASURES
from balora.report.records.noise_sources import SOURCES, Noise, primary
from balora.report.records.report import Report
from balora.report.records.wording import number
from balora.report.tables.noise_tables import sources

MOST = 12
"""Arms that are drawn in each measure."""
WIDTH, STEP = 400, 22
COLOURS = {"pretraining": "#0072b2", "finetuning": "#c04a00", "together": "#8a6d00", "items": "#00805c", "rest": FAINT}
"""By source; what is left is grey."""


def noise_shares(report: Report) -> Figure | None:
    """Return the shares of each comparison in the averages; None where no comparison has a variance to divide."""
    found = [one for one in primary(report.noise) if one.sd]
    arms, left_out = first(list(dict.fromkeys(one.arm for one in found)), MOST, "arms")
    drawn = [one for one in found if one.arm in arms]
    if not drawn:
        return None
    shown = [source for source in SOURCES if any(source in one.parts for one in drawn)]
    measures = list(dict.fromkeys(one.measure for one in drawn))
    panels = [_panel([one for one in drawn if one.measure == key], shown, key == measures[-1]) for key in measures]
    return Figure(
        name="noise",
        title=f"Where the noise of one {report.noun}'s difference comes from",
        summary=_summary(drawn, shown),
        spec=full_spec({"vconcat": panels, "spacing": 16, "resolve": {"scale": {"color": "shared"}}}),
        table=sources(report),
        note=f"Shares of the variance of a difference in one {report.noun}; on the right its standard deviation in the "
        f"measure's unit. {left_out}".strip(),
    )


def _panel(found: list[Noise], shown: list[str], is_last: bool) -> Spec:
    measure = MEASURES[found[0].measure]
    rows = [
        {"arm": one.arm, "source": SOURCES[source], "order": place, "share": part.share}
        for one in found
        for place, source in enumerate(shown)
        if (part := one.parts.get(source)) is not None
    ]
    sizes = [{"arm": one.arm, "text": f"± {number(one.sd, measure.unit)} {measure.unit}"} for one in found]
    y = {
        "field": "arm",
        "type": "nominal",
        "sort": None,
        "scale": {"paddingInner": 0.25, "paddingOuter": 0.1},
        "axis": {"title": None, "grid": False, "labelExpr": SHORTENED},
    }
    axis = {"title": "share of the variance" if is_last else None, "format": "%", "tickCount": 5, "labels": is_last}
    scale = {"domain": [SOURCES[source] for source in shown], "range": [COLOURS[source] for source in shown]}
    return {
        "title": {"text": measure.label, "color": MUTED, "fontWeight": "normal", "anchor": "start"},
        "width": WIDTH,
        "height": {"step": STEP},
        "layer": [
            {
                "data": {"values": rows},
                "mark": {"type": "bar"},
                "encoding": {
                    "x": {"field": "share", "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": axis},
                    "y": y,
                    "color": {"field": "source", "type": "nominal", "sort": None, "scale": scale},
                    "order": {"field": "order", "type": "quantitative"},
                },
            },
            {
                "data": {"values": sizes},
                "mark": {"type": "text", "align": "left", "baseline": "middle", "color": INK},
                "encoding": {"x": {"value": WIDTH + 8}, "y": y, "text": {"field": "text", "type": "nominal"}},
            },
        ],
    }


def _summary(found: list[Noise], shown: list[str]) -> str:
    parts = []
    for one in found[:8]:
        shares = [
            f"{SOURCES[source]} {100 * (part.share or 0.0):.0f} %"
            for source in shown
            if (part := one.parts.get(source)) is not None
        ]
        parts.append(f"{one.arm} in {MEASURES[one.measure].label}: {', '.join(shares)}")
    more = f"; and {len(found) - 8} more" if len(found) > 8 else ""
    return f"Shares of the variance of a difference. {'; '.join(parts)}{more}."
