"""Every number of a study's report, as frozen records built from run records alone; torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from balora.report import words
from balora.report.inheritance import Inherited, inherited
from balora.report.runs import (
    Cost,
    Failure,
    Inactive,
    Note,
    Share,
    costs,
    failures,
    inactive_terms,
    learning_rates,
    notes,
    shares,
)
from balora.report.scores import MEASURES, BySeed, Measure, averages, differences, task_scores
from balora.study.arms import DesignedArm, design_arms, suites_factor
from balora.study.blocks import in_words
from balora.study.folder import StudyRecord, read_runs, read_study_record
from balora.study.statistics import (
    Comparison,
    Contrast,
    Levels,
    Summary,
    compare,
    contrast_values,
    contrasts,
    summarize,
)
from balora.tasks.catalogue import find_task
from balora.training.record import RunRecord


@dataclass(frozen=True)
class ArmRow:
    """One arm: what it is, and its scores."""

    name: str
    is_base: bool
    method: str | None
    """The named method it is the same as, if any."""
    ablation: dict[str, Any] | None
    changes: dict[str, Any]
    """Nested settings in which it differs from the base."""
    cell: dict[str, str] | None
    averages: dict[str, Summary]
    """By measure."""
    by_seed: dict[str, BySeed]
    """By measure: the averages of single seeds, from which everything else follows."""
    tasks: dict[str, Summary]
    """Score of each task, in points."""
    task_losses: dict[str, Summary]
    """Answer loss of each generation task, in nats a token."""
    rates: dict[str, tuple[float, ...]]
    """Learning rates of its finished runs, by family of tasks."""


@dataclass(frozen=True)
class Difference:
    """An arm against the base, seed by seed."""

    arm: str
    measure: str
    paired: Comparison


@dataclass(frozen=True)
class Effect:
    """A main effect or an interaction of the factorial."""

    name: str
    measure: str
    """A measure, or `avg` where the families of tasks are a factor themselves."""
    paired: Comparison


@dataclass(frozen=True)
class Counts:
    """What became of the planned runs."""

    planned: int
    ok: int
    failed: int
    unreadable: int
    missing: int


@dataclass(frozen=True)
class Report:
    """A whole report."""

    study: str
    question: str
    answer: str
    cautions: tuple[str, ...]
    base: str
    model: str
    profile: str
    seeds: tuple[int, ...]
    blocks: str
    """What the blocks are, in words."""
    tasks: tuple[str, ...]
    absent: tuple[str, ...]
    measures: tuple[str, ...]
    counts: Counts
    arms: tuple[ArmRow, ...]
    differences: tuple[Difference, ...]
    effects: tuple[Effect, ...]
    inherited: tuple[Inherited, ...]
    shares: tuple[Share, ...]
    inactive: tuple[Inactive, ...]
    failures: tuple[Failure, ...]
    unreadable: tuple[str, ...]
    notes: tuple[Note, ...]
    costs: tuple[Cost, ...]
    versions: dict[str, str]
    fingerprints: dict[str, dict[str, str]]
    command: str


def read_report(folder: Path) -> Report:
    """Return the report of the study kept in ``folder``; raise :class:`InputError` where there is none."""
    record = read_study_record(folder)
    runs, faulty = read_runs(folder, record)
    return build(record, runs, faulty)


def build(record: StudyRecord, runs: Mapping[str, RunRecord], faulty: Mapping[str, str]) -> Report:
    """Return the report of a study's records: the planned runs by id, and those that cannot be read."""
    measures = [measure for measure in MEASURES.values() if f"{measure.family}_avg" in record.study.metrics]
    designed = design_arms(record.study)
    arms = tuple(_arm_row(arm, record, runs, measures) for arm in designed)
    compared = tuple(_differences(arms, measures))
    effects = tuple(_effects(record, arms, measures))
    counts = _counts(record, runs, faulty)
    return Report(
        study=record.study.study,
        question=record.study.question,
        answer=words.answer(
            arms[0].name, words.block_count(record), [(d.arm, MEASURES[d.measure], d.paired) for d in compared]
        ),
        cautions=tuple(words.cautions(record, runs, counts.planned - counts.ok, {a.name: a.averages for a in arms})),
        base=arms[0].name,
        model=record.model,
        profile=record.profile,
        seeds=record.seeds,
        blocks=in_words(record.seeds, record.pretrainings),
        tasks=record.tasks,
        absent=record.absent,
        measures=tuple(measure.key for measure in measures),
        counts=counts,
        arms=arms,
        differences=compared,
        effects=effects,
        inherited=inherited(record, runs, [arm.name for arm in arms]),
        shares=shares(record, runs),
        inactive=inactive_terms(record, runs),
        failures=failures(record, runs),
        unreadable=tuple(faulty.values()),
        notes=notes(record, runs),
        costs=costs(record, runs),
        versions=record.versions,
        fingerprints=record.fingerprints,
        command=record.command,
    )


