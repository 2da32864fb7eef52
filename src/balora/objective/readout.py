"""What a model does to the output of its head before it calls the result logits."""

from typing import NamedTuple

import torch
from torch import Tensor

from balora.errors import InputError
from balora.objective.config import ObjectiveConfig


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

    def check(self, config: ObjectiveConfig) -> None:
        """Raise :class:`InputError` for a scale or cap that makes no logits, or for terms that the cap rules out."""
        if not 0 < abs(self.scale) < float("inf"):
            raise InputError(f"`readout.scale` must be finite and not 0, got {self.scale}")
        if self.soft_cap is None:
            return
        if not 0 < self.soft_cap < float("inf"):
            raise InputError(f"`readout.soft_cap` must be finite and above 0, got {self.soft_cap}: none means no cap")
        if terms := whole_matrix_terms(config):
            raise InputError(f"{CAPPED.format(' and the '.join(terms))}: use from_logits, or set the weight to 0")


PLAIN = Readout()
"""Logits are what the head puts out."""

CAPPED = "soft-capped logits are no product of hidden states and head, which the {} on a vocabulary needs"


def whole_matrix_terms(config: ObjectiveConfig) -> list[str]:
    """Return the terms with a weight that no sum over rows gives, and that need Z = H·Wᵀ."""
    terms = []
    if config.diversity.weight > 0 and config.diversity.form == "covariance":
        terms.append("covariance")
    if config.spectral.weight > 0:
        terms.append("spectral term")
    return terms
