"""Draw loss, terms and gradient shares over the steps of training, arm by arm."""

from collections.abc import Iterable, Sequence

from balora.report.figures.figure import Figure, Spec, first, full_spec
from balora.report.figures.palette import arm_encoding
from balora.report.records.curves import PARTS, Curve, Curves
from balora.report.records.dossier import Dossier
from balora.report.tables.table import Table, count, plain, share, words
from balora.settings import Family

ARMS = 6
WIDTH, HEIGHT = 168, 120
BENT = 20.0
"""Largest value of a term from which its axis is bent, so that small terms stay visible beside it."""
BENT_TICKS = [-1000, -100, -10, -1, 0, 1, 10, 100, 1000]
VALUES = ("loss", *PARTS[1:])
SHARES = tuple(f"{term}_share" for term in PARTS)
TITLES = {"loss": "loss (all terms)", "task_share": "share of the gradient: task"} | {
    f"{term}_share": f"share: {term}" for term in PARTS[1:]
}


def training(dossier: Dossier, family: Family) -> Figure | None:
    """Return the curves of one family of tasks; None where no run recorded any."""
    curves = [one for one in dossier.curves.curves if one.family == family]
    names, left_out = first(list(dict.fromkeys(arm.name for arm in dossier.report.arms)), ARMS, "arms")
    drawn = [one for one in curves if one.arm in names]
    if not drawn:
        return None
    names = [name for name in names if any(one.arm == name for one in drawn)]
    last = max(one.steps[-1] for one in drawn)
    columns = [pair for pair in zip(VALUES, SHARES, strict=True) if any(_has(drawn, quantity) for quantity in pair)]
    spec = {
        "concat": [_panel(drawn, quantity, names, last) for row in zip(*columns, strict=True) for quantity in row],
        "columns": len(columns),
        "spacing": {"row": 18, "column": 22},
        "resolve": {"legend": {"color": "shared", "shape": "shared"}},
    }
    return Figure(
        name=f"training-{family}",
        title=f"{family.upper()}: loss, terms and their shares of the gradient over the steps",
        summary=_summary(drawn, family),
        spec=full_spec(spec),
        table=_table(curves, family),
        note=" ".join(filter(None, ("Means over the runs of an arm, at the steps that all of them recorded.",
                                    _bent_words(drawn), left_out, _missing(dossier.curves)))),
    )  # fmt: skip


def _has(curves: Iterable[Curve], quantity: str) -> bool:
    return any(one.quantity == quantity for one in curves)


def _panel(curves: Sequence[Curve], quantity: str, names: list[str], last: int) -> Spec:
    chosen = [one for one in curves if one.quantity == quantity]
    rows = [
        {"arm": one.arm, "step": step, "mean": mean}
        for one in chosen
        for step, mean in zip(one.steps, one.means, strict=True)
    ]
    in_percent = quantity.endswith("_share")
    y: Spec = {"zero": in_percent or quantity == "loss"}
    ticks: Spec = {"tickCount": 4}
    if _bent(chosen) and not in_percent:
        y, ticks = {"type": "symlog", "constant": 1}, {"values": BENT_TICKS}
    return {
        "title": {"text": TITLES.get(quantity, quantity), "fontSize": 12, "fontWeight": "normal"},
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": rows},
        "mark": {"type": "line", "strokeWidth": 1.75, "point": {"size": 24, "filled": True}},
        "encoding": {
            "x": {
                "field": "step",
                "type": "quantitative",
                "scale": {"domain": [0, last]},
                "axis": {"title": "step" if in_percent else None, "tickCount": 4, "grid": False},
            },
            "y": {
                "field": "mean",
                "type": "quantitative",
                "scale": y,
                "axis": {"title": None, **ticks, "format": "~%" if in_percent else ".4~g"},
            },
            **arm_encoding("arm", names),
        },
    }


def _bent(curves: Iterable[Curve]) -> bool:
    return any(abs(mean) > BENT for one in curves for mean in one.means)


def _bent_words(curves: Sequence[Curve]) -> str:
    bent = [name for name in VALUES if _bent([one for one in curves if one.quantity == name])]
    return f"Logarithmic beyond ±1: {', '.join(bent)}." if bent else ""


def _missing(curves: Curves) -> str:
    parts = [f"The steps of {curves.unreadable:,} runs are missing or damaged."] if curves.unreadable else []
    parts += [f"{curves.left_out:,} more runs were not read for these means."] if curves.left_out else []
    return " ".join(parts)


def _table(curves: Sequence[Curve], family: Family) -> Table:
    rows = tuple(
        (
            words(one.arm),
            words(TITLES.get(one.quantity, one.quantity)),
            count(one.runs),
            count(one.steps[0]),
            *([show(one.means[0])]),
            count(one.steps[-1]),
            *([show(one.means[-1])]),
        )
        for one in curves
        for show in [share if one.quantity.endswith("_share") else plain]
    )
    head = ("arm", "what", "runs", "first step", "value there", "last step", "value there")
    return Table(f"training-{family}", f"{family.upper()}: first and last recorded step", head, rows, texts=2)


def _summary(drawn: Sequence[Curve], family: Family) -> str:
    losses = [one for one in drawn if one.quantity == "loss"]
    parts = (
        f"{one.arm} from {one.means[0]:.3g} at step {one.steps[0]} to {one.means[-1]:.3g} at step {one.steps[-1]}"
        for one in losses
    )
    return f"{family.upper()}: training loss by arm. {'; '.join(parts)}. Panels for each regularizer and its share."
