"""Build the tables beside a report's answer: inheritance, terms at work, cost, failures, and what repeats the runs."""

from collections.abc import Iterable

from balora.report.records.inheritance import TRAITS, Inherited
from balora.report.records.report import Report
from balora.report.records.runs import Failure
from balora.report.records.wording import INTERVAL
from balora.report.tables.answer import reference_row
from balora.report.tables.table import Cell, Table, count, fixed, interval, measured, plain, share, spread, words
from balora.settings import Family

COLUMNS = 8
"""Arms that stand side by side in one table, and names in one cell."""


def inherited(report: Report, family: Family, changes: bool) -> Table:
    """Return the measures beside the scores of one family: values, or differences to the arm of reference."""
    found = [one for one in report.inherited if one.family == family]
    arms = [arm.name for arm in report.arms if not (changes and arm.name == report.against)]
    names = arms[:COLUMNS]
    by_place = {(one.measure, one.arm): one for one in found}
    rows = tuple(
        (
            words(_label(report, measure, tasks)),
            words(TRAITS[measure].wanted),
            *(_change(by_place[measure, arm]) if changes else _value(by_place[measure, arm]) for arm in names),
        )
        for measure, tasks in dict.fromkeys((one.measure, one.tasks) for one in found)
    )
    kind = (
        f"difference to {report.against}, with its {INTERVAL}"
        if changes
        else f"mean ± standard deviation over {report.noun}s"
    )
    left = len(arms) - len(names)
    return Table(
        f"inherited-{family}{'-changes' * changes}",
        f"What was inherited, {family.upper()}: {kind}",
        ("measure", "wanted", *names),
        rows,
        texts=2,
        note=f"{left:,} more arms are in the files of numbers (--format csv)." if left > 0 else "",
    )


def _label(report: Report, measure: str, tasks: tuple[str, ...]) -> str:
    trait = TRAITS[measure]
    family = [task for task in report.tasks if report.families[task] == report.families[tasks[0]]]
    return f"{trait.label}, {trait.unit}" + ("" if list(tasks) == family else f" (of {', '.join(tasks)})")


def _value(one: Inherited) -> Cell:
    return spread(one.summary, TRAITS[one.measure].unit)


def _change(one: Inherited) -> Cell:
    unit = TRAITS[one.measure].unit
    if one.low is None:
        return measured(one.difference, unit, sign=True)
    return (*measured(one.difference, unit, sign=True), " (", *interval(one.low, one.high, unit), ")")


def terms(report: Report) -> Table:
    """Return weight, value and share of the gradient of every regularizer with a weight."""
    rows = tuple(
        (
            words(one.arm),
            words(one.family.upper()),
            words(one.term),
            plain(one.weight, 3),
            plain(one.first),
            plain(one.last),
            share(one.gradient_share),
            count(one.runs),
        )
        for one in report.shares
    )
    head = ("arm", "family", "term", "λ", "value, first", "value, last", "share of the gradient", "runs")
    note = "Means over runs. λ as used, after matching; share of the gradient at the last hidden state."
    return Table("terms", "Regularizers at work", head, rows, texts=3, note=note)


def inactive(report: Report) -> Table:
    """Return the terms that could not act, with the reason and the number of runs."""
    rows = tuple(
        (words(one.term), words(", ".join(one.tasks)), words(", ".join(one.arms)), words(one.reason), count(one.runs))
        for one in report.inactive
    )
    head = ("term", "tasks", "arms", "why", "runs")
    return Table("inactive", "Terms that could not act, whatever their weight", head, rows, texts=4)


def costs(report: Report) -> Table:
    """Return what the runs of each arm took."""
    rows = tuple(
        (
            words(one.arm),
            count(one.runs),
            fixed(one.seconds, 2),
            fixed(one.train_seconds, 2),
            fixed(one.peak_memory_mb, 0),
            count(one.trained_parameters),
        )
        for one in report.costs
    )
    head = ("arm", "runs", "seconds a run", "of these training", "peak memory, MiB", "trained parameters")
    note = "Seconds are means over runs (set-up, training and scoring); memory and parameters are the largest of a run."
    strong = reference_row(report, [one.arm for one in report.costs])
    return Table("costs", "What the runs took", head, rows, note=note, strong=strong)


def counts(report: Report) -> Table:
    """Return what became of the planned runs."""
    one = report.counts
    cells = ((count(value)) for value in (one.planned, one.ok, one.failed, one.unreadable, one.missing))
    head = ("", "planned", "finished", "failed", "unreadable", "not run")
    return Table("counts", "What became of the planned runs", head, ((words("runs"), *cells),))


def failures(report: Report) -> Table:
    """Return every different error, with the runs that ended in it."""
    groups: dict[str, list[Failure]] = {}
    for one in report.failures:
        groups.setdefault(f"{one.kind}: {one.message}", []).append(one)
    rows = tuple(
        (
            words(error),
            _first(one.arm for one in group),
            _first(one.task for one in group),
            _first(str(one.seed) for one in group),
            words(group[0].id),
            count(len({one.id for one in group})),
        )
        for error, group in groups.items()
    )
    head = ("error", "arms", "tasks", "fine-tuning seeds", "first run", "runs")
    return Table("failures", "Runs without a score", head, rows, texts=5)


def _first(names: Iterable[str]) -> Cell:
    """Return a cell with the different ``names``, cut after the first few."""
    different = list(dict.fromkeys(names))
    left = len(different) - COLUMNS
    return words(", ".join(different[:COLUMNS]) + (f" and {left:,} more" if left > 0 else ""))


def versions(report: Report) -> Table:
    """Return the versions of the libraries and the processor."""
    rows = tuple((words(name), words(version)) for name, version in report.versions.items())
    return Table("versions", "Versions and processor", ("what", "version"), rows, texts=2)


def fingerprints(report: Report) -> Table:
    """Return the fingerprints of what the runs of each task read."""
    kinds = ("model", "data", "code")
    rows = tuple(
        (words(task), *(words(found.get(kind, "")[:16] or "–") for kind in kinds))
        for task, found in report.fingerprints.items()
    )
    return Table("fingerprints", "Fingerprints of what the runs read", ("task", *kinds), rows, texts=4)
