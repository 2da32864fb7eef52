"""Every exception that balora raises on purpose, under one base class.

The command line prints the message of a :class:`BaloraError` as one line and exits with its ``exit_code``:
2 when what the user gave is wrong, 1 when the work itself failed.
"""

import difflib
from collections.abc import Iterable


class BaloraError(Exception):
    """Base class of all errors raised on purpose."""

    exit_code = 1


class InputError(BaloraError, ValueError):
    """What the user gave cannot be used; the message says what, which value, which limit, what next."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is unknown, out of range, or contradicts another one."""


class DataError(InputError):
    """A data file is missing, empty, torn, or of another shape than its task needs."""


class ModelError(InputError):
    """A model folder cannot be loaded safely, or the model cannot be used for the task."""


class AdapterError(InputError):
    """An adapter cannot be attached, read or exported exactly."""


class OutputError(InputError):
    """An output folder cannot be written or holds something else."""


class TrainingError(BaloraError):
    """A run failed while it was going on; names the step and what went bad."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the line that reports an unknown name with its nearest match, e.g. for a task or a key."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hints = [f"did you mean {close[0]!r}?"] if close else []
    if len(names) <= 20 or not close:
        hints.append(f"known: {', '.join(names)}")
    return f"unknown {kind} {name!r}: {' '.join(hints)}"