def _arm_row(arm: DesignedArm, record: StudyRecord, runs: Mapping[str, RunRecord], measures: list[Measure]) -> ArmRow:
    entries = [entry for entry in record.runs if entry.arm == arm.name]
    tables = {measure: task_scores(entries, runs, measure).get(arm.name, {}) for measure in measures}
    by_seed = {measure.key: averages(table, _tasks(record, measure)) for measure, table in tables.items()}
    scores = {task: values for m, table in tables.items() if m.higher_is_better for task, values in table.items()}
    losses = {task: values for m, table in tables.items() if not m.higher_is_better for task, values in table.items()}
    return ArmRow(
        name=arm.name,
        is_base=arm.is_base,
        method=arm.method,
        ablation=arm.ablation.model_dump(exclude_none=True) if arm.ablation else None,
        changes=arm.delta,
        cell=arm.cell,
        averages={key: summarize(list(values.values())) for key, values in by_seed.items()},
        by_seed=by_seed,
        tasks={task: summarize(list(scores.get(task, {}).values())) for task in record.tasks},
        task_losses={task: summarize(list(values.values())) for task, values in losses.items()},
        rates=learning_rates(record, runs, arm.name),
    )


def _tasks(record: StudyRecord, measure: Measure) -> list[str]:
    return [task for task in record.tasks if find_task(task).family == measure.family]


def _differences(arms: tuple[ArmRow, ...], measures: list[Measure]) -> list[Difference]:
    base, *others = arms
    return [
        Difference(
            arm.name,
            measure.key,
            compare(
                differences(arm.by_seed[measure.key], base.by_seed[measure.key]),
                higher_is_better=measure.higher_is_better,
            ),
        )
        for measure in measures
        for arm in others
    ]


def _effects(record: StudyRecord, arms: tuple[ArmRow, ...], measures: list[Measure]) -> list[Effect]:
    family = suites_factor(record.study)
    levels = {name: tuple(named) for name, named in record.study.factors.items() if name != family}
    cells = {tuple(arm.cell.values()): arm for arm in arms if arm.cell}
    if family is None:
        return [
            Effect(contrast.name, measure.key, _judged(contrast, values, measure.higher_is_better))
            for measure in measures
            for contrast in contrasts(levels)
            for values in [contrast_values(contrast, {cell: arm.by_seed[measure.key] for cell, arm in cells.items()})]
        ]
    averaged = {suite: f"{suite}_avg" for suite in record.study.suites}
    if not set(averaged.values()) <= {measure.key for measure in measures}:
        return []
    scores: dict[Levels, BySeed] = {
        (suite, *cell): arm.by_seed[average] for cell, arm in cells.items() for suite, average in averaged.items()
    }
    return [
        Effect(contrast.name, "avg", _judged(contrast, contrast_values(contrast, scores), True))
        for contrast in contrasts({family: record.study.suites, **levels})
        if contrast.factors != (family,)  # that NLG scores differ from NLU scores is no finding
    ]


def _judged(contrast: Contrast, values: list[float], higher_is_better: bool) -> Comparison:
    """Compare with 0: a main effect is better or worse, an interaction only above or below."""
    return compare(values, higher_is_better=higher_is_better if len(contrast.factors) == 1 else None)


def _counts(record: StudyRecord, runs: Mapping[str, RunRecord], faulty: Mapping[str, str]) -> Counts:
    planned = len({entry.id for entry in record.runs})
    ok = sum(run.status == "ok" for run in runs.values())
    return Counts(planned, ok, len(runs) - ok, len(faulty), planned - len(runs) - len(faulty))
