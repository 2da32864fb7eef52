"""Declare the settings of one evaluation with lm-evaluation-harness; torch-free."""

from pathlib import Path

from pydantic import Field

from balora.settings import Settings
from balora.training.spec import TrainingConfig

SEEDS = {
    "random_seed": 0,
    "numpy_random_seed": 1234,
    "torch_random_seed": 1234,
    "fewshot_random_seed": 1234,
}
"""The harness' own defaults; the last one draws the examples in front of the questions."""


class HarnessConfig(Settings):
    """What is scored, on which tasks of the harness, and how."""

    model: str = Field(min_length=1)
    """Hub id or folder of the model, with `adapter` of its base; or the folder of a run."""
    adapter: Path | None = None
    """Folder of a plain adapter, or of the run that trained it."""
    tasks: tuple[str, ...] = Field(min_length=1)
    """Names of tasks, groups or tags that the harness knows or that `include_path` defines."""
    include_path: Path | None = None
    """Folder with task definitions of one's own, in the harness' YAML format."""
    limit: int | None = Field(default=None, ge=1)
    """Score the first so many rows of each task; none: all."""
    num_fewshot: int | None = Field(default=None, ge=0)
    """Examples in front of each question; none: as each task defines it."""
    batch_size: int = Field(default=TrainingConfig().eval_batch_size, ge=1)
    """Rows per forward pass."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model or with the task definitions; refused by default."""
