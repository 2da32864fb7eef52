"""Draw the heat map: every arm against the arm of reference in every task, with the numbers in the cells."""

from math import floor, log10

from balora.report.figures.figure import Figure, Spec, first, full_spec
from balora.report.figures.palette import GAINS, INK, LOSSES, MUTED, SAME, SHORTENED
from balora.report.records.dossier import Dossier, TaskDifference
from balora.report.records.wording import INTERVAL, number
from balora.report.tables.table import NOTHING, Table, interval, measured, words

ARMS, TASKS = 24, 16
CELL, STEP = 76, 30
SHADES = (*reversed(LOSSES), SAME, *GAINS)


def heat(dossier: Dossier) -> Figure | None:
    """Return the differences by task; None where there is none."""
    report, found = dossier.report, dossier.by_task
    if not found:
        return None
    arms, few_arms = first(list(dict.fromkeys(one.arm for one in found)), ARMS, "arms")
    tasks, few_tasks = first(list(dict.fromkeys(one.task for one in found)), TASKS, "tasks")
    drawn = [one for one in found if one.arm in arms and one.task in tasks]
    step = shade_step(max(abs(one.mean) for one in drawn))
    families = list(dict.fromkeys(report.families[task] for task in tasks))
    panels = [
        _panel([one for one in drawn if report.families[one.task] == family], arms, family.upper(), step, i == 0)
        for i, family in enumerate(families)
    ]
    return Figure(
        name="tasks",
        title=f"Score of each task, difference to {report.against} in points",
        summary=_summary(report.against, drawn),
        spec=full_spec({"hconcat": panels, "spacing": 14}),
        table=_table(dossier),
        note=" ".join(
            filter(
                None,
                (
                    f"Blue: a higher score than {report.against}; orange: a lower one; a shade is {step:g} wide. "
                    f"Means over {report.noun}s; the table has their intervals. Descriptive: nothing here is tested.",
                    few_arms,
                    few_tasks,
                ),
            )
        ),
    )


def shade_step(largest: float) -> float:
    """Return the width of a shade in points, 1, 2 or 5 times a power of ten, so that about four reach ``largest``."""
    if largest <= 0:
        return 1.0
    power = 10.0 ** floor(log10(largest / 4))
    return next((factor * power for factor in (1.0, 2.0, 5.0) if factor * power * 4 >= largest), 10 * power)


def _panel(found: list[TaskDifference], arms: list[str], family: str, step: float, labelled: bool) -> Spec:
    rows = [
        {"arm": one.arm, "task": one.task, "mean": one.mean, "text": number(one.mean, "points", True)} for one in found
    ]
    tasks = list(dict.fromkeys(one.task for one in found))
    axis = {"title": None, "grid": False, "domain": False}
    return {
        "title": {"text": family, "color": MUTED, "fontWeight": "normal", "anchor": "start"},
        "width": {"step": CELL},
        "height": {"step": STEP},
        "data": {"values": rows},
        "encoding": {
            "x": {
                "field": "task",
                "type": "nominal",
                "scale": {"domain": tasks, "paddingInner": 0.04, "paddingOuter": 0},
                "axis": {**axis, "orient": "top", "labelAngle": 0, "labelLimit": CELL, "labelColor": INK},
            },
            "y": {
                "field": "arm",
                "type": "nominal",
                "scale": {"domain": arms, "paddingInner": 0.08, "paddingOuter": 0},
                "axis": {**axis, "labels": labelled, "labelExpr": SHORTENED},
            },
        },
        "layer": [
            {
                "mark": {"type": "rect", "cornerRadius": 2},
                "encoding": {
                    "color": {
                        "field": "mean",
                        "type": "quantitative",
                        "legend": None,
                        "scale": {
                            "type": "threshold",
                            "domain": [k * step for k in (-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5)],
                            "range": list(SHADES),
                        },
                    }
                },
            },
            {"mark": {"type": "text", "color": INK}, "encoding": {"text": {"field": "text", "type": "nominal"}}},
        ],
    }


def _table(dossier: Dossier) -> Table:
    places = {(one.arm, one.task): one for one in dossier.by_task}
    tasks = list(dict.fromkeys(one.task for one in dossier.by_task))
    rows = tuple(
        (
            words(arm),
            *(
                (*measured(one.mean, "points", True), " (", *interval(one.low, one.high, "points"), ")")
                if (one := places.get((arm, task)))
                else NOTHING
                for task in tasks
            ),
        )
        for arm in dict.fromkeys(one.arm for one in dossier.by_task)
    )
    caption = f"Difference to {dossier.report.against} in the score of each task, points, with its {INTERVAL}"
    return Table("by-task", caption, ("arm", *tasks), rows)


def _summary(against: str, drawn: list[TaskDifference]) -> str:
    best, worst = max(drawn, key=lambda one: one.mean), min(drawn, key=lambda one: one.mean)
    return (
        f"Differences to {against} in each task's score, in points. The largest: {best.arm} in {best.task} "
        f"{number(best.mean, 'points', True)}; the smallest: {worst.arm} in {worst.task} "
        f"{number(worst.mean, 'points', True)}."
    )
