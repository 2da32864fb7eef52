"""Turn the output of a model's head into its logits (scale, soft cap), and name the terms that then need the logits."""

from typing import NamedTuple

import torch
from torch import Tensor

from balora.errors import InputError
from balora.objective.config import ObjectiveConfig
from balora.objective.regularizers import REGULARIZERS, WholeMatrix


class Readout(NamedTuple):
    """Logits = y = s·(W·h + b), or c·tanh(y/c) where they are soft-capped."""

    scale: float = 1.0
    """s: Cohere multiplies by its `logit_scale`, Granite divides by its `logits_scaling`."""
    soft_cap: float | None = None
    """c: Gemma's `final_logit_softcapping`; none: no cap."""

    def __call__(self, output: Tensor) -> Tensor:
        """Return the logits for the head's output."""
        y = output * self.scale
        return y if self.soft_cap is None else self.soft_cap * torch.tanh(y / self.soft_cap)

    def obstacle(self, config: ObjectiveConfig) -> str | None:
        """Return why a term with a weight cannot be computed from hidden states, so that logits are needed, or None."""
        forms = {name: REGULARIZERS[name].on_head(config) for name, term in config.terms().items() if term.is_on}
        if without := [name for name, form in forms.items() if form is None]:
            return f"the {' and the '.join(without)} term has no form on hidden states"
        matrix = [form.name for form in forms.values() if isinstance(form, WholeMatrix)]
        if self.soft_cap is None or not matrix:
            return None
        return (
            "soft-capped logits are no product of hidden states and head, which the "
            f"{' and the '.join(matrix)} on a vocabulary needs"
        )

    def check(self, config: ObjectiveConfig) -> None:
        """Raise :class:`InputError` for a scale or cap that makes no logits, or for a term that needs logits."""
        if not 0 < abs(self.scale) < float("inf"):
            raise InputError(f"`readout.scale` must be finite and not 0, got {self.scale}")
        if self.soft_cap is not None and not 0 < self.soft_cap < float("inf"):
            raise InputError(f"`readout.soft_cap` must be finite and above 0, got {self.soft_cap}: none means no cap")
        if reason := self.obstacle(config):
            raise InputError(f"{reason}: use from_logits, or set the weight to 0")


PLAIN = Readout()
"""The logits are the head's output itself."""
