"""Read a study for its report, and check that `study.json` lists the runs of its own plan; torch-free."""

import re
from collections.abc import Mapping
from importlib.metadata import version
from itertools import product
from pathlib import Path

from balora.errors import BaloraError, shown
from balora.study.design.arms import design_arms
from balora.study.plan.blocks import seeds
from balora.study.plan.plan import Choices, Plan, has_stopped, make_plan
from balora.study.plan.suites import Tasks
from balora.study.store.study_folder import (
    DamagedStudyError,
    Entry,
    StudyRecord,
    entries_of,
    read_runs,
    read_study_record,
)
from balora.training.identity import ID_LENGTH
from balora.training.record import RunRecord


def read_study(folder: Path) -> tuple[StudyRecord, dict[str, RunRecord], dict[str, str]]:
    """Return the study in ``folder``, the records of its runs by id, and what is wrong with those that cannot be used.

    Raises:
        InputError: there is no study, or its `study.json` is not what `study run` wrote.
    """
    record = read_study_record(folder)
    check_plan(record, folder)
    runs, faulty = read_runs(folder, record)
    check_entries(record, runs, folder)
    return record, runs, faulty


def check_plan(record: StudyRecord, folder: Path) -> None:
    """Check that the entries of ``record`` are the runs that its study, choices and fingerprints give.

    Another version of balora may derive other ids; of its studies, only arms, tasks and seeds are compared.

    Raises:
        DamagedStudyError: they are not.
    """
    path = folder / "study.json"
    try:
        fault = _fault(record)
    except (BaloraError, KeyError) as error:
        raise DamagedStudyError(f"{path}: its study gives no plan ({error})") from None
    if fault:
        raise DamagedStudyError(f"{path}: {fault}")


def _fault(record: StudyRecord) -> str | None:
    for metric in record.study.metrics:
        if not any(metric == f"{record.study.find(task).family}_avg" for task in record.scored_tasks):
            return f"it is judged by {metric!r}, but has no task of that kind"
    odd = [entry.id for entry in record.runs if not re.fullmatch(f"[0-9a-f]{{{ID_LENGTH}}}", entry.id)]
    if odd:
        return f"{shown(odd[0])} is no id of a run"
    if record.versions.get("balora") == version("balora"):
        plan = _plan(record)
        if (plan.seeds, plan.pretrainings) != (record.seeds, record.pretrainings):
            return "its seeds are not those of its profile"
        planned = entries_of(plan)
        names = [(entry.arm, entry.task, entry.seed, entry.id) for entry in planned]
        found = [(entry.arm, entry.task, entry.seed, entry.id) for entry in record.runs]
    else:
        arms = [arm.name for arm in design_arms(record.study)]
        names = [
            (arm, task, seed, "")
            for (number, seed), task, arm in product(enumerate(record.seeds), record.tasks, arms)
            if not has_stopped(record.stopped, arm, record.study.find(task).family, number)
        ]
        found = [(entry.arm, entry.task, entry.seed, "") for entry in record.runs]
    if found == names:
        return None
    place = next((i for i, pair in enumerate(zip(found, names, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        return f"it lists {len(found):,} runs, but its study has {len(names):,}"
    arm, task, seed, _ = names[place]
    return f"it does not list the runs of its study: run {place + 1} should be {_label(arm, task, seed)}"


def _plan(record: StudyRecord) -> Plan:
    rates = {} if record.rate_search is None else record.rate_search.rates
    seeds_from = () if record.pretrainings or set(record.seeds) <= set(seeds(len(record.seeds))) else record.seeds
    choices = Choices(
        record.model,
        record.data,
        record.profile,
        len(record.seeds),
        record.settings,
        rates,
        seeds_from,
        record.looks,
        record.stopped,
    )
    tasks = Tasks(record.tasks, record.absent, record.scored)
    return make_plan(record.study, choices, tasks, lambda spec: record.fingerprints[spec.task])


def check_entries(record: StudyRecord, runs: Mapping[str, RunRecord], folder: Path) -> None:
    """Check that the task and the seeds of each entry are those of its record.

    Raises:
        DamagedStudyError: they are not.
    """
    pretrainings = dict(zip(record.seeds, record.pretrainings, strict=False))
    for entry in record.runs:
        run = runs.get(entry.id)
        if run is not None and not _fits(entry, run, pretrainings):
            raise DamagedStudyError(
                f"{folder / 'study.json'}: lists {_label(entry.arm, entry.task, entry.seed)} as {entry.id}, which is a "
                f"run of {run.spec.task}, seed {run.spec.training.seed}"
            )


def _fits(entry: Entry, run: RunRecord, pretrainings: Mapping[int, int]) -> bool:
    spec = run.spec
    pretraining = None if spec.testbed is None else spec.testbed.seed
    return (spec.task, spec.training.seed) == (entry.task, entry.seed) and pretraining == pretrainings.get(entry.seed)


def _label(arm: str, task: str, seed: int) -> str:
    return f"{arm} · {task} · seed {seed}"
