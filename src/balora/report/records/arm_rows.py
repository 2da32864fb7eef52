"""Describe each arm of a report in one row; a tuned arm's row is derived from its candidates'."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from balora.report.records.averages import Scored
from balora.report.records.measures import BySeed, scores
from balora.report.records.runs import Rates
from balora.settings import nest
from balora.statistics import Summary, summarize
from balora.study.design.candidates import DesignedArm
from balora.study.store.study_folder import StudyRecord


@dataclass(frozen=True)
class ArmRow:
    """One arm: what it is, and its scores."""

    name: str
    is_base: bool
    method: str | None
    """The named method it is the same as, if any."""
    ablation: dict[str, Any] | None
    changes: dict[str, Any]
    """Nested settings in which it differs from the base; of a tuned arm those that its candidates share."""
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
    tuned: str | None = None
    """The tuned arm that it is a candidate of: such an arm is shown, and compared with nothing."""
    choices: dict[str, dict[str, int]] = field(default_factory=dict)
    """Of a tuned arm: by measure, in how many blocks each candidate was chosen. Empty for any other arm."""

    @property
    def is_tuned(self) -> bool:
        """Whether it has no runs of its own, but those of the candidate chosen for each block."""
        return bool(self.choices)


def arm_rows(
    record: StudyRecord, designed: Sequence[DesignedArm], scored: Sequence[Scored], rates: Rates
) -> tuple[ArmRow, ...]:
    """Return every arm in order; each tuned one before its candidates."""
    rows: dict[str, ArmRow] = {}
    for arm in designed:
        if arm.tuned is not None and arm.tuned not in rows:
            rows[arm.tuned] = _tuned_row(arm.tuned, record, designed, scored, rates)
        rows[arm.name] = _row(arm, record, scored, rates.get(arm.name, {}))
    return tuple(rows.values())


def _row(
    arm: DesignedArm, record: StudyRecord, scored: Sequence[Scored], rates: dict[str, tuple[float, ...]]
) -> ArmRow:
    return ArmRow(
        name=arm.name,
        is_base=arm.is_base,
        method=arm.method,
        ablation=arm.ablation.model_dump(exclude_none=True) if arm.ablation else None,
        changes=arm.delta,
        cell=arm.cell,
        averages={one.measure.key: summarize(list(one.by_seed[arm.name].values())) for one in scored},
        by_seed={one.measure.key: one.by_seed[arm.name] for one in scored},
        tasks={task: Summary(0, None, None) for task in record.scored_tasks} | _by_task(arm.name, scored, "score"),
        task_losses=_by_task(arm.name, scored, "loss"),
        rates=rates,
        tuned=arm.tuned,
    )


def _by_task(arm: str, scored: Sequence[Scored], what: Literal["score", "loss"]) -> dict[str, Summary]:
    return {
        task: summarize(list(values.values()))
        for one in scored
        if (not one.measure.secondary if what == "score" else not one.measure.higher_is_better)
        for task, values in scores(one.runs.get(arm, {}), one.measure).items()
    }


def _tuned_row(
    name: str, record: StudyRecord, designed: Sequence[DesignedArm], scored: Sequence[Scored], rates: Rates
) -> ArmRow:
    tuned, candidates = record.study.tuned[name], [arm.name for arm in designed if arm.tuned == name]
    virtual = DesignedArm(name, nest(tuned.set), tuned.ablation)
    counts = {one.measure.key: Counter(one.chosen[name].values()) for one in scored}
    choices = {key: {candidate: count[candidate] for candidate in candidates} for key, count in counts.items()}
    row = _row(virtual, record, scored, _joined([rates.get(candidate, {}) for candidate in candidates]))
    return replace(row, is_base=False, choices=choices)


def _joined(rates: Sequence[Mapping[str, tuple[float, ...]]]) -> dict[str, tuple[float, ...]]:
    families = dict.fromkeys(family for one in rates for family in one)
    return {family: tuple(sorted({rate for one in rates for rate in one.get(family, ())})) for family in families}
