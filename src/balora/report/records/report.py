"""Build a study's report, frozen records of every number, from its run records alone; torch-free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from balora.report.records.answer_sentences import answer_sentences, blocks_in_words, margin_sentence
from balora.report.records.arm_rows import ArmRow, arm_rows
from balora.report.records.averages import score_all
from balora.report.records.cautions import cautions
from balora.report.records.collapses import Collapses, collapse_sentence, collapses
from balora.report.records.comparisons import Difference, Effect, arm_differences, factor_effects, reference
from balora.report.records.inheritance import Inherited, inherited
from balora.report.records.looks import looks_of
from balora.report.records.measures import MEASURES
from balora.report.records.noise_sentences import heterogeneity_caution, noise_sentences
from balora.report.records.noise_sources import Noise, noises
from balora.report.records.rate_sentences import one_rate_sentence, rate_answer, rate_sentences
from balora.report.records.rate_sheets import RateSheet, rate_sheets
from balora.report.records.runs import (
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
from balora.report.records.shareable import base_name, one_line, record_fault, shareable_command
from balora.report.records.wording import answer
from balora.settings import Family
from balora.study.design.arms import design_arms
from balora.study.plan.blocks import describe_blocks
from balora.study.store.entries import read_study
from balora.study.store.study_folder import StudyRecord
from balora.training.record import RunRecord

__all__ = ["ArmRow", "Counts", "Difference", "Effect", "Report", "build", "read_report"]


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
    sentences: tuple[str, ...]
    """The answer for people: a sentence for each arm and average, then what limits these sentences."""
    answer: str
    """The same in one sentence: by average and verdict, the arms that earned it."""
    cautions: tuple[str, ...]
    base: str
    """The arm from which every other one is derived."""
    against: str
    """The arm of reference, which the others are compared with: the base, unless the study names another arm."""
    model: str
    profile: str
    seeds: tuple[int, ...]
    blocks: str
    """What the blocks are, in words."""
    noun: str
    """What a block is called: `block` on the testbed, where pre-training is part of it, else `seed`."""
    tasks: tuple[str, ...]
    """The tasks that models are scored on."""
    trained: dict[str, tuple[str, ...]]
    """Of each recipe: the set that models are trained on, and the tasks that they are scored on."""
    families: dict[str, Family]
    """Of every task."""
    scores: dict[str, tuple[str, ...]]
    """Of every task: the metrics whose mean is its score."""
    averaged: dict[str, tuple[str, ...]]
    """By measure: the tasks that it is the mean over."""
    absent: tuple[str, ...]
    measures: tuple[str, ...]
    margin: float
    """The smallest difference in an average that would matter, in points (a hundredth of it in nats/token)."""
    family_size: int
    """How many of the differences are corrected together (Holm); the others stand alone."""
    effects_family_size: int
    """The same for the effects of the factors."""
    counts: Counts
    arms: tuple[ArmRow, ...]
    differences: tuple[Difference, ...]
    effects: tuple[Effect, ...]
    noise: tuple[Noise, ...]
    """Of every difference: where its noise comes from, and what would narrow its interval."""
    noise_sentences: tuple[str, ...]
    """The same for people, and how many runs collapsed."""
    collapses: Collapses
    rate_sheets: tuple[RateSheet, ...]
    """Scores over the learning rates, of a study with several, and of the search before it."""
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
    """Return the report of the study in ``folder``; raise :class:`InputError` where there is none."""
    record, runs, faulty = read_study(folder)
    return build(record, runs, faulty)


def build(record: StudyRecord, runs: Mapping[str, RunRecord], faulty: Mapping[str, str]) -> Report:
    """Return the report of a study's records: the planned runs by id, and those that cannot be read."""
    designed = design_arms(record.study)
    scored = score_all(record, runs, designed)
    arms = arm_rows(record, designed, scored, learning_rates(record, runs))
    looks = looks_of(record, runs)
    compared = arm_differences(record, arms, scored, looks)
    effects = factor_effects(record, arms, scored, looks)
    sheets = rate_sheets(record, runs, designed, scored)
    noise, collapsed = noises(record, arms, scored, compared), collapses(record, runs)
    counts = _counts(record, runs, faulty)
    noun = "block" if record.pretrainings else "seed"
    families = {
        "arms": sum(one.paired.family is not None for one in compared),
        "effects of the factors": sum(one.paired.family is not None for one in effects),
    }
    return Report(
        study=record.study.study,
        question=one_line(record.study.question),
        sentences=_sentences(record, runs, arms, compared, sheets),
        answer=rate_answer(record, sheets, noun)
        or answer(
            reference(record), len(record.seeds), noun, [(d.arm, MEASURES[d.measure], d.paired) for d in compared]
        ),
        cautions=(
            *cautions(record, runs, counts.planned - counts.ok, arms, families, noun),
            *heterogeneity_caution(noise),
        ),
        base=designed[0].name,
        against=reference(record),
        model=base_name(record.model),
        profile=record.profile,
        seeds=record.seeds,
        blocks=describe_blocks(record.seeds, record.pretrainings),
        noun=noun,
        tasks=record.scored_tasks,
        trained=record.scored,
        families={task: record.study.find(task).family for task in record.scored_tasks},
        scores={task: record.study.find(task).score for task in record.scored_tasks},
        averaged={one.measure.key: one.tasks for one in scored},
        absent=record.absent,
        measures=tuple(one.measure.key for one in scored),
        margin=record.study.margin,
        family_size=families["arms"],
        effects_family_size=families["effects of the factors"],
        counts=counts,
        arms=arms,
        differences=compared,
        effects=effects,
        noise=noise,
        noise_sentences=(
            *noise_sentences(noise, bool(record.pretrainings), noun),
            *filter(None, (collapse_sentence(collapsed, noun),)),
        ),
        collapses=collapsed,
        rate_sheets=sheets,
        inherited=inherited(record, runs, scored, arms),
        shares=shares(record, runs),
        inactive=inactive_terms(record, runs),
        failures=failures(record, runs),
        unreadable=tuple(record_fault(id, text) for id, text in faulty.items()),
        notes=notes(record, runs),
        costs=costs(record, runs),
        versions=record.versions | _processors(runs),
        fingerprints=record.fingerprints,
        command=shareable_command(record.command),
    )


def _sentences(
    record: StudyRecord,
    runs: Mapping[str, RunRecord],
    arms: Sequence[ArmRow],
    compared: Sequence[Difference],
    sheets: Sequence[RateSheet],
) -> tuple[str, ...]:
    """Return the answer for people; of a study over the learning rates what each start does at its own and at one."""
    over_rates = tuple(rate_sentences(record, sheets, blocks_in_words(record, record.seeds)))
    if over_rates:
        return (*over_rates, margin_sentence(record.study.margin))
    return (*one_rate_sentence(record, runs, arms), *answer_sentences(record, arms, compared))


def _processors(runs: Mapping[str, RunRecord]) -> dict[str, str]:
    """Return the processors that finished runs computed on, by name."""
    found = {run.versions.get("processor", "") for run in runs.values() if run.status == "ok"}
    return {"processor": " and ".join(sorted(found - {""}))} if found - {""} else {}


def _counts(record: StudyRecord, runs: Mapping[str, RunRecord], faulty: Mapping[str, str]) -> Counts:
    planned = len({entry.id for entry in record.runs})
    ok = sum(run.status == "ok" for run in runs.values())
    return Counts(planned, ok, len(runs) - ok, len(faulty), planned - len(runs) - len(faulty))
