"""Write the settings of a run as a config file, each with its meaning as a comment; torch-free."""

from collections.abc import Collection, Iterator
from typing import Any

from balora.importing.yaml_writer import comment, scalar
from balora.settings import dotted
from balora.training.model_settings import public_key
from balora.training.setting_list import SettingRow, setting_rows
from balora.training.spec import RunSpec

USUAL = (
    "method",
    "task",
    "model",
    "adapter.rank",
    "objective.edition",
    "training.epochs",
    "training.batch_size",
    "training.learning_rate",
    "training.seed",
    "training.precision",
    "data.folder",
    "data.max_length",
)
"""The settings that most people give; a new config file has the others as comments."""
TYPED = ("trust_remote_code", "unsafe_local_execution", "scoring.judge.url", "scoring.judge.key_variable")
"""Settings that no file may give."""


def config_text(spec: RunSpec, task: str, active: Collection[str] | None = None) -> str:
    """Return a config file with the settings of ``spec``, which `balora train --config` turns into ``spec`` again.

    Args:
        spec: the run.
        task: the task as it was given: a name, or the path of a task file.
        active: the keys that are no comments; none means all that a file may set.
    """
    values = _values(spec, task)
    lines = ["# Settings of `balora train --config`. `balora settings WORD` says more about one.", ""]
    if spec.adapter is None:
        lines += [*comment("No adapter: full fine-tuning."), "adapter: null", ""]
    for row in setting_rows():
        if row.key in values:
            is_active = row.key not in TYPED and (active is None or row.key in active)
            lines += _setting(row, values[row.key], is_active)
    return "\n".join(lines)


def _values(spec: RunSpec, task: str) -> dict[str, Any]:
    """Return the value of each key that ``spec`` has; a weight that a share decides is left out."""
    values = {public_key(key): value for key, value in dotted(spec.model_dump()).items()}
    for term in spec.objective.terms():
        if values[f"objective.{term}.share"] is not None:
            del values[f"objective.{term}.weight"]
    return {**values, "task": task}


def _setting(row: SettingRow, value: Any, is_active: bool) -> Iterator[str]:
    names = f" Elsewhere: {', '.join(row.other_names)}." if row.other_names else ""
    yield from comment(f"{row.meaning} ({row.type}; default: {row.default}){names}")
    written = scalar(list(value) if isinstance(value, tuple) else value)
    yield f"{'' if is_active else '# '}{row.key}: {written}"
    yield ""
