"""List the tasks of each suite, for real models and for the testbed, and choose those of a study that have data."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from balora.errors import ConfigError, DataError
from balora.settings import Family
from balora.study.design.study import Study
from balora.tasks.catalogue import TASKS, Source, Task, find_task
from balora.tasks.recipes import Recipe, find_recipe

SUITES: dict[Source, dict[Family, tuple[str, ...]]] = {
    "files": {
        "nlu": tuple(task.name for task in TASKS.values() if task.format == "glue" and task.source == "files"),
        "nlg": ("gsm8k", "math"),
    },
    "testbed": {
        "nlu": tuple(task.name for task in TASKS.values() if task.source == "testbed" and task.family == "nlu"),
        "nlg": tuple(task.name for task in TASKS.values() if task.source == "testbed" and task.family == "nlg"),
    },
}
"""The tasks behind NLU Avg and NLG Avg, for real models and for the testbed. A format for one's own data (`alpaca`,
`chat`) joins a suite if the study's `tasks` names it."""

HasData = Callable[[Task], bool]
"""Whether a task's data can be found."""


class Tasks(NamedTuple):
    """The tasks of a study."""

    present: tuple[str, ...]
    """The tasks that runs are trained on."""
    absent: tuple[str, ...]
    """Tasks of the suites that are left out, and sets to train on that were not found; named in plan and report. A
    task is left out if its files, the set to train on or its judge are missing."""
    scored: Mapping[str, tuple[str, ...]] = {}
    """The tasks that a recipe scores, by the one it trains on; any other task is scored on itself."""


def choose_tasks(study: Study, has_data: HasData, where: str, *, judged: bool = False) -> Tasks:
    """Return the tasks of the study's suites (or those that it names) that have data, for a real model.

    Args:
        study: names suites, tasks or recipes.
        has_data: whether a task's data can be found.
        where: the place that was searched, for messages.
        judged: whether there is a judge; without one, tasks that need it count as absent.

    Raises:
        ConfigError: a name is unknown, the testbed's, or belongs to none of the suites.
        DataError: a suite has no task with data, or a task that the study names has none.
    """
    recipes = [find_recipe(name) for name in study.recipes or ()]
    families = [suite for suite in study.suites if not any(_family(recipe) == suite for recipe in recipes)]
    wanted = _wanted(study, families, "files")
    present = [name for name in wanted if has_data(study.find(name))]
    absent = [name for name in wanted if name not in present]
    if study.tasks is not None and absent:
        raise DataError(f"tasks not found {where}: {', '.join(absent)}; drop them from the study's tasks or add files")
    scored: dict[str, tuple[str, ...]] = {}
    for recipe in recipes:
        found = tuple(name for name in recipe.score if _can_be_scored(find_task(name), has_data, judged))
        can_train = has_data(find_task(recipe.train))
        if found and can_train:
            scored[recipe.train] = found
            present.append(recipe.train)
            absent += [name for name in recipe.score if name not in found]
        else:
            absent += recipe.score if can_train else (recipe.train, *recipe.score)
    for suite in study.suites:
        if not any(study.find(name).family == suite for name in present):
            looked = [*wanted, *(name for recipe in recipes for name in (recipe.train, *recipe.score))]
            missing = ", ".join(name for name in looked if study.find(name).family == suite) or "none named"
            raise DataError(f"no task of suite {suite!r} found {where} (looked for: {missing}): pass --data FOLDER")
    return Tasks(tuple(present), tuple(absent), scored)


def _family(recipe: Recipe) -> Family:
    return find_task(recipe.train).family


def _can_be_scored(task: Task, has_data: HasData, judged: bool) -> bool:
    return has_data(task) and (judged or task.grader != "judge")


def tasks_of_testbed(study: Study, usual: Sequence[str] | None) -> Tasks:
    """Return the testbed's tasks of the study's suites: those that it names, else the ``usual`` ones, else all.

    Raises:
        ConfigError: a name is unknown, not the testbed's, or of none of the suites; a suite is left without a task.
    """
    if study.recipes:
        raise ConfigError(f"recipes: {', '.join(study.recipes)} cannot run on the testbed: pass --model and --data")
    wanted = _wanted(study, study.suites, "testbed")
    if study.tasks is None and usual is not None:
        wanted = [name for name in usual if find_task(name).family in study.suites]
    for suite in study.suites:
        if not any(find_task(name).family == suite for name in wanted):
            raise ConfigError(
                f"tasks: none is of suite {suite!r}: add one of {', '.join(SUITES['testbed'][suite])}, or drop it"
            )
    return Tasks(tuple(wanted), ())


def _wanted(study: Study, suites: Sequence[Family], source: Source) -> list[str]:
    names = study.tasks
    if names is None:
        return [name for suite in suites for name in SUITES[source][suite]]
    foreign = [name for name in names if study.find(name).source != source]
    if foreign:
        own = ", ".join(name for suite in suites for name in SUITES[source][suite])
        unusable = f"{', '.join(foreign)} cannot run on "
        if source == "testbed":
            raise ConfigError(f"tasks: {unusable}the testbed: pass --model and --data, or take its own tasks: {own}")
        raise ConfigError(f"tasks: {unusable}a real model: leave out --model for the testbed, or take some of: {own}")
    strangers = [name for name in names if study.find(name).family not in suites]
    if strangers:
        raise ConfigError(f"tasks: {', '.join(strangers)} belong to none of the suites {', '.join(suites)}")
    partial = [name for name in names if not (study.find(name).trained and study.find(name).scored)]
    if partial:
        raise ConfigError(
            f"tasks: {', '.join(partial)} cannot be both trained on and scored: use `recipes`, which name the two sides"
        )
    return list(names)
