"""Make the list of runs that `study plan` prints and that `study run` and `study report` use; pure and torch-free."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from balora.errors import ConfigError, shown
from balora.settings import Family, SettingsError, dotted, merge, nest
from balora.study.design.arms import design_arms
from balora.study.design.candidates import DesignedArm
from balora.study.design.deltas import (
    RATE,
    checked,
    for_family,
    overlay,
    trains_everything,
    without_adapter,
    without_base_rate,
)
from balora.study.design.study import Study
from balora.study.plan.blocks import Block, blocks, blocks_of_testbed
from balora.study.plan.profiles import Profile, Rates
from balora.study.plan.rates import RateSearch, rate_for
from balora.study.plan.suites import Tasks
from balora.study.plan.testbed_profiles import find_profile
from balora.tasks.own_task import OwnTask
from balora.training.identity import run_ids
from balora.training.spec import TESTBED, RunSpec, resolve

MOST_RUNS = 200_000
"""Most runs of a plan: the list of so many is still read back whole, and at ten seconds a run they take three weeks."""
Fingerprints = Callable[[RunSpec], dict[str, str]]
"""SHA-256 of the model, the data and the code that a run reads."""


class Choices(NamedTuple):
    """The choices that the caller of a study makes."""

    model: str
    """Hub id or folder, or `testbed`."""
    data: str | None = None
    """Folder above the tasks' folders; None reads them by their public names."""
    profile: str = "glance"
    seeds: int | None = None
    settings: Mapping[str, Any] = {}
    """Settings for every arm, above the profile and below the arms' deltas."""
    rates: Rates = {}
    """The learning rates that a search has found; none before it, or where none is made."""
    seeds_from: tuple[int, ...] = ()
    """Fine-tuning seeds in place of the fixed ones of every study; those of a search for learning rates."""
    looks: tuple[int, ...] = ()
    """Of a study that goes on until it is answered: after how many blocks it looks; none of a fixed study."""
    stopped: Mapping[str, Mapping[Family, int]] = {}
    """Of such a study: arms and families of tasks that stopped, and after how many blocks."""

    @property
    def on_testbed(self) -> bool:
        """Whether the study runs on the testbed."""
        return self.model == TESTBED

    @property
    def effort(self) -> Profile:
        """The profile for this kind of model; :class:`ConfigError` if there is none of that name."""
        return find_profile(self.profile, self.model)


class PlannedRun(NamedTuple):
    """One arm on one task with one seed. Where arms do not differ for a task, they share the id, and so the run."""

    arm: str
    task: str
    block: Block
    column: RunSpec
    """The settings of this arm and task, shared by all blocks; its seeds are not yet those of the block."""
    id: str

    @property
    def seed(self) -> int:
        """Its fine-tuning seed."""
        return self.block.seed

    @property
    def spec(self) -> RunSpec:
        """All its settings, with the seeds of its block."""
        return self.block.placed(self.column)

    @property
    def label(self) -> str:
        """Its name in messages."""
        return f"{self.arm} · {self.task} · seed {self.seed}"

    @property
    def folder(self) -> Path:
        """The run's folder, relative to the study's output folder."""
        return Path("runs") / self.id


class Plan(NamedTuple):
    """A study with its runs."""

    study: Study
    choices: Choices
    arms: tuple[DesignedArm, ...]
    tasks: Tasks
    blocks: tuple[Block, ...]
    runs: tuple[PlannedRun, ...]
    fingerprints: dict[str, dict[str, str]]
    """Per task."""
    left_out: tuple[str, ...] = ()
    """Keys of the study file that were left out, because only the testbed has these settings, or because all arms have
    one learning rate."""
    rate_search: RateSearch | None = None
    """The search that its learning rates come from; none before it, or where none is made."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The fine-tuning seeds, one a block."""
        return tuple(block.seed for block in self.blocks)

    @property
    def pretrainings(self) -> tuple[int, ...]:
        """The pre-training seeds, one a block; empty for a given model."""
        return tuple(block.pretraining for block in self.blocks if block.pretraining is not None)

    @property
    def distinct(self) -> tuple[PlannedRun, ...]:
        """The runs to carry out: each id once, in order."""
        first: dict[str, PlannedRun] = {}
        for run in self.runs:
            first.setdefault(run.id, run)
        return tuple(first.values())


