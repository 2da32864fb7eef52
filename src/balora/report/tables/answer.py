"""The tables of a report's answer: arms, differences, effects and tasks; the same for the page and for LaTeX."""

from balora.report.records.arm_rows import ArmRow
from balora.report.records.comparisons import BOTH
from balora.report.records.measures import MEASURES, Measure
from balora.report.records.report import Report
from balora.report.records.wording import rates_in_words, shared_rates, verdict
from balora.report.tables.table import NOTHING, Cell, Table, count, interval, measured, plain, spread, words
from balora.settings import dotted
from balora.statistics import Comparison
from balora.tasks.catalogue import find_task


def base_row(report: Report) -> int:
    """Return the row of the arm of reference where every arm has one."""
    return [arm.name for arm in report.arms].index(report.against)


def measure_of(key: str) -> Measure:
    """Return the measure called ``key``."""
    return MEASURES.get(key, BOTH)


def arms(report: Report) -> Table:
    """Return the scores of the arms: mean ± standard deviation over seeds."""
    measures = [MEASURES[key] for key in report.measures]
    shared = shared_rates(arm.rates for arm in report.arms)
    rows = tuple(
        (
            words(arm.name),
            words(
                what_changes(arm) if shared else "; ".join(filter(None, (what_changes(arm), rates_in_words(arm.rates))))
            ),
            *(spread(arm.averages[measure.key], measure.unit) for measure in measures),
            _seeds(arm, measures),
        )
        for arm in report.arms
    )
    head = ("arm", "what it changes", *(f"{measure.label}, {measure.unit}" for measure in measures), f"{report.noun}s")
    note = "Scores in points of 100, the higher the better."
    if "nlg_answer_loss" in report.measures:
        note += " Answer loss (secondary) on the reference answers, the lower the better."
    note += f" All arms with {shared}." if shared else ""
    caption = f"Arms: mean ± standard deviation over {report.noun}s"
    return Table("arms", caption, head, rows, texts=2, note=note, strong=base_row(report))


def _seeds(arm: ArmRow, measures: list[Measure]) -> Cell:
    counts = list(dict.fromkeys(arm.averages[measure.key].n for measure in measures))
    cell: Cell = count(counts[0]) if counts else ()
    for other in counts[1:]:
        cell = (*cell, " / ", *count(other))
    return cell


def what_changes(arm: ArmRow) -> str:
    """Return in words how an arm differs from the base."""
    return "; ".join(filter(None, (_change(arm), *_chosen(arm))))


def _change(arm: ArmRow) -> str:
    if arm.is_base:
        return "the base, which the others are changes of"
    candidate = f"candidate of {arm.tuned}: " if arm.tuned else ""
    if arm.ablation is not None:
        instead = f" by {arm.ablation['replacement']}" if "replacement" in arm.ablation else ""
        return f"{candidate}{arm.ablation['action']} {arm.ablation['part']}{instead}"
    changes = arm.cell or dotted(arm.changes)
    return candidate + ", ".join(f"{name} {value}" for name, value in changes.items())


def _chosen(arm: ArmRow) -> list[str]:
    """Return how often each candidate of a tuned arm was chosen, measure by measure."""
    return [
        f"chosen by {MEASURES[measure].label}: "
        + ", ".join(f"{name.removeprefix(f'{arm.name}: ')} ({count})" for name, count in counts.items() if count)
        for measure, counts in arm.choices.items()
    ]


def differences(report: Report, measure: str | None = None) -> Table:
    """Return the arms against the arm of reference; of one measure, or of all."""
    found = [one for one in report.differences if measure in (None, one.measure)]
    joint = any(one.joint for one in found)
    return Table(
        f"differences-{measure}" if measure else "differences",
        f"Differences to {report.against}, {report.noun} by {report.noun}"
        + (f": {MEASURES[measure].label}" if measure else ""),
        ("arm", *_named(measure), *_paired_head(report, joint)),
        tuple(
            (words(one.arm), *_name(measure, one.measure), *_paired(report, one.paired, one.measure, joint, one.joint))
            for one in found
        ),
        texts=2 if measure else 3,
        note=_explained(report, report.family_size),
    )


def _named(only: str | None) -> tuple[str, ...]:
    return () if only else ("measure",)


def _name(only: str | None, measure: str) -> tuple[Cell, ...]:
    return () if only else (words(measure_of(measure).label),)


def _paired_head(report: Report, joint: bool) -> tuple[str, ...]:
    more = (f"over {report.noun}s and items",) if joint else ()
    return ("verdict", "difference", "95 % interval", *more, "p", "corrected p")


def _paired(
    report: Report, comparison: Comparison, measure: str, joint: bool, both: tuple[float, float] | None = None
) -> tuple[Cell, ...]:
    """Return the cells of a comparison; with the interval over items too where the table has a column for it."""
    unit = measure_of(measure).unit
    return (
        words(verdict(comparison, unit, report.noun)),
        measured(comparison.mean, unit, sign=True),
        interval(comparison.low, comparison.high, unit),
        *([interval(both[0], both[1], unit) if both else NOTHING] if joint else []),
        plain(comparison.p, 2),
        plain(comparison.adjusted_p, 2),
    )


def _explained(report: Report, family: int) -> str:
    corrected = (
        f"; corrected by Holm over a family of {family:,}, and what is in no family stands alone" if family else ""
    )
    return f"p: exact sign flips over {report.noun}s{corrected}."


def strengths(report: Report) -> Table:
    """Return what each comparison of arms could have found, and how large what it found is."""
    return Table(
        "strengths",
        "How strong the comparisons are",
        ("arm", "measure", "effect size", "detectable", f"{report.noun}s", f"{report.noun}s needed"),
        tuple(
            (
                words(one.arm),
                words(MEASURES[one.measure].label),
                plain(one.paired.effect_size, 3),
                measured(one.paired.detectable, MEASURES[one.measure].unit),
                count(one.paired.n),
                NOTHING if one.paired.needed is None else count(one.paired.needed),
            )
            for one in report.differences
        ),
        texts=2,
        note="Effect size: mean over standard deviation of the differences, with Hedges' correction. Detectable: the "
        f"smallest true difference that so many {report.noun}s find with 80 % power, uncorrected. Needed: to find a "
        "difference of the margin, or the observed one where that is larger, at the family's first step.",
    )


def effects(report: Report, measure: str | None = None) -> Table:
    """Return main effects and interactions of the factorial; of one measure, or of all."""
    found = [one for one in report.effects if measure in (None, one.measure)]
    return Table(
        f"effects-{measure}" if measure else "effects",
        "Effects of the factors" + (f": {measure_of(measure).label}" if measure else ""),
        ("effect", *_named(measure), *_paired_head(report, joint=False)),
        tuple(
            (words(one.name), *_name(measure, one.measure), *_paired(report, one.paired, one.measure, joint=False))
            for one in found
        ),
        texts=2 if measure else 3,
        note="“b − a”: what going from a to b changes, averaged over the other factors. “×”: by how much one change "
        "alters the effect of the other. " + _explained(report, report.effects_family_size),
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
    head = ("arm", *(f"{task} ({' and '.join(find_task(task).score)})" for task in report.tasks))
    rows = tuple(
        (words(arm.name), *(spread(arm.tasks.get(task), "points") for task in report.tasks)) for arm in report.arms
    )
    caption = f"Score of each task, points: mean ± standard deviation over {report.noun}s"
    return Table("tasks", caption, head, rows, strong=base_row(report))
