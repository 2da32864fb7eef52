"""What a run tells about itself while it goes on."""

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """One sign of life."""

    phase: str
    """`load`, `reference`, `factors`, `train`, `evaluate`, `save`."""
    step: int
    """Steps (or rows, when evaluating) done."""
    steps: int
    """Steps (or rows) in all."""
    loss: float | None = None
    """The last known training loss."""


OnProgress = Callable[[Progress], None]
