"""Turn the arguments of a command into a plan: find the study, its tasks that have data, and the fingerprints."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from balora.errors import ConfigError, DataError, is_printable, shown, unknown_name
from balora.settings import dotted, merge, nest
from balora.study.design.deltas import RATE
from balora.study.design.reading import find_study
from balora.study.design.study import HOLE, Study, rate_grid_fault
from balora.study.design.without_testbed import without_own_rates, without_testbed
from balora.study.plan.plan import Choices, Fingerprints, Plan, has_one_rate, make_plan, needs_rates
from balora.study.plan.rate_search import expanded
from balora.study.plan.suites import Tasks, choose_tasks, tasks_of_testbed
from balora.study.plan.until import Until, refuse_without_family
from balora.tasks.catalogue import Task
from balora.tasks.data_folders import find_data_folder
from balora.tasks.recipes import RECIPE_SUITES
from balora.training.spec import TESTBED, setting_keys


def prepare(
    name: str,
    *,
    model: str | None = None,
    data: str | None = None,
    profile: str = "glance",
    seeds: int | None = None,
    settings: Mapping[str, Any] | None = None,
    suites: Sequence[str] | None = None,
    rate_grid: Sequence[float] | None = None,
    looks: Sequence[int] = (),
    fingerprints: Fingerprints | None = None,
) -> Plan:
    """Return the plan of the study called ``name`` (shipped, or a file) for this model and this data.

    If neither the caller nor the study names a model, it is the testbed, which needs no data. With ``looks``, the study
    goes on until it is answered, and the plan ends at the first of them.

    Raises:
        InputError: the study, profile, model, data or a setting is unknown, missing or cannot be used.
    """
    study = find_study(name)
    if suites:
        study = with_suites(study, suites)
    place = None if data is None else os.path.expanduser(data)
    count = looks[0] if looks else seeds
    choices = Choices(os.path.expanduser(model or study.model or TESTBED), place, profile, count, settings or {})
    choices = choices._replace(looks=tuple(looks))
    left_out: tuple[str, ...] = ()
    if not choices.on_testbed:
        study, left_out = without_testbed(study)
    tasks = tasks_of(study, choices)
    study, more = with_rates(study, choices, tasks, rate_grid)
    left_out += more
    if looks:
        refuse_without_family(study)
    plan = make_plan(study, choices, tasks, fingerprints or _fingerprints())
    return plan._replace(left_out=left_out)


def with_rates(
    study: Study, choices: Choices, tasks: Tasks, rate_grid: Sequence[float] | None
) -> tuple[Study, tuple[str, ...]]:
    """Return ``study`` with the learning rates that it tries, and the keys of what it leaves out for having only one.

    Raises:
        ConfigError: the grid cannot be used, or nothing would be tried on it; there is one rate where the study is
            about several.
    """
    if rate_grid is not None:
        if fault := rate_grid_fault(rate_grid):
            raise ConfigError(f"--rate-grid: {fault}")
        if study.rates != "every" and not needs_rates(study, choices, tasks):
            raise ConfigError(
                f"--rate-grid: no rate is looked for here, {_why_no_search(study, choices)}: leave it out"
            )
        study = study.replace(rate_grid=tuple(rate_grid))
    if has_one_rate(study, choices.settings):
        if study.rates == "every":
            raise ConfigError(
                f"{RATE}: study {shown(study.study)} runs its arms at several learning rates: leave it out, or list "
                "them with --rate-grid"
            )
    elif study.rates == "every":
        study = expanded(study, study.rate_grid or choices.effort.grid)
    starts_have_own = choices.effort.rates and not has_one_rate(study, choices.settings)
    return (study, ()) if starts_have_own or needs_rates(study, choices, tasks) else without_own_rates(study)


def _why_no_search(study: Study, choices: Choices) -> str:
    if has_one_rate(study, choices.settings):
        return "since all arms have one"
    if choices.effort.rates:
        return "since the testbed has one for each start (the study learning-rates runs its arms at several)"
    return "since what the recipes train on cannot be scored"


def with_suites(study: Study, suites: Sequence[str]) -> Study:
    """Return ``study`` on other ``suites``, judged by their averages.

    Raises:
        ConfigError: a suite is unknown, or the study has parts that need another one.
    """
    known = ("nlu", "nlg", *RECIPE_SUITES)
    for suite in suites:
        if suite not in known:
            raise ConfigError(f"--suites: {unknown_name('suite', suite, known)}")
    kept = study.model_dump(exclude={"suites", "metrics", "tasks", "recipes", "own"}, exclude_unset=True)
    return Study(**{**kept, "suites": tuple(suites)})


def refuse_open_arms(study: Study) -> None:
    """Raise :class:`ConfigError`, with the settings to choose from, if settings of an arm are still to be chosen."""
    if study.holes:
        places = ", ".join(f"arms.{name}.set" for name in study.holes)
        known = ", ".join(key for key in setting_keys() if key.split(".")[0] in ("adapter", "objective", "training"))
        raise ConfigError(f"{places}: {HOLE} must be replaced before a run: give some of: method, {known}")


def tasks_of(study: Study, choices: Choices) -> Tasks:
    """Return the study's tasks that have data: on the testbed, in the folder, or by a public name on the Hub."""
    effort, data = choices.effort, choices.data
    if choices.on_testbed:
        if data is not None:
            raise ConfigError(
                f"--data {data}: the testbed draws its own rows: leave it out, or pass --model with a Hub id or folder"
            )
        return tasks_of_testbed(study, effort.tasks)
    judged = _has_judge(study, choices)
    if data is None:
        return choose_tasks(
            study, lambda task: task.own is not None or task.hub is not None, "by a public name", judged=judged
        )
    if not os.path.isdir(data):
        raise DataError(
            f"--data {data}: no such folder: pass the folder above the tasks' folders (glue/CoLA, gsm8k, …)"
        )
    return choose_tasks(study, lambda task: _has_data(task, data), f"under {data}", judged=judged)


