"""Which tasks make up NLU Avg and NLG Avg, and which of them are there."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from balora.errors import ConfigError, DataError
from balora.settings import Family
from balora.tasks.catalogue import TASKS, Task, find_task

SUITES: dict[Family, tuple[str, ...]] = {
    "nlu": tuple(task.name for task in TASKS.values() if task.format == "glue"),
    "nlg": ("gsm8k", "math"),
}
"""The tasks of each suite. Data of one's own (`alpaca`, `chat`) joins a suite when the study's `tasks` names it."""

Present = Callable[[Task], bool]
"""Whether a task's files can be read."""


class Tasks(NamedTuple):
    """What a study runs on."""

    present: tuple[str, ...]
    absent: tuple[str, ...]
    """Tasks of the suites whose files are not there; named in the plan and the report."""


def choose_tasks(suites: Sequence[Family], names: Sequence[str] | None, present: Present, where: str) -> Tasks:
    """Return the tasks of ``suites`` (or those ``names``) that are there.

    Raises:
        ConfigError: a name is unknown or belongs to none of the suites.
        DataError: a suite has no task at all, or a task asked for by name is not there.
    """
    wanted = [name for suite in suites for name in SUITES[suite]] if names is None else list(names)
    strangers = [name for name in wanted if find_task(name).family not in suites]
    if strangers:
        raise ConfigError(f"tasks: {', '.join(strangers)} belong to none of the suites {', '.join(suites)}")
    there = tuple(name for name in wanted if present(find_task(name)))
    absent = tuple(name for name in wanted if name not in there)
    if names is not None and absent:
        raise DataError(f"tasks not found {where}: {', '.join(absent)}; take them out of the study's tasks or add them")
    for suite in suites:
        if not any(find_task(name).family == suite for name in there):
            missing = ", ".join(name for name in wanted if find_task(name).family == suite) or "none named"
            raise DataError(f"no task of suite {suite!r} found {where} (looked for: {missing}): pass --data FOLDER")
    return Tasks(there, absent)
