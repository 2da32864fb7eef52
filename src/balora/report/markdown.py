"""A report as Markdown: drawing only, every number comes from :mod:`balora.report.data`."""

from collections.abc import Iterator
from pathlib import Path

from balora.report.appendix import cost_table, kept, repeat, terms, trouble
from balora.report.cells import escape, spread, table
from balora.report.data import ArmRow, Report
from balora.report.scores import MEASURES
from balora.report.words import number, rates_in_words
from balora.study.folder import write_text, writing
from balora.study.statistics import Comparison
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
    yield "\n".join(_arm_line(arm) for arm in report.arms)
    yield f"## Differences to {escape(report.base)}, seed by seed"
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
    legend = "Mean ± standard deviation over seeds. Scores in points of 100, the higher the better."
    if "nlg_answer_loss" in report.measures:
        legend += " Answer loss (secondary): on the reference answers, the lower the better."
    return f"{table(head, rows)}\n\n{legend}"


def _arm_line(arm: ArmRow) -> str:
    called = f" (the method `{arm.method}`)" if arm.method and arm.method != arm.name else ""
    return f"- {escape(arm.name)}{called}: {escape(_change(arm))}{rates_in_words(arm.rates, '; ')}"


def _change(arm: ArmRow) -> str:
    if arm.is_base:
        return "the base, which the others are compared with"
    if arm.ablation is None:
        return ", ".join(f"{factor} {level}" for factor, level in (arm.cell or {}).items())
    instead = f" by {arm.ablation['replacement']}" if "replacement" in arm.ablation else ""
    return f"{arm.ablation['action']} {arm.ablation['part'] + instead}"


def _differences(report: Report) -> str:
    head = ["arm", "measure", "verdict", "difference", "95 % interval", "p"]
    rows = [
        [escape(one.arm), MEASURES[one.measure].label, *_paired(one.paired, MEASURES[one.measure].unit)]
        for one in report.differences
    ]
    return table(head, rows, texts=3)


def _effects(report: Report) -> str:
    head = ["effect", "measure", "verdict", "size", "95 % interval", "p"]
    rows = []
    for effect in report.effects:
        measure = MEASURES.get(effect.measure)
        label, unit = (measure.label, measure.unit) if measure else ("NLU and NLG Avg", "points")
        rows.append([escape(effect.name), label, *_paired(effect.paired, unit)])
    explained = (
        "`b − a`: what going from a to b changes, averaged over the other factors. "
        "`×`: by how much one change alters the effect of the other."
    )
    return f"{table(head, rows, texts=3)}\n\n{explained}"


def _paired(paired: Comparison, unit: str) -> list[str]:
    interval = "–" if paired.low is None else f"{number(paired.low, unit, True)} to {number(paired.high, unit, True)}"
    p = "–" if paired.p is None else f"{paired.p:.2g}"
    return [paired.verdict, number(paired.mean, unit, sign=True), interval, p]


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
