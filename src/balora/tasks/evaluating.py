"""Switch a model to evaluation, and batch rows by length."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

OnRows = Callable[[int, int], None]
"""Called with (rows done, rows in all)."""


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Switch dropout and gradients off inside, and give every module back its own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def batches_by_length(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Return positions in batches of like length, the longest first: little padding, and memory runs out at once."""
    order = sorted(range(len(lengths)), key=lambda position: -lengths[position])
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def device_of(model: Any) -> torch.device:
    """Return the device that the model's inputs must be on."""
    device: torch.device = next(model.parameters()).device
    return device
