"""Define the training objective (editions, weights, schedules), and compute it from logits or from hidden states."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from balora.objective.config import ObjectiveConfig

if TYPE_CHECKING:
    from balora.objective.objective import Objective
    from balora.objective.readout import Readout
    from balora.objective.terms import Terms

__all__ = ["Objective", "ObjectiveConfig", "Readout", "Terms"]


def __getattr__(name: str) -> Any:
    # torch is loaded at first use, so that plans and reports can read configurations at once
    if name in __all__:
        return getattr(import_module(f"balora.objective.{name.lower()}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