def early_warning(plan: Plan) -> str | None:
    """Return why this many blocks cannot confirm anything about the study's family of arms; None if they can."""
    from balora.statistics import design_warning  # imports numpy: not needed for making a plan

    against = plan.study.against or plan.study.base_name
    arms = {arm.tuned or arm.name for arm in plan.arms} - {against}
    family = plan.study.family or tuple(arms)
    noun = "block" if plan.pretrainings else "seed"
    blocks = plan.choices.looks[-1] if plan.choices.looks else len(plan.blocks)
    return design_warning(blocks, len(family) * len(plan.study.metrics), noun)


def number_of_blocks(study: Study, choices: Choices) -> int:
    """Return the number of blocks that the command line sets, else the smaller one of study and profile."""
    usual = choices.effort.seeds if study.seeds is None else min(study.seeds, choices.effort.seeds)
    return usual if choices.seeds is None else choices.seeds


def has_one_rate(study: Study, settings: Mapping[str, Any]) -> bool:
    """Return whether all arms have one learning rate, because the study or its caller's ``settings`` want it so."""
    return study.rates == "shared" or dotted(nest(settings)).get(RATE) is not None


def needs_rates(study: Study, choices: Choices, tasks: Tasks) -> bool:
    """Return whether a search for learning rates must come before the study; it needs training rows to score."""
    if has_one_rate(study, choices.settings) or choices.effort.rates or choices.rates:
        return False
    return any(task not in tasks.scored for task in tasks.present)


def has_stopped(stopped: Mapping[str, Mapping[Family, int]], arm: str, family: Family, number: int) -> bool:
    """Return whether an arm has stopped before block ``number``, counted from 0, on a family of tasks."""
    return number >= stopped.get(arm, {}).get(family, number + 1)


def at_look(plan: Plan, look: int, stopped: Mapping[str, Mapping[Family, int]]) -> Plan:
    """Return ``plan`` with the blocks up to ``look``, which arms that ``stopped`` before do not all have."""
    choices = plan.choices._replace(seeds=look, stopped=stopped)
    again = make_plan(plan.study, choices, plan.tasks, lambda spec: plan.fingerprints[spec.task])
    return again._replace(left_out=plan.left_out, rate_search=plan.rate_search)


def chosen_blocks(study: Study, choices: Choices) -> tuple[Block, ...]:
    """Return the blocks of the study."""
    count = number_of_blocks(study, choices)
    if choices.seeds_from:
        return tuple(Block(seed) for seed in choices.seeds_from[:count])
    pretrainings = None if choices.looks else choices.effort.pretrainings
    return blocks_of_testbed(count, pretrainings) if choices.on_testbed else blocks(count)


def make_plan(study: Study, choices: Choices, tasks: Tasks, fingerprints: Fingerprints) -> Plan:
    """Return every run in the order it is to be carried out.

    All arms of one task in one block come together, and one block is finished before the next begins, so that paired
    differences can be read early.

    Raises:
        ConfigError: settings that are unknown, out of range, or that make two arms the same everywhere.
    """
    arms, count = design_arms(study), number_of_blocks(study, choices)
    if (runs := len(arms) * len(tasks.present) * count) > MOST_RUNS:
        raise ConfigError(
            f"the plan would have {runs:,} runs ({len(arms):,} arms × {len(tasks.present)} tasks × {count:,} seeds): "
            f"at most {MOST_RUNS:,} are planned: lower --seeds, or drop arms or tasks"
        )
    chosen = chosen_blocks(study, choices)
    prints: dict[str, dict[str, str]] = {}
    columns: dict[str, list[tuple[DesignedArm, RunSpec]]] = {}
    of_family: dict[tuple[str, Family], RunSpec] = {}
    for task in tasks.present:
        family = study.find(task).family
        for arm in arms:  # settings differ between families, not between tasks of one
            if (arm.name, family) not in of_family:
                of_family[arm.name, family] = specification(study, choices, arm, task)
        scored = tasks.scored.get(task, ())
        graders = {study.find(name).grader for name in scored or (task,)}
        changes: dict[str, Any] = {"task": task, "score": scored, "own": _used(study, (task, *scored))}
        if scored and "data.held_out" not in dotted(nest(choices.settings)):
            changes["held_out"] = None  # what is only trained on cannot be scored
        columns[task] = [(arm, _placed(of_family[arm.name, family], changes, graders, arm)) for arm in arms]
        prints[task] = fingerprints(columns[task][0][1])
    _refuse_twins(study, columns)
    ids = {(arm.name, task): run_ids(spec, prints[task], chosen) for task in columns for arm, spec in columns[task]}
    planned = tuple(
        PlannedRun(arm.name, task, block, spec, ids[arm.name, task][number])
        for number, block in enumerate(chosen)
        for task in tasks.present
        for arm, spec in columns[task]
        if not has_stopped(choices.stopped, arm.name, study.find(task).family, number)
    )
    return Plan(study, choices, arms, tasks, chosen, planned, prints)


