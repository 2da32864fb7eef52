"""A report as Markdown: drawing only, every number comes from :mod:`balora.report.records.report`."""

from collections.abc import Iterator
from pathlib import Path

from balora.report.appendix import cost_table, kept, repeat, terms, trouble
from balora.report.cells import escape, spread, table
from balora.report.records.comparisons import BOTH
from balora.report.records.measures import MEASURES
from balora.report.records.report import ArmRow, Report
from balora.report.records.wording import number, rates_in_words, shared_rates, verdict
from balora.settings import dotted
from balora.statistics import Comparison
from balora.study.store.study_folder import write_text, writing
from balora.tasks.catalogue import find_task


def draw(report: Report) -> str:
    """Return the whole report."""
    return "\n\n".join(_blocks(report)) + "\n"


def save(report: Report, folder: Path) -> Path:
    """Write ``folder/report.md`` and return its path."""
    path = folder / "report.md"
    with writing(folder):
        write_text(path, draw(report))
    return path


def _blocks(report: Report) -> Iterator[str]:
    yield f"# {escape(report.study)}"
    yield f"**Question.** {escape(report.question)}"
    yield f"**Answer.** {escape(report.answer)}"
    yield "\n".join(f"- {escape(caution)}" for caution in report.cautions)
    yield "## Arms"
    yield _arms(report)
    yield "\n".join(_arm_line(arm, report) for arm in report.arms)
    yield f"## Differences to {escape(report.against)}, {report.noun} by {report.noun}"
    yield _differences(report)
    if report.effects:
        yield "## Effects of the factors"
        yield _effects(report)
    yield "## Tasks"
    yield _tasks(report)
    yield from kept(report)
    yield from terms(report)
    yield from trouble(report)
    yield "## Cost"
    yield cost_table(report)
    yield "## Repeat it"
    yield repeat(report)


def _arms(report: Report) -> str:
    measures = [MEASURES[key] for key in report.measures]
    head = ["arm", *(f"{measure.label} ({measure.unit})" for measure in measures), "seeds"]
    rows = [
        [
            f"**{escape(arm.name)}**" if arm.is_base else escape(arm.name),
            *(spread(arm.averages[measure.key], measure.unit) for measure in measures),
            " / ".join(dict.fromkeys(str(arm.averages[measure.key].n) for measure in measures)),
        ]
        for arm in report.arms
    ]
    shared = shared_rates(arm.rates for arm in report.arms)
    legend = "Mean ± standard deviation over seeds. Scores in points of 100, the higher the better."
    if "nlg_answer_loss" in report.measures:
        legend += " Answer loss (secondary): on the reference answers, the lower the better."
    legend += f" All arms with {shared}." if shared else ""
    return f"{table(head, rows)}\n\n{legend}"


def _arm_line(arm: ArmRow, report: Report) -> str:
    called = f" (the method `{arm.method}`)" if arm.method and arm.method != arm.name else ""
    reference = ", which the others are compared with" if arm.name == report.against else ""
    rates = "" if shared_rates(one.rates for one in report.arms) else rates_in_words(arm.rates, "; ")
    return f"- {escape(arm.name)}{called}: {escape(_change(arm) + reference)}{rates}"


def _change(arm: ArmRow) -> str:
    if arm.is_base:
        return "the base"
    if arm.is_tuned:
        return f"{_ablated(arm)}the best of its candidates over all other blocks ({_choices(arm)})"
    if arm.tuned:
        return f"a candidate of {arm.tuned}, not compared"
    if arm.ablation is None and arm.cell:
        return ", ".join(f"{factor} {level}" for factor, level in arm.cell.items())
    return _ablated(arm).removesuffix(": ") or ", ".join(f"{key} {value}" for key, value in dotted(arm.changes).items())


def _ablated(arm: ArmRow) -> str:
    if arm.ablation is None:
        return ""
    instead = f" by {arm.ablation['replacement']}" if "replacement" in arm.ablation else ""
    return f"{arm.ablation['action']} {arm.ablation['part'] + instead}: "


