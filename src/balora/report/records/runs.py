"""Summarise the runs of a study beside their scores: terms, failures, notes, cost; pure and torch-free."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from balora.report.records.shareable import one_line, without_paths
from balora.settings import Family
from balora.study.store.study_folder import StudyRecord
from balora.training.record import Cost as RunCost
from balora.training.record import RunRecord

Runs = Mapping[str, RunRecord]
Rates = dict[str, dict[str, tuple[float, ...]]]
"""Arm → family of tasks → learning rates."""
NUMBER = re.compile(r"\d[\d.,]*(e[+-]?\d+)?")


@dataclass(frozen=True)
class Share:
    """How much of the gradient one regularizer had, in one arm and family, averaged over runs."""

    arm: str
    family: Family
    term: str
    weight: float
    """λ as used, after matching."""
    first: float | None
    last: float | None
    gradient_share: float | None
    """λ·‖∇term‖ / Σ over all terms at the last hidden state."""
    runs: int


@dataclass(frozen=True)
class Inactive:
    """A term that could not act, and where."""

    term: str
    reason: str
    tasks: tuple[str, ...]
    arms: tuple[str, ...]
    runs: int


@dataclass(frozen=True)
class Failure:
    """A run without a score."""

    arm: str
    task: str
    seed: int
    id: str
    kind: str
    message: str


@dataclass(frozen=True)
class Note:
    """A note that runs recorded about themselves."""

    text: str
    """The note of the first run that has it."""
    runs: int
    variants: int
    """How many different notes it stands for, which differ only in their numbers."""


@dataclass(frozen=True)
class Cost:
    """What the runs of an arm took, on average."""

    arm: str
    runs: int
    seconds: float
    """Set-up, training and scoring of one run."""
    train_seconds: float
    peak_memory_mb: float
    """The largest of all its runs."""
    trained_parameters: int
    """Most of all its tasks (classification heads differ)."""


def finished(record: StudyRecord, runs: Runs) -> list[tuple[str, str, RunRecord]]:
    """Return (arm, task, run) of every finished run; a run that arms share counts for each of them."""
    return [
        (entry.arm, entry.task, runs[entry.id])
        for entry in record.runs
        if entry.id in runs and runs[entry.id].status == "ok"
    ]


def arm_names(record: StudyRecord) -> list[str]:
    """Return the names of the arms in the order of the plan."""
    return list(dict.fromkeys(entry.arm for entry in record.runs))


def shares(record: StudyRecord, runs: Runs) -> tuple[Share, ...]:
    """Return value and share of the gradient of every regularizer that had a weight."""
    groups: dict[tuple[str, Family, str], list[RunRecord]] = {}
    for arm, task, run in finished(record, runs):
        for term, summary in run.terms.items():
            if summary.weight > 0 and term != "task":
                groups.setdefault((arm, record.study.find(task).family, term), []).append(run)
    return tuple(
        Share(
            arm=arm,
            family=family,
            term=term,
            weight=fmean(run.terms[term].weight for run in group),
            first=_mean(run.terms[term].first for run in group),
            last=_mean(run.terms[term].last for run in group),
            gradient_share=_mean(run.terms[term].gradient_share for run in group),
            runs=len(group),
        )
        for (arm, family, term), group in groups.items()
    )


def learning_rates(record: StudyRecord, runs: Runs) -> Rates:
    """Return the learning rates that the finished runs of each arm had, by family of tasks."""
    found: dict[str, dict[str, set[float]]] = {}
    for arm, task, run in finished(record, runs):
        rates = found.setdefault(arm, {}).setdefault(record.study.find(task).family, set())
        rates.add(run.learning_rate or run.spec.training.learning_rate)
    return {
        arm: {family: tuple(sorted(rates)) for family, rates in families.items()} for arm, families in found.items()
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def inactive_terms(record: StudyRecord, runs: Runs) -> tuple[Inactive, ...]:
    """Return every reason why a term with a weight could not act, with the tasks and arms where it held."""
    groups: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for arm, task, run in finished(record, runs):
        for term, reason in run.inactive.items():
            if term in run.terms and run.terms[term].weight == 0:
                continue  # switched off by the arm: no news
            groups.setdefault((term, reason), []).append((arm, task, run.id))
    return tuple(
        Inactive(
            term=term,
            reason=without_paths(one_line(reason)),
            tasks=tuple(dict.fromkeys(task for _, task, _ in places)),
            arms=tuple(dict.fromkeys(arm for arm, _, _ in places)),
            runs=len({id for _, _, id in places}),
        )
        for (term, reason), places in groups.items()
    )


def failures(record: StudyRecord, runs: Runs) -> tuple[Failure, ...]:
    """Return the runs that failed, or ended without a score."""
    failed = []
    for entry in record.runs:
        run = runs.get(entry.id)
        if run is None or (run.status == "ok" and run.score is not None):
            continue
        kind, message = (run.error.kind, run.error.message) if run.error else (run.status, "no score in its record")
        message = without_paths(one_line(message))
        failed.append(Failure(entry.arm, entry.task, entry.seed, entry.id, one_line(kind), message))
    return tuple(failed)


def notes(record: StudyRecord, runs: Runs) -> tuple[Note, ...]:
    """Return what runs noted; notes that differ only in their numbers are one."""
    groups: dict[str, list[str]] = {}
    for run in {run.id: run for _, _, run in finished(record, runs)}.values():
        for text in run.notes:
            groups.setdefault(NUMBER.sub("#", text), []).append(text)
    return tuple(Note(without_paths(one_line(texts[0])), len(texts), len(set(texts))) for texts in groups.values())


def costs(record: StudyRecord, runs: Runs) -> tuple[Cost, ...]:
    """Return what each arm's runs took."""
    groups: dict[str, list[RunCost]] = {}
    for arm, _, run in finished(record, runs):
        groups.setdefault(arm, []).append(run.cost)
    return tuple(
        Cost(
            arm=arm,
            runs=len(groups[arm]),
            seconds=fmean(cost.setup_seconds + cost.train_seconds + cost.eval_seconds for cost in groups[arm]),
            train_seconds=fmean(cost.train_seconds for cost in groups[arm]),
            peak_memory_mb=max(cost.peak_memory_mb for cost in groups[arm]),
            trained_parameters=max(cost.trained_parameters for cost in groups[arm]),
        )
        for arm in arm_names(record)
        if arm in groups
    )
