"""Define a task of one's own, as a task file describes it and as a run's record keeps it; torch-free."""

from collections.abc import Mapping
from typing import Any, ClassVar

from balora.settings import Family, Settings
from balora.tasks.catalogue import Task


class OwnTask(Settings):
    """One task file, with the labels that were found in its data."""

    other_names: ClassVar = {}

    task: str
    """The task's name."""
    family: Family
    """`nlu`: classification or regression; `nlg`: generation."""

    def as_task(self) -> Task:
        """Return the task as the rest of balora knows tasks."""
        return Task(self.task, self.family, "own", (), (), ())


def placeless(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of an own task without where its files lie, which no result depends on."""
    read = own.get("read")
    kept = {key: value for key, value in read.items() if not isinstance(value, str)} if isinstance(read, dict) else read
    return {**own, "read": kept}
