"""All figures of a study, in the order of the page."""

from collections.abc import Iterator

from balora.report.figures.cost import cost
from balora.report.figures.curve import training
from balora.report.figures.figure import Figure
from balora.report.figures.forest import Line, forest
from balora.report.figures.heat import heat
from balora.report.figures.interactions import factorial
from balora.report.figures.sweep import sweep_figures
from balora.report.records.dossier import Dossier
from balora.report.records.measures import MEASURES
from balora.report.tables.answer import differences, effects, measure_of


def every_figure(dossier: Dossier) -> tuple[Figure, ...]:
    """Return every figure that the records can fill."""
    report = dossier.report
    return (
        *difference_figures(dossier),
        *factorial_figures(dossier),
        *sweep_figures(report, dossier.sweeps),
        *filter(None, (heat(dossier),)),
        *training_figures(dossier),
        *filter(None, (cost(report),)),
    )


def difference_figures(dossier: Dossier) -> Iterator[Figure]:
    """Yield the forest of differences in each measure."""
    report = dossier.report
    for measure in report.measures:
        lines = [Line(one.arm, one.paired, one.joint) for one in report.differences if one.measure == measure]
        table = differences(report, measure)
        figure = forest(
            table.name, MEASURES[measure], report.noun, lines, MEASURES[measure].margin(report.margin), table
        )
        if figure:
            yield figure


def factorial_figures(dossier: Dossier) -> Iterator[Figure]:
    """Yield the cells in each score, then the effects with their intervals."""
    report = dossier.report
    for measure in report.measures:
        figure = factorial(report, measure) if MEASURES[measure].higher_is_better else None
        if figure:
            yield figure
    for measure in dict.fromkeys(one.measure for one in report.effects):
        lines = [Line(one.name, one.paired) for one in report.effects if one.measure == measure]
        table = effects(report, measure)
        found = forest(
            table.name, measure_of(measure), report.noun, lines, measure_of(measure).margin(report.margin), table
        )
        if found:
            yield found


def training_figures(dossier: Dossier) -> Iterator[Figure]:
    """Yield the training curves of each family of tasks."""
    for family in ("nlu", "nlg"):
        figure = training(dossier, family)
        if figure:
            yield figure
