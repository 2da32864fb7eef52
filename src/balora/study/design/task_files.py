"""Read the task files that a study names among its tasks; torch-free."""

import os
from pathlib import Path
from typing import Any

from balora.errors import ConfigError
from balora.tasks.own_task import OwnTask
from balora.tasks.task_file import is_task_file, read_task_file
from balora.yaml_document import Document

Fault = tuple[str, str]
OWN = "own"


def with_paths(document: Document, source: str) -> Document:
    """Return a study file's content with the paths of its task files relative to where the file ``source`` lies."""
    tasks = document.content.get("tasks")
    if not isinstance(tasks, str | list):
        return document
    folder = Path(source).parent
    placed = [
        os.path.join(folder, os.path.expanduser(task)) if is_task_file(task) else task
        for task in ([tasks] if isinstance(tasks, str) else tasks)
    ]
    return document._replace(content={**document.content, "tasks": placed})


def with_own_tasks(content: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Return a study's content with the names of the tasks in place of their files, and the faults of these files."""
    faults: list[Fault] = []
    if OWN in content:
        faults.append((OWN, "is filled in from task files: give the path of each among `tasks`"))
    tasks = content.get("tasks")
    if not isinstance(tasks, list):
        return content, faults
    names, own = list[Any](), list[OwnTask]()
    for place, task in enumerate(tasks):
        if not is_task_file(task):
            names.append(task)
            continue
        try:
            read = read_task_file(task)
        except ConfigError as error:
            faults.append((f"tasks.{place}", str(error)))
            continue
        names.append(read.task)
        own.append(read)
    return {**content, "tasks": names or None, **({OWN: own} if own else {})}, faults