def _has_judge(study: Study, choices: Choices) -> bool:
    settings = merge(nest(study.base_settings), nest(choices.settings))
    return bool(dotted(settings).get("scoring.judge.url"))


def _has_data(task: Task, data: str) -> bool:
    if task.own is not None:  # its file names its data, which was there when the file was read
        return True
    try:
        find_data_folder(task, data)
    except DataError:
        return False
    return True


def _fingerprints() -> Fingerprints:
    from balora.training.fingerprint import fingerprints

    return fingerprints


def command(
    name: str,
    output: Path | str,
    *,
    model: str | None,
    data: str | None,
    profile: str,
    seeds: int | None,
    assignments: tuple[str, ...],
    suites: Sequence[str] = (),
    rate_grid: Sequence[float] | None = None,
    until: Until | None = None,
) -> str:
    """Return the command that repeats a study."""
    words = ["balora", "study", "run", name]
    words += ["--model", model] if model else []
    words += ["--data", data] if data else []
    for suite in suites:
        words += ["--suites", suite]
    words += ["--profile", profile]
    words += ["--seeds", str(seeds)] if seeds is not None else []
    words += until.words if until else []
    words += ["--rate-grid", ",".join(f"{rate!r}" for rate in rate_grid)] if rate_grid else []
    for assignment in assignments:
        words += ["--set", assignment]
    return " ".join(map(_quoted, [*words, "--output", str(output)]))


def _quoted(word: str) -> str:
    """Return ``word`` for a shell; what is not printable, and bytes of a path that are not UTF-8, in bash's `$'…'`."""
    if all(map(is_printable, word)):
        return shlex.quote(word)
    special = re.sub(r"[\\']", lambda match: "\\" + match[0], word)
    return "$'" + "".join(c if is_printable(c) else _as_bytes(c) for c in special) + "'"


def _as_bytes(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
