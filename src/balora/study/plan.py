"""The list of runs that `plan` prints and `run`, resume and `report` use; pure and torch-free."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from balora.errors import ConfigError
from balora.settings import SettingsError
from balora.study.arms import DesignedArm, design_arms
from balora.study.design import Study
from balora.study.layers import checked, for_family, lay, trains_everything, without_adapter
from balora.study.profiles import find_profile
from balora.study.seeds import seeds
from balora.study.suites import Tasks
from balora.tasks.catalogue import find_task
from balora.training.record import run_id
from balora.training.spec import RunSpec, resolve

Fingerprints = Callable[[RunSpec], dict[str, str]]
"""SHA-256 of the model, the data and the code that a run reads."""


class Choices(NamedTuple):
    """What the caller adds to a study."""

    model: str
    data: str | None = None
    """Folder above the tasks' folders; none reads them by their public names."""
    profile: str = "glance"
    seeds: int | None = None
    settings: Mapping[str, Any] = {}
    """Settings for every arm, above the profile and below the arms' deltas."""


class PlannedRun(NamedTuple):
    """One arm on one task with one seed. Where arms do not differ for a task, they share the id, and so the run."""

    arm: str
    task: str
    seed: int
    spec: RunSpec
    id: str

    @property
    def folder(self) -> Path:
        """Where the run is kept, below the study's output folder."""
        return Path("runs") / self.id


class Plan(NamedTuple):
    """A study with everything decided."""

    study: Study
    choices: Choices
    arms: tuple[DesignedArm, ...]
    tasks: Tasks
    seeds: tuple[int, ...]
    runs: tuple[PlannedRun, ...]
    fingerprints: dict[str, dict[str, str]]
    """Per task."""

    @property
    def distinct(self) -> tuple[PlannedRun, ...]:
        """The runs to carry out: each id once, in order."""
        first: dict[str, PlannedRun] = {}
        for run in self.runs:
            first.setdefault(run.id, run)
        return tuple(first.values())


def seed_count(study: Study, choices: Choices) -> int:
    """Return how many seeds run: the command line's, else the smaller of what the study and the profile allow."""
    if choices.seeds is not None:
        return choices.seeds
    profile = find_profile(choices.profile).seeds
    return profile if study.seeds is None else min(study.seeds, profile)


def make_plan(study: Study, choices: Choices, tasks: Tasks, fingerprints: Fingerprints) -> Plan:
    """Return every run in the order it is to be carried out.

    All arms of one task with one seed come together, and one seed is finished before the next begins, so that paired
    differences can be read early.

    Raises:
        ConfigError: settings that are unknown, out of range, or that make two arms the same everywhere.
    """
    arms, chosen = design_arms(study), seeds(seed_count(study, choices))
    prints: dict[str, dict[str, str]] = {}
    columns: dict[str, list[tuple[DesignedArm, RunSpec]]] = {}
    for task in tasks.present:
        columns[task] = [(arm, specification(study, choices, arm, task)) for arm in arms]
        prints[task] = fingerprints(columns[task][0][1])
    _refuse_twins(columns)
    runs = tuple(
        _planned(arm, task, seed, spec, prints[task])
        for seed in chosen
        for task in tasks.present
        for arm, spec in columns[task]
    )
    return Plan(study, choices, arms, tasks, chosen, runs, prints)


def specification(study: Study, choices: Choices, arm: DesignedArm, task: str) -> RunSpec:
    """Return the run of ``arm`` on ``task``, its seed still open: base, profile, `--set`, then the arm's delta."""
    family, profile = find_task(task).family, find_profile(choices.profile)
    settings, given = checked(study.base_settings), checked(choices.settings)
    method = arm.delta.get("method") or given.get("method") or settings.get("method")
    shared = without_adapter(profile.shared) if trains_everything(method) else profile.shared
    for layer in (shared, profile.suites[family], given, arm.delta):
        settings = lay(settings, layer)
    settings = lay(settings, {"data": {"folder": choices.data}})
    try:
        return resolve({**for_family(settings, family), "task": task, "model": choices.model})
    except SettingsError as error:
        raise ConfigError(f"arm {arm.name!r} on {task}: {error}") from None


def _planned(arm: DesignedArm, task: str, seed: int, spec: RunSpec, prints: dict[str, str]) -> PlannedRun:
    seeded = spec.model_copy(update={"training": spec.training.model_copy(update={"seed": seed})})
    return PlannedRun(arm.name, task, seed, seeded, run_id(seeded, prints))


def _refuse_twins(columns: Mapping[str, Sequence[tuple[DesignedArm, RunSpec]]]) -> None:
    seen: dict[tuple[RunSpec, ...], str] = {}
    for column in zip(*columns.values(), strict=True):
        name, specs = column[0][0].name, tuple(spec for _, spec in column)
        if specs in seen:
            raise ConfigError(
                f"arms {seen[specs]!r} and {name!r} are the same with these settings on every task: "
                "change --set, or the tasks"
            )
        seen[specs] = name
