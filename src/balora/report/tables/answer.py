"""Build the tables that a report's answer rests on: arms, differences, effects and tasks."""

from collections.abc import Iterable, Sequence

from balora.report.records.arm_rows import ArmRow
from balora.report.records.comparisons import BOTH, Difference, Effect
from balora.report.records.measures import JUDGED, MEASURES, Measure
from balora.report.records.report import Report
from balora.report.records.shareable import shareable_settings
from balora.report.records.wording import INTERVAL, number_of, rates_in_words, shared_rates, verdict
from balora.report.tables.table import NOTHING, Cell, Table, count, interval, measured, plain, spread, words


def reference_row(report: Report, arms: Iterable[str]) -> int | None:
    """Return which of ``arms``, one a row, is the arm of reference; None where it is not among them."""
    return next((row for row, arm in enumerate(arms) if arm == report.against), None)


def measure_of(key: str) -> Measure:
    """Return the measure called ``key``."""
    return MEASURES.get(key, BOTH)


def arms(report: Report) -> Table:
    """Return what each arm changes and its scores: mean ± standard deviation over blocks."""
    measures = [MEASURES[key] for key in report.measures]
    shared = shared_rates(arm.rates for arm in report.arms)
    rows = tuple(
        (
            words(arm.name),
            words("; ".join(filter(None, (*_about(arm, report), "" if shared else rates_in_words(arm.rates))))),
            *(spread(arm.averages[measure.key], measure.unit) for measure in measures),
            _blocks(arm, measures),
        )
        for arm in report.arms
    )
    head = ("arm", "what it changes", *(f"{measure.label}, {measure.unit}" for measure in measures), f"{report.noun}s")
    note = "Scores in points of 100, the higher the better."
    if "nlg_answer_loss" in report.measures:
        note += " Answer loss (secondary) on the reference answers, the lower the better."
    note += f" All arms with {shared}." if shared else ""
    note += "".join(f" {sentence}" for sentence in _averaged(report))
    caption = f"Arms: mean ± standard deviation over {report.noun}s"
    strong = reference_row(report, [arm.name for arm in report.arms])
    return Table("arms", caption, head, rows, texts=2, note=note, strong=strong)


def _averaged(report: Report) -> Iterable[str]:
    """Yield what was trained on, and what each average holds, where a recipe trains on one set and scores others."""
    for train, scored in report.trained.items():
        yield f"Trained on {train}, scored on {' and '.join(scored)}."
    if report.trained:
        for key, tasks in report.averaged.items():
            yield f"{MEASURES[key].label}: the mean over {', '.join(tasks)}{_mt_bench(MEASURES[key], tasks)}."


def _mt_bench(measure: Measure, tasks: Sequence[str]) -> str:
    if not JUDGED & set(tasks):
        return ""
    return ", MT-Bench's rating of 1 to 10 counted " + (
        "× 10" if measure.judged == 1 else "as it is, as the paper does"
    )


def _blocks(arm: ArmRow, measures: list[Measure]) -> Cell:
    """Return how many blocks the averages are over; several numbers where measures differ in it."""
    counts = list(dict.fromkeys(arm.averages[measure.key].n for measure in measures))
    cell: Cell = count(counts[0]) if counts else ()
    for other in counts[1:]:
        cell = (*cell, " / ", *count(other))
    return cell


def _about(arm: ArmRow, report: Report) -> Iterable[str]:
    """Yield in words how an arm differs from the base, and what part it has in the study."""
    if arm.tuned:
        yield f"candidate of {arm.tuned}, not compared: {_change(arm)}"
    else:
        yield _change(arm)
    if arm.method and arm.method != arm.name:
        yield f"the method {arm.method}"
    if arm.is_tuned:
        yield f"the best of its candidates over all other {report.noun}s ({_choices(arm)})"
    if arm.name == report.against:
        yield "the reference of all comparisons"


def _change(arm: ArmRow) -> str:
    if arm.is_base:
        return "the base of all changes"
    if arm.ablation is not None:
        instead = f" by {arm.ablation['replacement']}" if "replacement" in arm.ablation else ""
        return f"{arm.ablation['action']} {arm.ablation['part']}{instead}"
    return ", ".join(f"{name} {value}" for name, value in (arm.cell or shareable_settings(arm.changes)).items())


def _choices(arm: ArmRow) -> str:
    """Return in how many blocks each candidate was chosen: `NLU Avg: a (6), b (2)`."""
    parts = []
    for measure, counts in arm.choices.items():
        chosen = [f"{name.removeprefix(f'{arm.name}: ')} ({count})" for name, count in counts.items() if count]
        parts.append(f"{MEASURES[measure].label}: {', '.join(chosen) or 'nothing to choose by'}")
    return "; ".join(parts)


def differences(report: Report, measure: str | None = None) -> Table:
    """Return the arms against the arm of reference; of one measure, or of all."""
    found = [one for one in report.differences if measure in (None, one.measure)]
    caption = f"Differences to {report.against}, {report.noun} by {report.noun}"
    joint = ""
    if any(one.joint for one in found):
        joint = (
            f"Over {report.noun}s and items: as if the test items had been drawn anew as well; tasks without item "
            "scores count with their items as they are."
        )
    note = f"{_explained(report, report.family_size, 'comparison')} {joint}".strip()
    rows = [(one.arm, one) for one in found]
    return _paired("differences", caption, "arm", rows, report, measure, note)


