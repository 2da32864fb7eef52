"""Define the settings of a task's data; torch-free."""

from collections.abc import Collection
from string import Formatter
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from balora.errors import shown, unknown_name
from balora.judging.config import JudgeConfig
from balora.settings import Settings

HELD_OUT = "held-out"
"""What `data.eval_split` calls the training rows that `data.held_out` sets aside."""
PLACEHOLDERS = ("question", "input")


class DataConfig(Settings):
    """Where a task's rows come from and how many of them, how long, are used."""

    folder: str | None = None
    """Folder with the task's files (or a folder above it), or a `datasets` name; none: the task's default name."""
    subset: str | None = None
    """Configuration of the `datasets` name, where it has several; none means the task's own."""
    train_split: str = "train"
    """File stem or split to train on."""
    eval_split: str | None = None
    """File stem or split to score on; none means the task's own (validation for GLUE, test for GSM8K). `held-out`: the
    training rows that `held_out` sets aside."""
    held_out: int | None = Field(default=None, ge=1)
    """How many training rows to set aside, on which no run trains: the same for every seed, a fifth of them at most."""
    train_rows: int | None = Field(default=None, ge=1)
    """How many training rows to use, drawn with the run's seed; none means all."""
    eval_rows: int | None = Field(default=None, ge=1)
    """How many evaluation rows to use: the first ones, the same for every run; none means all."""
    max_length: int = Field(default=256, ge=2)
    """Most tokens a row may have: NLU rows are truncated, NLG training rows over it are left out and counted."""
    max_new_tokens: int = Field(default=256, ge=1)
    """Most tokens generated for one answer."""
    prompt: str | None = None
    """Template with `{question}` (and `{input}`) for NLG prompts; none means the task's own. With the tokenizer's chat
    template, it is the user's turn."""
    turns: Literal["all", "last"] = "all"
    """Which turns of the assistant conversations teach: all, or the last. Only the last answer is ever scored."""
    chat_template: bool | None = None
    """Whether NLG prompts take the tokenizer's chat template; none means: where it has one."""

    cue: float = Field(default=0.0, ge=0, le=1)
    """Testbed only: P(label | clan) = 0.5 ± 0.5·cue in the training rows, and never in the test."""
    label_noise: float = Field(default=0.0, ge=0, le=1)
    """Testbed only: share of the training rows whose label or answer is wrong."""

    @model_validator(mode="after")
    def _held_out_rows_are_set_aside(self) -> Self:
        if self.eval_split == HELD_OUT and self.held_out is None:
            raise ValueError(f"eval_split: {HELD_OUT!r} needs rows that are set aside: set data.held_out too")
        return self

    @field_validator("prompt")
    @classmethod
    def _prompt_has_known_placeholders(cls, prompt: str | None) -> str | None:
        if prompt is not None:
            check_template(prompt)
        return prompt


class ScoringConfig(Settings):
    """How the answers of generation tasks are drawn and graded."""

    samples: int = Field(default=1, ge=1, le=1000)
    """Answers drawn for each task of programs, for pass@k; 1 means the greedy answer."""
    temperature: float = Field(default=0.8, gt=0, allow_inf_nan=False)
    """Temperature at which several answers are drawn."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Nucleus from which several answers are drawn."""
    pass_at: tuple[int, ...] = (1,)
    """Which pass@k are reported of programs; none may be above `samples`. The score is pass@1."""
    judge: JudgeConfig | None = None
    """Who judges the answers to MT-Bench; without a judge it is left out."""

    @model_validator(mode="after")
    def _k_are_samples(self) -> Self:
        if 1 not in self.pass_at or not all(1 <= k <= self.samples for k in self.pass_at):
            raise ValueError(
                f"pass_at: must hold 1, and numbers up to scoring.samples = {self.samples}, got {list(self.pass_at)}"
            )
        return self

    def used_by(self, graders: Collection[str]) -> Self:
        """Return the settings that ``graders`` use, with the default for every other, on which no result depends."""
        kept = self if "programs" in graders else type(self)()
        return kept.model_copy(update={"judge": self.judge if "judge" in graders else None})


def check_template(template: str) -> None:
    """Raise ValueError unless ``template`` names `{question}`, at most `{input}` beside it, and nothing else."""
    if any("\ud800" <= character <= "\udfff" for character in template):
        raise ValueError(f"the prompt holds half of a character (a lone surrogate): mend {shown(template)}")
    try:
        fields = [(name, spec, conv) for _, name, spec, conv in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ValueError(f"not a template ({error}): write a literal brace twice, got {shown(template)}") from None
    for name, spec, conversion in fields:
        if name not in PLACEHOLDERS:
            raise ValueError(f"{unknown_name('placeholder', name, PLACEHOLDERS)}; write a literal brace twice")
        if spec or conversion:
            raise ValueError(f"placeholder {{{name}}} takes no format or conversion, got {shown(template)}")
    if "question" not in [name for name, *_ in fields]:
        raise ValueError(f"the prompt must contain {{question}}, got {shown(template)}")
