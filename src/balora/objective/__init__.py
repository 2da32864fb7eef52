"""The training objective: both editions as data, weights and schedules, the loss from logits or from hidden states."""

from typing import TYPE_CHECKING, Any

from balora.objective.config import ObjectiveConfig

if TYPE_CHECKING:
    from balora.objective.objective import Objective
    from balora.objective.readout import Readout
    from balora.objective.terms import Terms

__all__ = ["Objective", "ObjectiveConfig", "Readout", "Terms"]


def __getattr__(name: str) -> Any:
    # torch is loaded at first use, so that plans and reports can read configurations at once
    if name == "Objective":
        from balora.objective.objective import Objective

        return Objective
    if name == "Readout":
        from balora.objective.readout import Readout

        return Readout
    if name == "Terms":
        from balora.objective.terms import Terms

        return Terms
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