def _placed(spec: RunSpec, changes: Mapping[str, Any], graders: Collection[str], arm: DesignedArm) -> RunSpec:
    """Return ``spec`` on another task; that of a recipe is validated again, since it need not take every prompt.

    Settings of scoring that ``graders`` do not use are left out: with another judge, only what is judged runs again.
    """
    changes = {**changes, "scoring": spec.scoring.used_by(graders)}
    if "held_out" in changes:
        changes["data"] = spec.data.model_copy(update={"held_out": changes.pop("held_out")})
    if not changes["score"]:
        return spec.model_copy(update=dict(changes))
    try:
        return spec.replace(**changes)
    except SettingsError as error:
        raise ConfigError(f"arm {shown(arm.name)} on {changes['task']}: {error}") from None


def _used(study: Study, names: Sequence[str]) -> tuple[OwnTask, ...]:
    return tuple(own for own in study.own if own.task in names)


def specification(study: Study, choices: Choices, arm: DesignedArm, task: str) -> RunSpec:
    """Return the run of ``arm`` on ``task``, its block still open: base, profile, `--set`, then the arm's delta."""
    try:
        delta, at_base_rate = without_base_rate(arm.delta)
        spec = _resolved(study, choices, delta, task, {})
        if spec.adapter is None and (reason := spec.loading.cannot_train_everything()):
            raise SettingsError([("", f"{reason}: leave the arm out, or the setting")])
        rate = _rate(study, choices, _resolved(study, choices, {}, task, {}) if at_base_rate else spec)
        return spec if rate is None else _resolved(study, choices, delta, task, {"training": {"learning_rate": rate}})
    except SettingsError as error:
        raise ConfigError(f"arm {shown(arm.name)} on {task}: {error}") from None


def _rate(study: Study, choices: Choices, spec: RunSpec) -> float | None:
    """Return the learning rate of the profile or the search for runs like ``spec``; None if its settings have it."""
    rates = choices.rates or choices.effort.rates or {}
    if study.rates == "shared":
        spec = _resolved(study, choices, {}, spec.task, {})
    start = "pissa" if spec.training.step_matching == "pissa" else spec.start
    return rate_for(rates, spec.objective.family, start)


def _resolved(study: Study, choices: Choices, delta: Mapping[str, Any], task: str, rate: Mapping[str, Any]) -> RunSpec:
    family, effort = study.find(task).family, choices.effort
    settings, given = checked(study.base_settings), checked(choices.settings, typed=True)
    method = delta.get("method") or given.get("method") or settings.get("method")
    shared = without_adapter(effort.shared) if trains_everything(method) else effort.shared
    held_out = {} if effort.rates or has_one_rate(study, choices.settings) else {"data": {"held_out": effort.held_out}}
    for layer in (shared, effort.suites[family], held_out, rate, given, delta):
        settings = overlay(settings, layer)
    settings = overlay(settings, {"data": {"folder": choices.data}})
    own = _used(study, (task,))
    return resolve(merge(for_family(settings, family), {"task": task, "model": choices.model, "own": own}))


def _refuse_twins(study: Study, columns: Mapping[str, Sequence[tuple[DesignedArm, RunSpec]]]) -> None:
    """Refuse named arms that settings for the whole study have made the same; points of a grid may be another arm."""
    seen: dict[tuple[RunSpec, ...], str] = {}
    for column in zip(*columns.values(), strict=True):
        name, specs = column[0][0].name, tuple(spec for _, spec in column)
        if (name != study.base_name and name not in study.arms) or without_base_rate(column[0][0].delta)[1]:
            continue  # an arm at the base's rate is the same as another where both starts have the same best rate
        if specs in seen:
            raise ConfigError(
                f"arms {shown(seen[specs])} and {shown(name)} are the same on every task with what the profile and "
                "--set give every arm: drop one of them, or change --set or the tasks"
            )
        seen[specs] = name
