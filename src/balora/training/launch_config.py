"""Define how many processes train one model together, and how they share it; torch-free."""

from typing import Literal

from pydantic import Field

from balora.settings import Settings

Strategy = Literal["ddp", "fsdp2", "zero2", "zero3"]


class LaunchConfig(Settings):
    """How many processes train the model together, one a GPU (or, without GPUs, on the cores of the CPU)."""

    processes: int | None = Field(default=None, ge=1, le=4096)
    """How many processes `balora train` starts on this machine; none: as many as a launcher (torchrun, accelerate
    launch) has started, or else one."""
    strategy: Strategy = "ddp"
    """How they share the model: `ddp`: each holds all of it. `fsdp2`, `zero2`, `zero3`: for the trainers in a script of
    your own only, see docs/several-gpus.md."""
