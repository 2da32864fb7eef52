"""Divide the noise of every comparison among its sources, and say where the next run is worth most; torch-free."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from balora.report.records.arm_rows import ArmRow
from balora.report.records.averages import Scored
from balora.report.records.comparisons import Difference, Items, reference
from balora.report.records.measures import MEASURES, differences, shared
from balora.statistics import (
    Components,
    Gain,
    Heterogeneity,
    Missing,
    blocks_for,
    components,
    gains,
    half_width,
    heterogeneity,
)
from balora.study.store.study_folder import StudyRecord

SOURCES = {
    "pretraining": "pre-training",
    "finetuning": "fine-tuning",
    "together": "pre-training or fine-tuning",
    "items": "test items",
    "rest": "the rest",
}
"""The parts of :class:`balora.statistics.Components`, as reports name them."""


@dataclass(frozen=True)
class Part:
    """One source of the variance of a block's difference."""

    sd: float
    """Standard deviation, in the unit of the measure."""
    share: float | None
    """Of the whole variance; None where there is none."""


@dataclass(frozen=True)
class Noise:
    """Where the noise of one comparison comes from, and what would narrow its interval."""

    arm: str
    measure: str
    components: Components
    sd: float | None
    """Standard deviation of one block's difference, test items included; None where no part can be told."""
    parts: dict[str, Part]
    """By source (`pretraining`, `finetuning`, `together`, `items`, `rest`); those that can be told."""
    spread: Heterogeneity | None
    """The mean over models and how much it varies between them; None without two blocks on a model."""
    varies: bool
    """Whether effects differ between models: the interval of τ leaves out 0, or τ is above the margin."""
    half_width: float | None
    """What the 95 % interval over as many models and seeds is expected to be, ±."""
    gains: tuple[Gain, ...]
    """By how much more seeds, models or test items should narrow it."""
    needed: int | None
    """The blocks, each on a model of its own (on a given model: seeds), whose interval should be ± the margin."""


def noises(
    record: StudyRecord, arms: Sequence[ArmRow], scored: Sequence[Scored], compared: Sequence[Difference]
) -> tuple[Noise, ...]:
    """Return the sources of the noise of every comparison with the arm of reference."""
    against, by_key = reference(record), {one.measure.key: one for one in scored}
    items = {key: Items(one, against) for key, one in by_key.items()}
    tuned = {arm.name for arm in arms if arm.is_tuned}
    return tuple(
        _noise(record, one, by_key[one.measure], items[one.measure], bool({one.arm, against} & tuned))
        for one in compared
    )


def _noise(record: StudyRecord, one: Difference, scored: Scored, items: Items, is_tuned: bool) -> Noise:
    arm, against = scored.by_seed[one.arm], scored.by_seed[reference(record)]
    seeds, values = shared(arm, against), differences(arm, against)
    models = models_of(record, seeds)
    margin = scored.measure.margin(record.study.margin)
    if is_tuned:
        found, spread = Components((1,) * len(seeds), (Missing.CHOSEN,)), None
    else:
        found = components(values, models, items.of_tasks(one.arm, seeds), len(scored.tasks))
        spread = heterogeneity(values, models)
    total = found.total
    parts = {
        source: Part(sqrt(variance), variance / total if total else None)
        for source in SOURCES
        if (variance := getattr(found, source)) is not None
    }
    return Noise(
        arm=one.arm,
        measure=one.measure,
        components=found,
        sd=sqrt(total) if parts else None,
        parts=parts,
        spread=spread,
        varies=spread is not None and (spread.differs or spread.tau > margin),
        half_width=half_width(found, found.sizes),
        gains=gains(found),
        needed=blocks_for(found, margin),
    )


def models_of(record: StudyRecord, seeds: Sequence[int]) -> list[Hashable]:
    """Return the pre-trained model of each block: its pre-training seed, or the given model."""
    known: Mapping[int, int] = dict(zip(record.seeds, record.pretrainings, strict=False))
    return [known.get(seed, record.model) for seed in seeds]


def primary(found: Sequence[Noise]) -> list[Noise]:
    """Return the comparisons in the declared averages."""
    return [one for one in found if not MEASURES[one.measure].secondary]


def varying(found: Sequence[Noise]) -> Iterator[tuple[Noise, Heterogeneity]]:
    """Yield the comparisons in the averages whose effects differ between models."""
    return ((one, one.spread) for one in primary(found) if one.varies and one.spread is not None)
