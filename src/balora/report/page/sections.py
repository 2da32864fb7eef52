"""What stands on the page and in which order: sections of text, figures and tables, before any of it is HTML."""

from collections.abc import Iterator
from dataclasses import dataclass

from balora.report.figures.all_figures import difference_figures, factorial_figures, training_figures
from balora.report.figures.cost import cost
from balora.report.figures.figure import Figure
from balora.report.figures.heat import heat
from balora.report.figures.sweep import sweep_figures
from balora.report.records.dossier import Dossier
from balora.report.tables import answer as tabulated
from balora.report.tables import run_tables as tabulated_runs
from balora.report.tables.table import Table

SHOWN = 50
"""Lines of a list before it is cut."""


@dataclass(frozen=True)
class Section:
    """One section: a heading and what stands under it, in this order."""

    id: str
    title: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    intro: str = ""
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Lists of short texts, each under its heading."""


def sections(dossier: Dossier) -> tuple[Section, ...]:
    """Return the sections that have something to show."""
    return tuple(section for section in _sections(dossier) if section.figures or section.tables or section.lists)


def _sections(dossier: Dossier) -> Iterator[Section]:
    report = dossier.report
    yield Section("arms", "Arms", tables=(tabulated.arms(report).cut(),))
    yield Section(
        "differences",
        f"Differences to {report.against}",
        figures=tuple(difference_figures(dossier)),
        tables=_filled(tabulated.differences(report), tabulated.strengths(report)),
        intro=f"Arm minus {report.against} within each {report.noun}, averaged. Thick lines are 95 % intervals of the "
        f"mean over {report.noun}s, thin ones over {report.noun}s and test items. Differences within the band, up "
        f"to {report.margin:g} in points of 100, would not matter to this study.",
    )
    yield Section(
        "factors",
        "Factors",
        figures=tuple(factorial_figures(dossier)),
        tables=_filled(tabulated.effects(report)),
        intro="Means of the cells first: lines that are not parallel show that one factor changes what the other does. "
        f"{report.noun.capitalize()}s are paired, so the spread of a cell says little about a difference between "
        "cells: the intervals that count are those of the effects.",
    )
    yield Section("sweeps", "Swept settings", figures=tuple(sweep_figures(report, dossier.sweeps)))
    picture = heat(dossier)
    yield Section("tasks", "Tasks", figures=(picture,) if picture else (), tables=(tabulated.tasks(report).cut(),))
    yield from _inherited(dossier)
    yield _training(dossier)
    spent = cost(report)
    yield Section("cost", "Cost", figures=(spent,) if spent else (), tables=_filled(tabulated_runs.costs(report)))
    yield _runs(dossier)


def _filled(*tables: Table) -> tuple[Table, ...]:
    return tuple(table.cut() for table in tables if table.rows)


def _inherited(dossier: Dossier) -> Iterator[Section]:
    report = dossier.report
    families = dict.fromkeys(one.family for one in report.inherited)
    tables = [
        tabulated_runs.inherited(report, family, changes)
        for family in families
        for changes in (False, True)
        if len(report.arms) > 1 or not changes
    ]
    yield Section(
        "inherited",
        "What was inherited",
        tables=_filled(*tables),
        intro="Measures beside the scores, means over tasks. Descriptive: nothing here is tested, and nothing of it is "
        "in the answer. docs/testbed.md defines each measure.",
    )


def _training(dossier: Dossier) -> Section:
    report = dossier.report
    return Section(
        "training",
        "Training",
        figures=tuple(training_figures(dossier)),
        tables=_filled(tabulated_runs.terms(report), tabulated_runs.inactive(report)),
    )


def _runs(dossier: Dossier) -> Section:
    report = dossier.report
    notes = tuple(
        f"{note.text} ({note.runs:,} runs{', the numbers differ' * (note.variants > 1)})" for note in report.notes
    )
    lists = (("Records that cannot be used", report.unreadable), ("Notes of the runs", notes))
    tables = (tabulated_runs.counts(report), *_filled(tabulated_runs.failures(report)))
    shown = tuple((title, _cut(lines)) for title, lines in lists if lines)
    return Section("runs", "Runs", tables=tables, lists=shown)


def _cut(lines: tuple[str, ...]) -> tuple[str, ...]:
    left = len(lines) - SHOWN
    return (*lines[:SHOWN], f"and {left:,} more") if left > 0 else lines
