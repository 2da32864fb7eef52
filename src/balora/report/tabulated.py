"""The tables of a report's answer: arms, differences, effects and tasks; the same for the page and for LaTeX."""

from balora.report.data import ArmRow, Report
from balora.report.scores import MEASURES, Measure
from balora.report.tables import Cell, Table, count, interval, measured, plain, spread, words
from balora.report.words import rates_in_words
from balora.study.statistics import Comparison
from balora.tasks.catalogue import find_task

BOTH = Measure("avg", "NLU and NLG Avg", "points", "nlu")
"""What effects are measured in where the families of tasks are a factor themselves."""


def measure_of(key: str) -> Measure:
    """Return the measure called ``key``."""
    return MEASURES.get(key, BOTH)


def arms(report: Report) -> Table:
    """Return the scores of the arms: mean ± standard deviation over seeds."""
    measures = [MEASURES[key] for key in report.measures]
    rows = tuple(
        (
            words(arm.name),
            words(what_changes(arm)),
            *(spread(arm.averages[measure.key], measure.unit) for measure in measures),
            _seeds(arm, measures),
        )
        for arm in report.arms
    )
    head = ("arm", "what it changes", *(f"{measure.label}, {measure.unit}" for measure in measures), "seeds")
    note = "Scores in points of 100, the higher the better."
    if "nlg_answer_loss" in report.measures:
        note += " Answer loss (secondary) on the reference answers, the lower the better."
    caption = "Arms: mean ± standard deviation over seeds"
    return Table("arms", caption, head, rows, texts=2, note=note, strong=0)


def _seeds(arm: ArmRow, measures: list[Measure]) -> Cell:
    counts = list(dict.fromkeys(arm.averages[measure.key].n for measure in measures))
    cell: Cell = count(counts[0]) if counts else ()
    for other in counts[1:]:
        cell = (*cell, " / ", *count(other))
    return cell


def what_changes(arm: ArmRow) -> str:
    """Return in words how an arm differs from the base."""
    rates = rates_in_words(arm.rates, "; ")
    if arm.is_base:
        return f"the base, which the others are compared with{rates}"
    if arm.ablation is None:
        return ", ".join(f"{factor} {level}" for factor, level in (arm.cell or {}).items()) + rates
    instead = f" by {arm.ablation['replacement']}" if "replacement" in arm.ablation else ""
    return f"{arm.ablation['action']} {arm.ablation['part']}{instead}{rates}"


def differences(report: Report, measure: str | None = None) -> Table:
    """Return the arms against the base, seed by seed; of one measure, or of all."""
    found = [one for one in report.differences if measure in (None, one.measure)]
    return Table(
        f"differences-{measure}" if measure else "differences",
        f"Differences to {report.base}, seed by seed" + (f": {MEASURES[measure].label}" if measure else ""),
        ("arm", *_named(measure), *PAIRED),
        tuple((words(one.arm), *_name(measure, one.measure), *paired(one.paired, one.measure)) for one in found),
        texts=2 if measure else 3,
    )


def _named(only: str | None) -> tuple[str, ...]:
    return () if only else ("measure",)


def _name(only: str | None, measure: str) -> tuple[Cell, ...]:
    return () if only else (words(measure_of(measure).label),)


PAIRED = ("verdict", "difference", "95 % interval", "p", "seeds")


def paired(comparison: Comparison, measure: str) -> tuple[Cell, ...]:
    """Return the cells of a comparison."""
    unit = measure_of(measure).unit
    return (
        words(comparison.verdict),
        measured(comparison.mean, unit, sign=True),
        interval(comparison.low, comparison.high, unit),
        plain(comparison.p, 2),
        count(comparison.n),
    )


def effects(report: Report, measure: str | None = None) -> Table:
    """Return main effects and interactions of the factorial; of one measure, or of all."""
    found = [one for one in report.effects if measure in (None, one.measure)]
    return Table(
        f"effects-{measure}" if measure else "effects",
        "Effects of the factors" + (f": {measure_of(measure).label}" if measure else ""),
        ("effect", *_named(measure), *PAIRED),
        tuple((words(one.name), *_name(measure, one.measure), *paired(one.paired, one.measure)) for one in found),
        texts=2 if measure else 3,
        note="“b − a”: what going from a to b changes, averaged over the other factors. “×”: by how much one change "
        "alters the effect of the other.",
    )


def cells(report: Report, measure: str) -> Table:
    """Return the cells of the factorial in one measure."""
    found = [arm for arm in report.arms if arm.cell]
    factors = list(found[0].cell or {}) if found else []
    one = MEASURES[measure]
    return Table(
        f"cells-{measure}",
        f"Cells of the factorial: {one.label}, mean ± standard deviation over seeds",
        ("arm", *factors, f"{one.label}, {one.unit}"),
        tuple(
            (words(arm.name), *map(words, (arm.cell or {}).values()), spread(arm.averages[measure], one.unit))
            for arm in found
        ),
        texts=1 + len(factors),
    )


def tasks(report: Report) -> Table:
    """Return every task's score in every arm, an arm a row."""
    head = ("arm", *(f"{task} ({' and '.join(find_task(task).score)})" for task in report.tasks))
    rows = tuple(
        (words(arm.name), *(spread(arm.tasks.get(task), "points") for task in report.tasks)) for arm in report.arms
    )
    caption = "Score of each task, points: mean ± standard deviation over seeds"
    return Table("tasks", caption, head, rows, strong=0)
