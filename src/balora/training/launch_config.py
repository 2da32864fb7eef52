"""Define how many processes train one model together, and how they share it; torch-free."""

from typing import Literal

from pydantic import Field

from balora.settings import Settings

Strategy = Literal["ddp", "fsdp2", "zero2", "zero3"]
SHARDING: tuple[Strategy, ...] = ("fsdp2", "zero3")
"""With these, each process has a part of the weights only while it trains."""


class LaunchConfig(Settings):
    """How many processes train the model together, one a GPU (or, without GPUs, on the cores of the CPU)."""

    processes: int | None = Field(default=None, ge=1, le=4096)
    """How many processes `balora train` starts on this machine; none: as many as a launcher (torchrun, accelerate
    launch) has started, or else one."""
    strategy: Strategy = "ddp"
    """What each of them holds: `ddp`: all of the model. `zero2`: the weights, and its part of the gradients and of the
    optimizer's state (DeepSpeed). `fsdp2` and `zero3` (DeepSpeed): its part of the weights, too."""
