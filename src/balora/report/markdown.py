"""A report as Markdown: drawing only, every number comes from :mod:`balora.report.data`."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from balora.report.data import ArmRow, Report
from balora.report.scores import MEASURES
from balora.report.words import number
from balora.study.folder import write_text, writing
from balora.study.statistics import Comparison, Summary
from balora.tasks.catalogue import find_task

SHOWN = 20
"""Rows of a list of failures or notes before it is cut."""


def escape(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is, in a table cell or a paragraph."""
    one_line = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", one_line)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Return a Markdown table; its first ``texts`` columns are words, the others are numbers."""
    align = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, align, *rows))


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
    yield from _terms(report)
    yield from _trouble(report)
    yield "## Cost"
    yield _costs(report)
    yield "## Repeat it"
    yield _repeat(report)


def spread(summary: Summary | None, unit: str) -> str:
    """Return mean ± SD, and the number of seeds where it is not to be taken for granted."""
    if summary is None or summary.mean is None:
        return "–"
    sd = f" ± {number(summary.sd, unit)}" if summary.sd is not None else ""
    return number(summary.mean, unit) + sd


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
    if arm.is_base:
        return f"- {escape(arm.name)}{called}: the base, which the others are compared with"
    if arm.ablation is None:
        levels = ", ".join(f"{factor} {level}" for factor, level in (arm.cell or {}).items())
        return f"- {escape(arm.name)}{called}: {escape(levels)}"
    instead = f" by {arm.ablation['replacement']}" if "replacement" in arm.ablation else ""
    return f"- {escape(arm.name)}{called}: {arm.ablation['action']} {escape(arm.ablation['part'] + instead)}"


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
        label, unit = (measure.label, measure.unit) if measure else ("mean of NLU and NLG Avg", "points")
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


def _terms(report: Report) -> Iterator[str]:
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
                    _plain(share.first),
                    _plain(share.last),
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
            f"- {one.term} ({', '.join(map(escape, one.tasks))}; {_runs(one.runs)}): {escape(one.reason)}"
            for one in report.inactive
        )


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


def _runs(n: int) -> str:
    return "1 run" if n == 1 else f"{n} runs"


def _trouble(report: Report) -> Iterator[str]:
    counts = report.counts
    if report.failures or report.unreadable or counts.missing:
        yield "## Runs without a result"
        without = f"{counts.failed} failed, {counts.unreadable} unreadable, {counts.missing} not run"
        yield f"{without}, of {counts.planned} planned."
        lines = [
            f"{one.arm}, {one.task}, seed {one.seed} ({one.id}): {one.kind}: {one.message}" for one in report.failures
        ] + list(report.unreadable)
        if lines:
            yield _list(lines)
    if report.notes:
        yield "## Notes of the runs"
        yield _list(
            [f"{note.text} ({_runs(note.runs)}{', the numbers differ' * (note.variants > 1)})" for note in report.notes]
        )


def _list(lines: Sequence[str]) -> str:
    more = [f"- and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([*(f"- {escape(line)}" for line in lines[:SHOWN]), *more])


def _costs(report: Report) -> str:
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


def _repeat(report: Report) -> str:
    prints = {
        kind: sorted({prints.get(kind, "") for prints in report.fingerprints.values()} - {""})
        for kind in ("model", "code")
    }
    lines = [
        f"- seeds {', '.join(map(str, report.seeds))}; profile {escape(report.profile)}; model {escape(report.model)}",
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
