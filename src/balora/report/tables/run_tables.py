"""The tables beside a report's answer: what was inherited, the terms at work, cost, and what went wrong."""

from balora.report.records.inheritance import TRAITS, Inherited
from balora.report.records.report import Report
from balora.report.tables.table import Cell, Table, count, fixed, interval, measured, plain, share, spread, words
from balora.settings import Family
from balora.tasks.catalogue import find_task

MEAN = "mean ± standard deviation over {}s"
COLUMNS = 8
"""Arms that stand side by side in one table."""


def inherited(report: Report, family: Family, changes: bool) -> Table:
    """Return the measures beside the scores of one family: their values, or how they differ from the base's."""
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
    kind = f"difference to {report.against}, with its 95 % interval" if changes else MEAN.format(report.noun)
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
    family = [task for task in report.tasks if find_task(task).family == find_task(tasks[0]).family]
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
    return Table("costs", "What the runs took", head, rows, note=note, strong=_base_row(report))


def _base_row(report: Report) -> int | None:
    return next((row for row, one in enumerate(report.costs) if one.arm == report.against), None)


def counts(report: Report) -> Table:
    """Return what became of the planned runs."""
    one = report.counts
    cells = ((count(value)) for value in (one.planned, one.ok, one.failed, one.unreadable, one.missing))
    head = ("", "planned", "finished", "failed", "unreadable", "not run")
    return Table("counts", "What became of the planned runs", head, ((words("runs"), *cells),))


def failures(report: Report) -> Table:
    """Return the runs that failed, each with its error."""
    rows = tuple(
        (words(one.arm), words(one.task), (str(one.seed),), (one.id,), words(f"{one.kind}: {one.message}"))
        for one in report.failures
    )
    return Table("failures", "Runs without a score", ("arm", "task", "seed", "run", "error"), rows, texts=5)
