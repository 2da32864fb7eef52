"""Find tasks by name in lm-evaluation-harness or in a folder of one's own, and load them with their data."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from balora.errors import ConfigError, DataError, printable, shortened, shown, unknown_name
from balora.harness.config import HarnessConfig
from balora.harness.lm_eval_library import PACKAGE, harness_module
from balora.harness.quiet_harness import HarnessLog
from balora.regular_files import SETTINGS_BYTES, read_regular_text

LISTED = 20
"""Most tasks of one's own that an error text lists."""


def load_tasks(config: HarnessConfig, log: HarnessLog) -> list[Any]:
    """Return the harness' objects for the tasks and groups of ``config``, their data read and their first row tried.

    Raises:
        ConfigError: there is no such task, or no task at all in the folder of one's own.
        DataError: a definition is broken; its data cannot be read; a task would run generated programs.
    """
    manager = _manager(config, log)
    for name in config.tasks:
        if name not in manager.task_index:
            raise ConfigError(_unknown(name, manager, config.include_path))
    return [one for name in config.tasks for one in _load(name, manager)]


def _manager(config: HarnessConfig, log: HarnessLog) -> Any:
    """Return the harness' index; its own 14,000 definitions, which take long to read, only where they are needed."""
    tasks = harness_module("tasks")
    if config.include_path is not None:
        own = tasks.TaskManager(include_path=str(config.include_path), include_defaults=False)
        if log.unread:
            file, reason = log.unread[0]
            raise DataError(f"task definition {file}: cannot be read: {_one_line(reason)}: mend it or remove it")
        if not own.task_index:
            raise ConfigError(
                f"--include-path {config.include_path}: no task definition there (a file *.yaml with the key `task`): "
                "give the folder that holds them"
            )
        if all(_is_complete(name, own.task_index) for name in config.tasks):
            return own
    return tasks.TaskManager(include_path=None if config.include_path is None else str(config.include_path))


def _is_complete(name: Any, index: Mapping[str, Any], above: frozenset[str] = frozenset()) -> bool:
    """Return whether ``index`` alone defines a task, or a group with all of its members; a tag may go beyond it."""
    entry = index.get(name) if isinstance(name, str) and name not in above else None
    if entry is None or entry.kind.name == "TAG":
        return False
    members = (entry.cfg or {}).get("task") if entry.kind.name == "GROUP" else None
    names = [one.get("task", one.get("group")) if isinstance(one, Mapping) else one for one in members or ()]
    return all(_is_complete(one, index, above | {name}) for one in names)


def _unknown(name: str, manager: Any, include_path: Path | None) -> str:
    text = unknown_name("task of lm-eval", name, manager.all_tasks)
    if include_path is None:
        return f"{text} (tasks of your own: --include-path FOLDER)"
    root = include_path.resolve()
    index = manager.task_index.items()
    own = sorted(n for n, entry in index if entry.yaml_path and Path(entry.yaml_path).resolve().is_relative_to(root))
    more = f" and {len(own) - LISTED:,} more" if len(own) > LISTED else ""
    return f"{text} ({include_path} defines {', '.join(map(printable, own[:LISTED]))}{more})"


def _load(name: str, manager: Any) -> list[Any]:
    """Return the group ``name``, or the tasks that the name stands for."""
    definition = manager.task_index[name].cfg or {}
    if definition.get("unsafe_code"):
        raise DataError(_unsafe(name))
    try:
        loaded = manager.load([name])
        tasks = list(loaded["tasks"].values())
    except OSError as error:  # also what `datasets` raises without a network
        source = definition.get("dataset_path")
        raise DataError(
            f"task {shown(name)}: its data set {shown(source)} cannot be loaded ({_reason(error)}): fetch it once with "
            "a network (HF_HUB_OFFLINE=0), or define the task on local files and pass --include-path"
        ) from None
    except DataError as error:
        raise DataError(f"task {shown(name)}: {error}") from None
    except Exception as error:  # definitions are free text: templates, columns, functions, metrics
        raise DataError(
            f"task {shown(name)}: lm-eval cannot use its definition or its data ({_reason(error)}): compare both"
        ) from None
    for task in tasks:
        if getattr(task, "UNSAFE_CODE", False):
            raise DataError(_unsafe(task.task_name))
        if getattr(task, "MULTIMODAL", False):
            raise DataError(f"task {shown(task.task_name)} needs images or sound: balora scores language models")
    group = loaded["groups"].get(name)
    return tasks if group is None else [group]


def _unsafe(name: str) -> str:
    return (
        f"task {shown(name)} would run generated programs without a sandbox: leave --harness out, and score programs "
        "with balora's own tasks"
    )


def check_definitions(folder: Path, *, trusted: bool) -> None:
    """Check the task definitions in ``folder`` before the harness reads them.

    Raises:
        ConfigError: no such folder.
        DataError: a definition is no regular file, too large or no YAML; or it calls Python functions, which are not
            ``trusted``.
    """
    if not folder.is_dir():
        raise ConfigError(f"--include-path {folder}: no such folder: give the folder that holds the task definitions")
    for path in sorted(folder.rglob("*.yaml")):
        for file, content in _with_included(path, set()):
            if not trusted and _names_function(content):
                raise DataError(
                    f"task definition {file} calls Python functions (`!function`), which would run: pass "
                    "--trust-remote-code if you trust that code"
                )


class _Loader(yaml.SafeLoader):
    """Reads task definitions without importing the functions that they name."""


class _Function(str):
    """The name of a Python function in a definition."""


_Loader.add_constructor("!function", lambda loader, node: _Function(node.value))


def _read(path: Path) -> Any:
    try:
        return yaml.load(read_regular_text(path, SETTINGS_BYTES), _Loader)
    except OSError as error:
        raise DataError(f"task definition {path}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"task definition {path}: is no YAML: {_one_line(str(error))}") from None


def _with_included(path: Path, seen: set[Path]) -> Iterator[tuple[Path, Any]]:
    """Yield a definition and those that it includes, each with its content, but for the harness' own."""
    path = path.resolve()
    spec = find_spec(PACKAGE)
    own = [Path(place).resolve() for place in (spec.submodule_search_locations or ())] if spec else []
    if path in seen or any(path.is_relative_to(place) for place in own):
        return
    seen.add(path)
    content = _read(path)
    yield path, content
    included = content.get("include", []) if isinstance(content, dict) else []
    for name in included if isinstance(included, list) else [included]:
        yield from _with_included(path.parent / str(name), seen)


def _names_function(value: Any) -> bool:
    """Return whether a function is named anywhere in the content of a definition."""
    if isinstance(value, dict):
        return any(map(_names_function, value.values()))
    return any(map(_names_function, value)) if isinstance(value, list) else isinstance(value, _Function)


def _reason(error: BaseException) -> str:
    deepest = error.__cause__ or error
    return f"{type(deepest).__name__}: {_one_line(str(deepest))}"


def _one_line(text: str) -> str:
    return printable(shortened(" ".join(text.split()), 300))
