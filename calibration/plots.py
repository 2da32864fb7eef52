"""Draw the plots of the calibration as SVG files with Altair; this needs no browser and no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

WIDTH, HEIGHT = 200, 150
Row = Mapping[str, Any]


def rates(rows: Sequence[Row], path: Path) -> None:
    """Draw the average score over the learning rate, a line for each method, a panel for each family."""
    chart = (
        alt.Chart(alt.InlineData(values=list(rows)))
        .mark_line(point=True)
        .encode(
            x=alt.X("rate:Q", scale=alt.Scale(type="log", nice=False), title="learning rate"),
            y=alt.Y("score:Q", title="average, points"),
            color=alt.Color("method:N", title=None),
            column=alt.Column("family:N", title=None),
        )
        .properties(width=WIDTH, height=HEIGHT)
    )
    chart.save(str(path))


def doses(rows: Sequence[Row], path: Path) -> None:
    """Draw one dial's measures over its dose: mean and ± one standard deviation between pre-trainings, per task."""
    banded = [
        {**row, "low": row["mean"] - row["sd_pretraining"], "high": row["mean"] + row["sd_pretraining"]} for row in rows
    ]
    base = alt.Chart().encode(x=alt.X("dose:Q", title=rows[0]["dial"]), color=alt.Color("task:N", title=None))
    line = base.mark_line(point=True).encode(y=alt.Y("mean:Q", title=None))
    bars = base.mark_rule().encode(y="low:Q", y2="high:Q")
    chart = (
        alt.layer(line, bars, data=alt.InlineData(values=banded))
        .properties(width=WIDTH, height=HEIGHT)
        .facet(column=alt.Column("measure:N", title=None))
        .resolve_scale(y="independent")
    )
    chart.save(str(path))