def effects(report: Report, measure: str | None = None) -> Table:
    """Return main effects and interactions of the factorial; of one measure, or of all."""
    rows = [(one.name, one) for one in report.effects if measure in (None, one.measure)]
    note = (
        "“b − a”: what going from a to b changes, averaged over the other factors. “×”: by how much one change "
        f"alters the effect of the other. {_explained(report, report.effects_family_size, 'effect')}"
    )
    return _paired("effects", "Effects of the factors", "effect", rows, report, measure, note)


def _paired(
    name: str,
    caption: str,
    first: str,
    found: Sequence[tuple[str, Difference | Effect]],
    report: Report,
    measure: str | None,
    note: str,
) -> Table:
    """Return a table of comparisons; with a column for the interval over items too where any has one."""
    joint = any(isinstance(one, Difference) and one.joint for _, one in found)
    rows = []
    for label, one in found:
        unit, paired = measure_of(one.measure).unit, one.paired
        both = one.joint if isinstance(one, Difference) else None
        rows.append(
            (
                words(label),
                *(() if measure else (words(measure_of(one.measure).label),)),
                words(verdict(paired, unit, report.noun)),
                measured(paired.mean, unit, sign=True),
                interval(paired.low, paired.high, unit),
                *((interval(*both, unit) if both else NOTHING,) if joint else ()),
                plain(paired.p, 2),
                plain(paired.adjusted_p, 2),
                count(paired.n),
            )
        )
    head = (
        first,
        *(() if measure else ("measure",)),
        *("verdict", "difference", INTERVAL),
        *((f"over {report.noun}s and items",) if joint else ()),
        *("p", "corrected p", f"{report.noun}s"),
    )
    if measure:
        name, caption = f"{name}-{measure}", f"{caption}: {measure_of(measure).label}"
    return Table(name, caption, head, tuple(rows), texts=2 if measure else 3, note=note)


def _explained(report: Report, family: int, what: str) -> str:
    if not family:
        return f"p: exact sign flips over {report.noun}s. No {what} is in a family, so each is judged by its own p."
    return (
        f"p: exact sign flips over {report.noun}s. Corrected p: Holm over a family of {number_of(family, what)}; "
        "– is in no family, and judged by its own p."
    )


def strengths(report: Report) -> Table:
    """Return how large what each comparison found is, and what it could have found."""
    rows = tuple(
        (
            words(one.arm),
            words(MEASURES[one.measure].label),
            measured(one.paired.effect_size, "sd", sign=True),
            measured(one.paired.detectable, MEASURES[one.measure].unit),
            NOTHING if one.paired.needed is None else count(one.paired.needed),
        )
        for one in report.differences
    )
    return Table(
        "strengths",
        "How strong the comparisons are",
        ("arm", "measure", "effect size", "detectable", f"{report.noun}s needed"),
        rows,
        texts=2,
        note="Effect size: mean over standard deviation of the differences (d_z), with Hedges' correction. Detectable: "
        f"the smallest true difference that so many {report.noun}s find with 80 % power, in the measure's unit (paired "
        "t-test at 0.05, two-sided, not corrected). Needed: to find a difference of the margin, or the observed one "
        "where that is larger, at the family's first step. docs/statistics.md explains each.",
    )


def cells(report: Report, measure: str) -> Table:
    """Return the cells of the factorial in one measure."""
    found = [arm for arm in report.arms if arm.cell]
    factors = list(found[0].cell or {}) if found else []
    one = MEASURES[measure]
    return Table(
        f"cells-{measure}",
        f"Cells of the factorial: {one.label}, mean ± standard deviation over {report.noun}s",
        ("arm", *factors, f"{one.label}, {one.unit}"),
        tuple(
            (words(arm.name), *map(words, (arm.cell or {}).values()), spread(arm.averages[measure], one.unit))
            for arm in found
        ),
        texts=1 + len(factors),
    )


def tasks(report: Report) -> Table:
    """Return every task's score in every arm, an arm a row."""
    head = ("arm", *(f"{task} ({' and '.join(report.scores[task])})" for task in report.tasks))
    rows = tuple(
        (words(arm.name), *(spread(arm.tasks.get(task), "points") for task in report.tasks)) for arm in report.arms
    )
    caption = f"Score of each task, points: mean ± standard deviation over {report.noun}s"
    return Table("tasks", caption, head, rows, strong=reference_row(report, [arm.name for arm in report.arms]))


def task_losses(report: Report) -> Table:
    """Return the answer loss of every task that has one in every arm, an arm a row."""
    having = [task for task in report.tasks if any(task in arm.task_losses for arm in report.arms)]
    rows = tuple(
        (words(arm.name), *(spread(arm.task_losses.get(task), "nats/token") for task in having)) for arm in report.arms
    )
    caption = f"Answer loss of each task, nats/token: mean ± standard deviation over {report.noun}s"
    strong = reference_row(report, [arm.name for arm in report.arms])
    return Table("task-losses", caption, ("arm", *having), rows if having else (), strong=strong)
