"""Define the colours of all figures, light and dark, and what every chart has in common.

Charts are drawn in the light colours. On a dark screen the page gives each of them its dark counterpart by style alone
(`fill="#0072b2"` is a handle for CSS), so that one drawing serves both themes, print and files.
"""

from typing import Any

INK, MUTED, FAINT, GRID, BAND, ZERO = "#1b1d22", "#5d626b", "#9a9fa8", "#e6e7ea", "#eceff3", "#7b8089"
HELPS, HURTS, OPEN = "#0072b2", "#c04a00", "#6b7079"
"""Blue and vermilion differ for every kind of colour vision; what is undecided is grey and hollow."""
ARMS = (INK, "#0072b2", "#c04a00", "#00805c", "#a2418f", "#8a6d00")
"""The first arm, the base, is ink; the others follow in the order of the study."""
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
LOSSES = ("#f6dcc8", "#eeb98e", "#e59558", "#da7526")
GAINS = ("#d5e6f3", "#a9cdea", "#7db3de", "#5599cf")
SAME = "#f1f2f4"
PAPER = "#ffffff"

DARK = {
    INK: "#e9eaec",
    MUTED: "#a6acb6",
    FAINT: "#737a85",
    GRID: "#2b2f36",
    BAND: "#23272e",
    ZERO: "#878d97",
    HELPS: "#5ab4ea",
    HURTS: "#ff9352",
    OPEN: "#a0a6b0",
    "#00805c": "#33c79a",
    "#a2418f": "#df86cd",
    "#8a6d00": "#d8b23a",
    LOSSES[0]: "#46301f",
    LOSSES[1]: "#643b1a",
    LOSSES[2]: "#824615",
    LOSSES[3]: "#9c500d",
    GAINS[0]: "#1b3446",
    GAINS[1]: "#184764",
    GAINS[2]: "#145a83",
    GAINS[3]: "#0f6aa0",
    SAME: "#23262c",
    PAPER: "#14161a",
}
"""Each light colour's counterpart on a dark screen."""

SHOWN = 44
SHORTENED = f"truncate(datum.label, {SHOWN})"
"""A name beside an axis; only what is shown is cut, so that two long names stay two."""
WIDE, LEGEND_GAP = 110, 6
"""Characters in a row of a legend, and of these beside each name."""
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
"""Fonts of the same widths, so that what Vega measured fits wherever it is shown."""

CONFIG: dict[str, Any] = {
    "aria": False,  # the page describes a figure once, and has its table; 100 nameless marks would only be read aloud
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "ticks": False,
        "gridColor": GRID,
        "labelColor": MUTED,
        "labelFontSize": 12,
        "labelLimit": 0,  # measuring every label takes half of the time; names are SHORTENED
        "labelPadding": 6,
        "titleColor": MUTED,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "axisY": {"labelColor": INK},
    "title": {"anchor": "start", "color": INK, "fontSize": 13, "fontWeight": 600, "frame": "group", "offset": 10},
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 260,
        "title": None,
        "symbolSize": 70,
        "symbolStrokeWidth": 2,
        "offset": 12,
    },
    "text": {"color": INK, "fontSize": 12},
    "concat": {"spacing": 28},
}


def arm_colour(names: list[str]) -> dict[str, Any]:
    """Return the scale that gives each arm its colour, the same in every figure."""
    return {"domain": names, "range": [ARMS[i % len(ARMS)] for i in range(len(names))]}


def arm_shape(names: list[str]) -> dict[str, Any]:
    """Return the scale that gives each arm its shape, so that colour is not the only difference."""
    return {"domain": names, "range": [SHAPES[i % len(SHAPES)] for i in range(len(names))]}


def arm_encoding(field: str, names: list[str]) -> dict[str, Any]:
    """Return colour and shape by ``field``, with one legend for both that is no wider than the figure."""
    columns = max(1, WIDE // (max(map(len, names)) + LEGEND_GAP))
    channel = {"field": field, "type": "nominal", "sort": None, "legend": {"columns": columns} if names[1:] else None}
    return {
        "color": {**channel, "scale": arm_colour(names)},
        "shape": {**channel, "scale": arm_shape(names)},
    }
