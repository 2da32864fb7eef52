"""Build the tables of scores and differences over the learning rates."""

from collections.abc import Iterator

from balora.report.records.rate_sentences import turning_sentence
from balora.report.records.rate_sheets import RateContrast, RateSheet
from balora.report.records.report import Report
from balora.report.records.wording import INTERVAL, verdict
from balora.report.tables.table import Cell, Table, count, interval, measured, plain, words

NO_CELL: Cell = ("",)


def rate_tables(report: Report) -> Iterator[Table]:
    """Yield the scores of each sheet, and the differences between the starts where there are any."""
    for sheet in report.rate_sheets:
        yield scores(report, sheet)
        if sheet.contrasts:
            yield contrasts(report, sheet)


def scores(report: Report, sheet: RateSheet) -> Table:
    """Return the mean of each method at each rate; the rate of a start is marked."""
    rates = sorted({score.rate for score in sheet.scores})
    methods = list(dict.fromkeys(score.method for score in sheet.scores))
    by_place = {(score.method, score.rate): score for score in sheet.scores}
    rows = []
    for method in methods:
        found = [by_place.get((method, rate)) for rate in rates]
        cells = [
            NO_CELL if one is None else (*measured(one.mean, sheet.unit), *((" ◄",) if one.is_chosen else ()))
            for one in found
        ]
        rows.append((words(method), *cells))
    over = f"{report.noun}s" if sheet.source == "blocks" else "the seeds of the search"
    return Table(
        f"rates-{sheet.key}",
        f"{sheet.label} over the learning rate: mean over {over}, {sheet.unit}",
        ("method", *(f"{rate:g}" for rate in rates)),
        tuple(rows),
        note="◄ marks the rate that the start has in this study.",
    )


def contrasts(report: Report, sheet: RateSheet) -> Table:
    """Return another start minus the base's: at each rate, then with each at its own."""
    rows = tuple(
        (
            words(_pair(one)),
            words(_rates(one)),
            words(verdict(one.paired, sheet.unit, report.noun)),
            measured(one.paired.mean, sheet.unit, sign=True),
            interval(one.paired.low, one.paired.high, sheet.unit),
            plain(one.paired.p, 2),
            plain(one.paired.adjusted_p, 2),
            count(one.paired.n),
        )
        for one in sheet.contrasts
    )
    head = ("starts", "learning rate", "verdict", "difference", INTERVAL, "p", "corrected p", f"{report.noun}s")
    caption = f"{sheet.label}: another start minus the base's, at each learning rate and with each start at its own"
    return Table(f"rate-contrasts-{sheet.key}", caption, head, rows, texts=3, note=reading(sheet))


def _pair(one: RateContrast) -> str:
    return f"{one.start} − {one.against}, {'with' if one.regularized else 'without'} regularizers"


def _rates(one: RateContrast) -> str:
    return f"{one.rate:g}" if not one.at_own_rates else f"each its own: {one.rate:g} and {one.against_rate:g}"


def reading(sheet: RateSheet) -> str:
    """Return at which common rates each start leads or trails that of the base, and how p is corrected."""
    pairs = dict.fromkeys((one.start, one.regularized) for one in sheet.contrasts)
    turns = [turn for start, regularized in pairs if (turn := turning_sentence(sheet, start, regularized))]
    corrected = (
        "With each start at its own rate p is corrected (Holm) over all such averages; the other rows stand alone."
    )
    return " ".join([*turns, corrected] if sheet.contrasts else [])
