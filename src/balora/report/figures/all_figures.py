"""List all figures of a study, by the section of the page that they stand in."""

from collections.abc import Iterator
from typing import NamedTuple

from balora.report.figures.cost import cost
from balora.report.figures.curve import training
from balora.report.figures.figure import Figure
from balora.report.figures.forest import Line, forest
from balora.report.figures.heat import heat
from balora.report.figures.interactions import factorial
from balora.report.figures.noise_shares import noise_shares
from balora.report.figures.rate_curves import rate_figures
from balora.report.figures.sweep import sweep_figures
from balora.report.records.dossier import Dossier
from balora.report.records.measures import MEASURES
from balora.report.records.report import Report
from balora.report.records.wording import INTERVAL
from balora.report.tables.answer import differences, effects, measure_of
from balora.settings import Family

FAMILIES: tuple[Family, ...] = ("nlu", "nlg")


class SectionFigures(NamedTuple):
    """The figures of one section, and how they are read."""

    figures: tuple[Figure, ...]
    reading: str = ""


def every_figure(dossier: Dossier) -> tuple[Figure, ...]:
    """Return every figure that the records can fill."""
    return tuple(figure for pictures in figures_by_section(dossier).values() for figure in pictures.figures)


def figures_by_section(dossier: Dossier) -> dict[str, SectionFigures]:
    """Return the figures that the records can fill by the id of their section; no section without a figure."""
    report, noun = dossier.report, dossier.report.noun
    found = {
        "differences": SectionFigures(
            tuple(_difference_figures(report)),
            f"Thick lines are {INTERVAL}s of the mean over {noun}s, thin ones over {noun}s and test items. The band "
            "is the margin: differences within it would not matter to this study.",
        ),
        "noise": SectionFigures(tuple(filter(None, (noise_shares(report),)))),
        "factors": SectionFigures(
            tuple(_factorial_figures(report)),
            "Means of the cells first: lines that are not parallel show that one factor changes what the other does. "
            f"{noun.capitalize()}s are paired, so the spread of a cell says little about a difference between cells: "
            "the intervals that count are those of the effects.",
        ),
        "rates": SectionFigures(tuple(rate_figures(report))),
        "sweeps": SectionFigures(tuple(sweep_figures(report, dossier.sweeps))),
        "tasks": SectionFigures(tuple(filter(None, (heat(dossier),)))),
        "training": SectionFigures(tuple(filter(None, (training(dossier, family) for family in FAMILIES)))),
        "cost": SectionFigures(tuple(filter(None, (cost(report),)))),
    }
    return {section: pictures for section, pictures in found.items() if pictures.figures}


def _difference_figures(report: Report) -> Iterator[Figure]:
    """Yield the forest of differences in each measure."""
    for measure in report.measures:
        lines = [Line(one.arm, one.paired, one.joint) for one in report.differences if one.measure == measure]
        if figure := forest(report, MEASURES[measure], lines, differences(report, measure)):
            yield figure


def _factorial_figures(report: Report) -> Iterator[Figure]:
    """Yield the cells in each score, then the effects with their intervals."""
    for measure in report.measures:
        figure = factorial(report, measure) if MEASURES[measure].higher_is_better else None
        if figure:
            yield figure
    for measure in dict.fromkeys(one.measure for one in report.effects):
        lines = [Line(one.name, one.paired) for one in report.effects if one.measure == measure]
        if figure := forest(report, measure_of(measure), lines, effects(report, measure)):
            yield figure
