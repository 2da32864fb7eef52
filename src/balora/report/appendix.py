"""The second half of a Markdown report: what was inherited, the terms at work, what went wrong, cost, repetition."""

from collections.abc import Callable, Iterator

from balora.report.cells import bullets, count_runs, escape, plain, spread, table
from balora.report.records.inheritance import TRAITS, Inherited
from balora.report.records.report import Report
from balora.report.records.runs import Failure
from balora.report.records.wording import number
from balora.tasks.catalogue import find_task


def kept(report: Report) -> Iterator[str]:
    """Yield, for each family of tasks, the measures beside the scores and how arms differ from the base in them."""
    families = dict.fromkeys(one.family for one in report.inherited)
    if families:
        yield "## What was inherited"
        yield (
            "Means over tasks, ± standard deviation over seeds; below, the difference to "
            f"{escape(report.against)}, {report.noun} by {report.noun}, with its 95 % interval. Descriptive: nothing "
            "here is tested, and nothing of it is in the answer. "
            "`docs/testbed.md` defines each measure."
        )
    for family in families:
        found = [one for one in report.inherited if one.family == family]
        yield f"### {family.upper()}"
        yield _inherited(report, found, [arm.name for arm in report.arms], _value)
        if len(report.arms) > 1:
            yield _inherited(report, found, [a.name for a in report.arms if a.name != report.against], _change)


def _inherited(report: Report, found: list[Inherited], arms: list[str], cell: Callable[[Inherited], str]) -> str:
    cells = {(one.measure, one.arm): cell(one) for one in found}
    head = [f"{'change of ' * (cell is _change)}measure", "wanted", *map(escape, arms)]
    rows = [
        [f"{escape(_label(report, measure, tasks))}", TRAITS[measure].wanted, *(cells[measure, arm] for arm in arms)]
        for measure, tasks in dict.fromkeys((one.measure, one.tasks) for one in found)
    ]
    return table(head, rows, texts=2)


def _label(report: Report, measure: str, tasks: tuple[str, ...]) -> str:
    """Return the measure with its unit, and its tasks where not every task of the family has it."""
    trait = TRAITS[measure]
    family = [task for task in report.tasks if find_task(task).family == find_task(tasks[0]).family]
    return f"{trait.label}, {trait.unit}" + ("" if list(tasks) == family else f" (of {', '.join(tasks)})")


def _value(one: Inherited) -> str:
    return spread(one.summary, TRAITS[one.measure].unit)


def _change(one: Inherited) -> str:
    unit = TRAITS[one.measure].unit
    interval = f" ({number(one.low, unit, True)} to {number(one.high, unit, True)})" if one.low is not None else ""
    return number(one.difference, unit, True) + interval


def terms(report: Report) -> Iterator[str]:
    """Yield the table of terms and their shares of the gradient, and the terms that could not act."""
    if report.shares:
        yield "## Regularizers at work"
        head = ["arm", "family", "term", "λ", "value, first", "last", "share of the gradient"]
        yield table(
            head,
            [
                [
                    escape(share.arm),
                    share.family.upper(),
                    share.term,
                    f"{share.weight:.3g}",
                    plain(share.first),
                    plain(share.last),
                    "–" if share.gradient_share is None else f"{100 * share.gradient_share:.2g} %",
                ]
                for share in report.shares
            ],
            texts=3,
        )
        yield "Means over runs. λ as used, after matching; share of the gradient at the last hidden state."
    if report.inactive:
        yield "Terms that could not act, whatever their weight:"
        yield "\n".join(
            f"- {one.term} ({', '.join(map(escape, one.tasks))}; {count_runs(one.runs)}): {escape(one.reason)}"
            for one in report.inactive
        )


def trouble(report: Report) -> Iterator[str]:
    """Yield the runs without a result and what runs noted; nothing where there is nothing to tell."""
    counts = report.counts
    if report.failures or report.unreadable or counts.missing:
        yield "## Runs without a result"
        without = f"{counts.failed} failed, {counts.unreadable} unreadable, {counts.missing} not run"
        yield f"{without}, of {counts.planned} planned."
        lines = [*_failures(report), *report.unreadable]
        if lines:
            yield bullets(lines)
    if report.notes:
        yield "## Notes of the runs"
        differ = {True: ", the numbers differ", False: ""}
        yield bullets([f"{n.text} ({count_runs(n.runs)}{differ[n.variants > 1]})" for n in report.notes])


def _failures(report: Report) -> Iterator[str]:
    """Return one line for every different error, with where it happened."""
    groups: dict[str, list[Failure]] = {}
    for one in report.failures:
        groups.setdefault(f"{one.kind}: {one.message}", []).append(one)
    for error, group in groups.items():
        arms, tasks = (", ".join(dict.fromkeys(names)) for names in zip(*((f.arm, f.task) for f in group), strict=True))
        seeds = ", ".join(dict.fromkeys(str(one.seed) for one in group))
        runs = count_runs(len({one.id for one in group}))
        yield f"{error} ({runs}: {arms}; {tasks}; seeds {seeds}; the first is {group[0].id})"


def cost_table(report: Report) -> str:
    """Return what the runs of each arm took."""
    head = ["arm", "runs", "seconds a run", "of these training", "peak memory (MiB)", "trained parameters"]
    return table(
        head,
        [
            [
                escape(cost.arm),
                str(cost.runs),
                f"{cost.seconds:.2f}",
                f"{cost.train_seconds:.2f}",
                f"{cost.peak_memory_mb:.0f}",
                f"{cost.trained_parameters:,}",
            ]
            for cost in report.costs
        ],
    )


def repeat(report: Report) -> str:
    """Return the command, and what must be the same for the same numbers."""
    prints = {
        kind: sorted({prints.get(kind, "") for prints in report.fingerprints.values()} - {""})
        for kind in ("model", "code")
    }
    lines = [
        f"- {escape(report.blocks)}; profile {escape(report.profile)}; model {escape(report.model)}",
        f"- versions: {escape(', '.join(f'{name} {version}' for name, version in report.versions.items()))}",
    ]
    lines += [
        f"- {kind}: {escape(', '.join(value[:16] for value in values))}" for kind, values in prints.items() if values
    ]
    data = ", ".join(
        f"{task} {prints['data'][:12]}" for task, prints in report.fingerprints.items() if prints.get("data")
    )
    lines += [f"- data: {escape(data)}"] if data else []
    fence = "`" * 3
    return f"{fence}\n{report.command}\n{fence}\n\n" + "\n".join(lines)
