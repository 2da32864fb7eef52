"""Compute a regularizer's weight λ at a given point of training: constant, cosine or two-phase."""

import math

from balora.errors import InputError
from balora.objective.editions import Schedule

COSINE_FLOOR = 0.1
WAIT, RAMP = 0.20, 0.05


def weight_at(weight: float, schedule: Schedule, progress: float) -> float:
    """Return λ at ``progress``, the share of the optimizer steps already done.

    ``cosine``: from λ down to 0.1·λ, λ·(0.1 + 0.9·(1 + cos(π·progress))/2). ``two-phase``: 0 for the first 20 % of the
    steps, a linear ramp to λ over the next 5 %, then λ. ``constant``: λ.

    Raises:
        InputError: progress outside 0…1.

    Source: BA-LoRA (ICLR 2026), NLG set-up.
    """
    if not 0 <= progress <= 1:
        raise InputError(f"`progress` must be between 0 and 1, got {progress}")
    if schedule == "cosine":
        return weight * (COSINE_FLOOR + (1 - COSINE_FLOOR) * (1 + math.cos(math.pi * progress)) / 2)
    if schedule == "two-phase":
        return weight * min(max((progress - WAIT) / RAMP, 0.0), 1.0)
    return weight
