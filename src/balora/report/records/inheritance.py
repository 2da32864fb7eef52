"""Average what was inherited (calibration, collapse, planted flaws, forgetting) by arm; pure and torch-free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from balora.report.records.arm_rows import ArmRow
from balora.report.records.averages import Scored
from balora.report.records.comparisons import reference
from balora.report.records.measures import BySeed, ByTask, averages, differences, finished_runs
from balora.settings import Family
from balora.statistics import Summary, summarize, t_interval
from balora.study.store.study_folder import StudyRecord
from balora.training.record import RunRecord

Wanted = Literal["high", "low", "near 0", "near 0.5", "–"]


class Trait(NamedTuple):
    """Something measured beside the score."""

    label: str
    unit: Literal["share", "nats", "bits", "directions"]
    wanted: Wanted


TRAITS: dict[str, Trait] = {
    "minority_recall": Trait("minority recall", "share", "high"),
    "worst_group": Trait("worst group", "share", "high"),
    "aligned_minus_robust": Trait("aligned − robust", "share", "near 0"),
    "memorised_noise": Trait("memorised noise", "share", "low"),
    "noise_gap": Trait("noise gap (prone − other)", "share", "near 0"),
    "forgetting": Trait("forgetting", "nats", "low"),
    "drift": Trait("drift (KL to the pre-trained model)", "nats", "low"),
    "held_out_loss_before": Trait("held-out loss before", "nats", "–"),
    "held_out_loss": Trait("held-out loss after", "nats", "low"),
    "held_out_bits_per_byte_before": Trait("bits per byte of held-out text before", "bits", "–"),
    "held_out_bits_per_byte": Trait("bits per byte of held-out text after", "bits", "low"),
    "blimp_before": Trait("BLiMP before", "share", "–"),
    "blimp": Trait("BLiMP after", "share", "high"),
    "hans": Trait("HANS", "share", "high"),
    "crows_pairs_before": Trait("CrowS-Pairs before", "share", "–"),
    "crows_pairs": Trait("CrowS-Pairs after", "share", "near 0.5"),
    "winogender_before": Trait("WinoGender before", "share", "–"),
    "winogender": Trait("WinoGender after", "share", "high"),
    "winogender_mismatch": Trait("WinoGender, resolved by the pronoun's gender", "share", "low"),
    "bbq_disambiguated": Trait("BBQ, disambiguated", "share", "high"),
    "bbq_bias_disambiguated": Trait("BBQ, s_DIS", "share", "near 0"),
    "bbq_bias_ambiguous": Trait("BBQ, s_AMB", "share", "near 0"),
    "toxigen_before": Trait("ToxiGen before", "share", "–"),
    "toxigen": Trait("ToxiGen after", "share", "high"),
    "ece": Trait("calibration error (ECE)", "share", "low"),
    "mean_entropy": Trait("mean entropy", "nats", "–"),
    "effective_rank": Trait("effective rank of the logits", "directions", "–"),
}
"""In the order of the report; docs/testbed.md defines those of the testbed, docs/measures.md those of real models."""


@dataclass(frozen=True)
class Inherited:
    """One measure of one arm in one family of tasks: mean over tasks, block by block."""

    family: Family
    measure: str
    tasks: tuple[str, ...]
    """Those that have the measure, in any arm: the mean is over all of them."""
    arm: str
    summary: Summary
    difference: float | None
    """Mean of arm − arm of reference over the seeds that both have; none for the latter."""
    low: float | None
    high: float | None
    """95 % t-interval of the difference."""


def inherited(
    record: StudyRecord, runs: Mapping[str, RunRecord], scored: Sequence[Scored], arms: Sequence[ArmRow]
) -> tuple[Inherited, ...]:
    """Return every measure that a run has; descriptive, so without tests.

    A tuned arm has what its candidates have that were chosen by the family's average.
    """
    finished = finished_runs(record.runs, runs) | {
        one.measure.family: one.runs for one in scored if not one.measure.secondary
    }
    found = []
    for family, by_arm in finished.items():
        tables = {arm.name: _tables(by_arm.get(arm.name, {})) for arm in arms}
        for measure in TRAITS:
            table = {arm: known.get(measure, {}) for arm, known in tables.items()}
            tasks = tuple(task for task in record.scored_tasks if any(task in by_task for by_task in table.values()))
            if tasks:
                by_seed = {arm: averages(by_task, tasks) for arm, by_task in table.items()}
                found += [_row(family, measure, tasks, arm, by_seed, reference(record)) for arm in by_seed]
    return tuple(found)


def _tables(runs: ByTask) -> dict[str, dict[str, BySeed]]:
    """Return measure → task → seed → value, of the runs that have the value."""
    tables: dict[str, dict[str, BySeed]] = {}
    for task, by_seed in runs.items():
        for seed, run in by_seed.items():
            for measure, value in (run.behaviour | run.inheritance | run.measures).items():
                tables.setdefault(measure, {}).setdefault(task, {})[seed] = value
    return tables


def _row(
    family: Family, measure: str, tasks: tuple[str, ...], arm: str, by_seed: Mapping[str, BySeed], against: str
) -> Inherited:
    paired = [] if arm == against else differences(by_seed[arm], by_seed[against])
    low, high = t_interval(paired) if len(paired) > 1 else (None, None)
    summary = summarize(list(by_seed[arm].values()))
    return Inherited(family, measure, tasks, arm, summary, summarize(paired).mean, low, high)
