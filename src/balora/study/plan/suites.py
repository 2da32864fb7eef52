"""List the tasks of each suite, for real models and for the testbed, and choose those of a study that have data."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from balora.errors import ConfigError, DataError
from balora.settings import Family
from balora.tasks.catalogue import TASKS, Source, Task, find_task

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
    absent: tuple[str, ...]
    """Tasks of the suites whose files were not found; named in the plan and the report."""


def choose_tasks(suites: Sequence[Family], names: Sequence[str] | None, has_data: HasData, where: str) -> Tasks:
    """Return the tasks of ``suites`` (or those ``names``) that have data, for a real model.

    Raises:
        ConfigError: a name is unknown, the testbed's, or belongs to none of the suites.
        DataError: a suite has no task with data, or a task that the study names has none.
    """
    wanted = _wanted(suites, names, "files")
    present = tuple(name for name in wanted if has_data(find_task(name)))
    absent = tuple(name for name in wanted if name not in present)
    if names is not None and absent:
        raise DataError(f"tasks not found {where}: {', '.join(absent)}; drop them from the study's tasks or add files")
    for suite in suites:
        if not any(find_task(name).family == suite for name in present):
            missing = ", ".join(name for name in wanted if find_task(name).family == suite) or "none named"
            raise DataError(f"no task of suite {suite!r} found {where} (looked for: {missing}): pass --data FOLDER")
    return Tasks(present, absent)


def tasks_of_testbed(suites: Sequence[Family], names: Sequence[str] | None, usual: Sequence[str] | None) -> Tasks:
    """Return the testbed's tasks of ``suites``: those ``names``, else the ``usual`` ones, else all.

    Raises:
        ConfigError: a name is unknown, not the testbed's, or of none of the suites; a suite is left without a task.
    """
    if names is None and usual is not None:
        names = [name for name in usual if find_task(name).family in suites]
    wanted = _wanted(suites, names, "testbed")
    for suite in suites:
        if not any(find_task(name).family == suite for name in wanted):
            raise ConfigError(
                f"tasks: none is of suite {suite!r}: add one of {', '.join(SUITES['testbed'][suite])}, or drop it"
            )
    return Tasks(tuple(wanted), ())


def _wanted(suites: Sequence[Family], names: Sequence[str] | None, source: Source) -> list[str]:
    if names is None:
        return [name for suite in suites for name in SUITES[source][suite]]
    foreign = [name for name in names if find_task(name).source != source]
    if foreign:
        own = ", ".join(name for suite in suites for name in SUITES[source][suite])
        unusable = f"{', '.join(foreign)} cannot run on "
        if source == "testbed":
            raise ConfigError(f"tasks: {unusable}the testbed: pass --model and --data, or take its own tasks: {own}")
        raise ConfigError(f"tasks: {unusable}a real model: leave out --model for the testbed, or take some of: {own}")
    strangers = [name for name in names if find_task(name).family not in suites]
    if strangers:
        raise ConfigError(f"tasks: {', '.join(strangers)} belong to none of the suites {', '.join(suites)}")
    return list(names)