def _choices(arm: ArmRow) -> str:
    """Return in how many blocks each candidate was chosen: `NLU Avg: a (6), b (2)`."""
    parts = []
    for measure, counts in arm.choices.items():
        chosen = [f"{name.removeprefix(f'{arm.name}: ')} ({count})" for name, count in counts.items() if count]
        parts.append(f"{MEASURES[measure].label}: {', '.join(chosen) or 'nothing to choose by'}")
    return "; ".join(parts)


def _differences(report: Report) -> str:
    named = [(escape(one.arm), MEASURES[one.measure], one.paired, one.joint) for one in report.differences]
    head = ["arm", "measure", "verdict", "difference", "95 % interval", "p", "corrected p"]
    rows = [[arm, measure.label, *_paired(paired, measure.unit, report.noun)] for arm, measure, paired, _ in named]
    further = ["arm", "measure", "effect size", "could have found", "95 % interval over items too"]
    strengths = [
        [
            arm,
            measure.label,
            number(paired.effect_size, "sd", sign=True),
            number(paired.detectable, measure.unit),
            _interval(joint, measure.unit),
        ]
        for arm, measure, paired, joint in named
    ]
    return "\n\n".join((table(head, rows, texts=3), _family(report), table(further, strengths, texts=2), FURTHER))


FURTHER = (
    "Effect size: mean over standard deviation of the differences (d_z), with Hedges' correction. Could have found: "
    "the smallest true difference found with 80 % power, in the measure's unit (paired t-test at 0.05, two-sided, not "
    "corrected). Over items too: as if the test items had been drawn anew as well; tasks without item scores count "
    "with their items as they are. `docs/statistics.md` explains each."
)


def _family(report: Report) -> str:
    loss = f" ({report.margin / 100:g} nats/token of answer loss)" if "nlg_answer_loss" in report.measures else ""
    margin = f"The margin, from which on a difference matters: {report.margin:g} of 100 points{loss}."
    if not report.family_size:
        return f"No comparison is in a family. {margin}"
    comparisons = f"{report.family_size} comparison{'s' * (report.family_size != 1)}"
    return f"Corrected p: Holm over a family of {comparisons}; `–` is in no family, and judged by its own p. {margin}"


def _effects(report: Report) -> str:
    head = ["effect", "measure", "verdict", "size", "95 % interval", "p", "corrected p"]
    rows = []
    for effect in report.effects:
        measure = MEASURES.get(effect.measure, BOTH)
        rows.append([escape(effect.name), measure.label, *_paired(effect.paired, measure.unit, report.noun)])
    explained = (
        "`b − a`: what going from a to b changes, averaged over the other factors. "
        "`×`: by how much one change alters the effect of the other. "
        f"Corrected p: Holm over a family of {report.effects_family_size} effects."
    )
    return f"{table(head, rows, texts=3)}\n\n{explained}"


def _paired(paired: Comparison, unit: str, noun: str) -> list[str]:
    interval = None if paired.low is None or paired.high is None else (paired.low, paired.high)
    ps = ["–" if p is None else f"{p:.2g}" for p in (paired.p, paired.adjusted_p)]
    return [
        verdict(paired, unit, noun),
        number(paired.mean, unit, sign=True),
        _interval(interval, unit),
        *ps,
    ]


def _interval(ends: tuple[float, float] | None, unit: str) -> str:
    return "–" if ends is None else " to ".join(number(end, unit, sign=True) for end in ends)


def _tasks(report: Report) -> str:
    head = ["task (score)", *(escape(arm.name) for arm in report.arms)]
    rows = [
        [f"{escape(task)} ({escape(' and '.join(find_task(task).score))})"]
        + [spread(arm.tasks.get(task), "points") for arm in report.arms]
        for task in report.tasks
    ]
    rows += [
        [f"{escape(task)} (answer loss, nats/token)"]
        + [spread(arm.task_losses.get(task), "nats/token") for arm in report.arms]
        for task in report.tasks
        if any(task in arm.task_losses for arm in report.arms)
    ]
    return table(head, rows)
