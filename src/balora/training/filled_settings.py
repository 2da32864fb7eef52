"""Fill in what settings of a run name only indirectly: a task's file, the tasks of a recipe, the home folder."""

import os
from collections.abc import Mapping
from typing import Any

from balora.errors import shown
from balora.settings import SettingsError
from balora.tasks.own_task import OwnTask
from balora.tasks.recipes import RECIPES
from balora.tasks.task_file import is_task_file, read_task_file


def with_own(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with the task that a file describes in place of the file's name."""
    own = given.get("own", ())
    if not isinstance(own, list | tuple) or not all(isinstance(one, OwnTask) for one in own):
        raise SettingsError([("own", "is filled in from a task file: give its path as the task (--task FILE.yaml)")])
    if not is_task_file(given["task"]):
        return dict(given)
    read = read_task_file(given["task"])
    folder = given.get("data", {}).get("folder")
    if folder is not None and not given.get("score"):
        raise SettingsError([("data.folder", f"{shown(folder)}: the task file names its own data: leave --data out")])
    return {**given, "task": read.task, "own": [*own, read]}


def with_scored(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with the tasks that the recipe of a training set scores, where `score` is not given."""
    recipes = {recipe.train: recipe.score for recipe in RECIPES.values()}
    found = given.get("score")
    if found is None or found in ([], ()):
        found = recipes.get(given["task"], ())
    found = [found] if isinstance(found, str) else found
    return {**given, "score": () if found in ([given["task"]], (given["task"],)) else found}


def at_home(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with `~` in the paths of model and data replaced by the home folder."""
    data = given.get("data")
    folder = data.get("folder") if isinstance(data, Mapping) else None
    paths = {"data": {**data, "folder": os.path.expanduser(folder)}} if data and isinstance(folder, str) else {}
    return {**given, **paths, "model": os.path.expanduser(given["model"])}
