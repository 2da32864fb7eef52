"""Foresee how wide a plan's intervals will be, from the noise of finished studies of the same arms; torch-free."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from balora.report.records.measures import Measure, measures_of
from balora.report.records.noise_sources import Noise
from balora.report.records.report import Report, read_report
from balora.report.records.shareable import base_name
from balora.statistics import blocks_for, half_width
from balora.study.plan.plan import Plan


@dataclass(frozen=True)
class Expected:
    """How precise one comparison of a plan should become."""

    arm: str
    measure: str
    half_width: float | None
    """Of the 95 % interval with the planned blocks, ±; over models where the plan has several."""
    needed: int | None
    """The blocks, each on a model of its own (on one model: seeds), whose interval should be ± the study's margin."""
    past: str | None
    """The past study that it is foreseen from, with its blocks; None where no study compares the same arms."""
    missing: str = ""
    """Why the half-width cannot be foreseen."""


def past_reports(folders: Sequence[Path]) -> list[Report]:
    """Return the reports of the studies in ``folders``; of a folder that holds run records alone, none.

    Raises:
        InputError: a `study.json` is damaged or of another version.
    """
    return [read_report(folder) for folder in folders if (folder / "study.json").exists()]


def expected_precision(plan: Plan, past: Sequence[Report]) -> tuple[Expected, ...]:
    """Return the precision of every comparison of a plan's averages; nothing without a past study."""
    against = plan.study.against or plan.study.base_name
    names = [arm.name for arm in plan.arms if arm.name != against and arm.tuned is None]
    names += list(plan.study.tuned)
    measures = measures_of(plan.study.metrics, _scored_tasks(plan))
    return tuple(
        _expected(plan, name, against, measure, past)
        for measure in measures
        if past and not measure.secondary
        for name in names
        if name != against
    )


def _scored_tasks(plan: Plan) -> list[str]:
    return [name for task in plan.tasks.present for name in plan.tasks.scored.get(task, (task,))]


def _expected(plan: Plan, arm: str, against: str, measure: Measure, past: Sequence[Report]) -> Expected:
    tasks = measure.tasks([plan.study.find(task) for task in _scored_tasks(plan)])
    found = [
        (report, noise)
        for report in past
        for noise in report.noise
        if (noise.arm, noise.measure, report.against) == (arm, measure.key, against)
        and report.model == base_name(plan.choices.model)
        and report.averaged[measure.key] == tasks
        and _is_same(plan, report, arm)
        and _is_same(plan, report, against)
    ]
    if not found:
        why = f"no past study compares the arms with {against} on the same model and tasks"
        return Expected(arm, measure.key, None, None, None, why)
    report, noise = max(found, key=lambda pair: pair[1].components.blocks)
    sizes = _sizes(plan)
    width = half_width(noise.components, sizes)
    missing = "" if width is not None else _missing(noise, sizes)
    blocks = f"{noise.components.blocks} {report.noun}{'s' * (noise.components.blocks != 1)}"
    needed = blocks_for(noise.components, measure.margin(plan.study.margin))
    return Expected(arm, measure.key, width, needed, f"{report.study}, {report.profile}, {blocks}", missing)


def _is_same(plan: Plan, report: Report, name: str) -> bool:
    """Return whether an arm changes the same settings of the base in a plan and in a report."""
    planned = next((arm.delta for arm in plan.arms if arm.name == name), None)
    return any(arm.name == name and (planned is None or arm.changes == planned) for arm in report.arms)


def _sizes(plan: Plan) -> list[int]:
    """Return how many of the planned blocks each model has."""
    models = Counter(plan.pretrainings) if plan.pretrainings else {None: len(plan.blocks)}
    return sorted(models.values(), reverse=True)


def _missing(noise: Noise, sizes: Sequence[int]) -> str:
    """Return what the past study, or the plan, lacks for a half-width."""
    if sum(sizes) < 2:
        return "one planned block has no interval"
    if not noise.parts:
        reason = next(iter(noise.components.missing))
        return f"the past study shows no noise ({reason})"
    if len(noise.components.sizes) == 1:
        return "the past study has only one model, which shows nothing of others"
    return "the past study has no two blocks on one model, so it cannot tell seeds from models"
