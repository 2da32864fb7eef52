"""balora: fine-tune a language model without passing on its flaws, and prove which part of the method earned it.

This file lists the public names (the formulas alone are in :mod:`balora.maths`) and imports each at its first use.
"""

from typing import TYPE_CHECKING, Any

_PUBLIC = {
    # the objective: what is minimised
    "balora.objective": ("Objective", "ObjectiveConfig"),
    # adapters: what is trained, and the frozen model beside it
    "balora.adapters": (
        "AdapterConfig", "attach", "reference_of", "frozen_copy", "export_adapter", "export_merged",
    ),
    # trainers for transformers and for TRL
    "balora.training.trainer": ("BALoraTrainer",),
    "balora.training.sft": ("BALoraSFTTrainer",),
    # one whole run: settings -> spec -> record
    "balora.training.spec": ("RunSpec", "resolve"),
    "balora.training.run": ("run",),
    "balora.training.record": ("RunRecord",),
    # all errors that balora raises on purpose
    "balora.errors": (
        "BaloraError", "InputError", "ConfigError", "DataError", "ModelError", "AdapterError", "OutputError",
        "TrainingError",
    ),
}  # fmt: skip
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("balora")
    if name not in _HOME:
        raise AttributeError(f"module 'balora' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


if TYPE_CHECKING:  # the same names for type checkers and editors; a test keeps the two lists equal
    from balora.adapters import AdapterConfig as AdapterConfig
    from balora.adapters import attach as attach
    from balora.adapters import export_adapter as export_adapter
    from balora.adapters import export_merged as export_merged
    from balora.adapters import frozen_copy as frozen_copy
    from balora.adapters import reference_of as reference_of
    from balora.errors import AdapterError as AdapterError
    from balora.errors import BaloraError as BaloraError
    from balora.errors import ConfigError as ConfigError
    from balora.errors import DataError as DataError
    from balora.errors import InputError as InputError
    from balora.errors import ModelError as ModelError
    from balora.errors import OutputError as OutputError
    from balora.errors import TrainingError as TrainingError
    from balora.objective import Objective as Objective
    from balora.objective import ObjectiveConfig as ObjectiveConfig
    from balora.training.record import RunRecord as RunRecord
    from balora.training.run import run as run
    from balora.training.sft import BALoraSFTTrainer as BALoraSFTTrainer
    from balora.training.spec import RunSpec as RunSpec
    from balora.training.spec import resolve as resolve
    from balora.training.trainer import BALoraTrainer as BALoraTrainer

    __version__: str
