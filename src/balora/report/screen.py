"""Render the end of a study for a terminal: the answer, one small table, and where the rest is; torch-free."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from balora.errors import printable
from balora.report.records.measures import MEASURES
from balora.report.records.report import Report
from balora.report.records.wording import number_of
from balora.report.tables.table import Table, spread, text_lines, words

MOST_ARMS = 12
"""Rows of the table; it says how many others there are."""


def draw(report: Report, written: Sequence[Path]) -> str:
    """Return the question, the answer in sentences, the scores of the arms, and the files ``written``."""
    return "\n".join(map(printable, _lines(report, written)))


def _lines(report: Report, written: Sequence[Path]) -> Iterator[str]:
    yield f"{report.study}: {report.question}"
    yield ""
    yield from (f"- {sentence}" for sentence in report.sentences)
    yield ""
    yield from text_lines(scores(report))
    if len(report.arms) > MOST_ARMS:
        yield f"and {number_of(len(report.arms) - MOST_ARMS, 'other arm')}"
    yield ""
    if report.counts.ok < report.counts.planned:
        yield f"{report.counts.ok} of {number_of(report.counts.planned, 'run')} have a result."
    if report.cautions:
        yield f"Read {number_of(len(report.cautions), 'caution')} and all other tables in"
    yield from map(str, written)


def scores(report: Report) -> Table:
    """Return the averages of the first arms, the arm of reference among them: mean ± standard deviation."""
    first = [arm for arm in report.arms if arm.name == report.against]
    shown = (*first, *(arm for arm in report.arms if arm.name != report.against))[:MOST_ARMS]
    measures = [MEASURES[key] for key in report.measures]
    rows = tuple(
        (words(arm.name), *(spread(arm.averages[measure.key], measure.unit) for measure in measures)) for arm in shown
    )
    return Table("scores", "Scores", ("arm", *(measure.label for measure in measures)), rows, strong=0)
