"""The configuration of a task's data; torch-free."""

from pydantic import Field

from balora.settings import Settings


class DataConfig(Settings):
    """Where a task's rows come from and how many of them, how long, are used."""

    folder: str | None = None
    """Folder with the task's files (or a folder above it), or a `datasets` name; none: the task's default name."""
    train_split: str = "train"
    """File stem or split to train on."""
    eval_split: str | None = None
    """File stem or split to score on; none means the task's own (validation for GLUE, test for GSM8K)."""
    train_rows: int | None = Field(default=None, ge=1)
    """How many training rows to use, drawn with the run's seed; none means all."""
    eval_rows: int | None = Field(default=None, ge=1)
    """How many evaluation rows to use: the first ones, the same for every run; none means all."""
    max_length: int = Field(default=256, ge=2)
    """Most tokens a row may have: NLU rows are truncated, NLG training rows over it are left out and counted."""
    max_new_tokens: int = Field(default=256, ge=1)
    """Most tokens generated for one answer."""
    prompt: str | None = None
    """Template with `{question}` (and `{input}`) for NLG prompts; none means the task's own."""
