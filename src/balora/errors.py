"""Define every exception that balora raises on purpose, under one base class.

The command line prints the message of a :class:`BaloraError` as one line and exits with its ``exit_code``:
2 if the input is wrong, 1 if the work itself failed.
"""

import difflib
from collections.abc import Iterable


class BaloraError(Exception):
    """Base class of all errors raised on purpose."""

    exit_code = 1


class InputError(BaloraError, ValueError):
    """The input cannot be used; the message names the value, the limit, and what to do next."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is unknown, out of range, or contradicts another setting."""


class DataError(InputError):
    """A data file is missing, empty, truncated, or does not have the fields that its task needs."""


class ModelError(InputError):
    """A model folder cannot be loaded safely, or the model cannot be used for the task."""


class AdapterError(InputError):
    """An adapter cannot be attached, read or exported exactly."""


class OutputError(InputError):
    """An output folder or file cannot be written, or holds something else."""


class TrainingError(BaloraError):
    """A run failed; the message names the step and what went wrong."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return an error text for an unknown name (of a task, a key, …) that suggests the nearest known one."""
    names = sorted(known)
    below = [known_name for known_name in names if known_name.endswith(f".{name}")]  # `rank` for `adapter.rank`
    close = below or difflib.get_close_matches(name, names, n=1)
    hints = [f"did you mean {' or '.join(map(repr, close))}?"] if close else []
    if len(names) <= 20 or not close:
        hints.append(f"known: {', '.join(names)}")
    return f"unknown {kind} {name!r}: {' '.join(hints)}"
