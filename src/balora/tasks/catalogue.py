"""List the tasks that balora knows, as data; torch-free, so that plans and reports can read it."""

from typing import Any, Literal, NamedTuple

from balora.errors import ConfigError, unknown_name
from balora.settings import Family

Format = Literal["glue", "gsm8k", "alpaca", "chat"]
Source = Literal["files", "testbed"]


class Task(NamedTuple):
    """One task: its family, where it is found, and how it is scored."""

    name: str
    family: Family
    format: Format
    aliases: tuple[str, ...]
    """Folder names under which the task's files are found, besides its name (case does not matter)."""
    metrics: tuple[str, ...]
    """Every reported metric; the first is the task's score in NLU Avg or NLG Avg unless `score` lists several."""
    score: tuple[str, ...]
    """The metrics whose mean is the task's score."""
    text: tuple[str, ...] = ()
    """Columns of the input text (GLUE)."""
    labels: tuple[str, ...] = ()
    """Class names in order of their index; empty for regression and generation."""
    eval_split: str = "validation"
    hub: tuple[str, str | None] | None = None
    """(`datasets` name, configuration) used when no folder is given."""
    broken_rows: bool = False
    """Whether the official TSV holds a few rows torn by a line end inside a text: left out and counted."""
    source: Source = "files"
    """Where its rows come from: files (or a `datasets` name), or drawn by the testbed."""
    programs: bool = False
    """Whether an answer is right when, run as a program, it gives the reference's results (pass@1)."""

    @property
    def regression(self) -> bool:
        """Whether the label is a number."""
        return self.family == "nlu" and not self.labels


def _glue(
    name: str,
    folder: str,
    text: tuple[str, ...],
    labels: tuple[str, ...],
    metrics: tuple[str, ...],
    split: str = "validation",
    broken_rows: bool = False,
) -> Task:
    hub = ("nyu-mll/glue", name)
    return Task(name, "nlu", "glue", (folder,), metrics, metrics[:1], text, labels, split, hub, broken_rows)


def _testbed(name: str, family: Family, format: Format, *, metrics: tuple[str, ...], **known: Any) -> Task:
    return Task(name, family, format, (), metrics, metrics[:1], eval_split="test", source="testbed", **known)


PAIR = ("sentence1", "sentence2")
ACCURACY = ("accuracy",)

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _glue("cola", "CoLA", ("sentence",), ("unacceptable", "acceptable"), ("matthews_correlation",)),
        _glue("sst2", "SST-2", ("sentence",), ("negative", "positive"), ACCURACY),
        _glue("mrpc", "MRPC", PAIR, ("not_equivalent", "equivalent"), ("accuracy", "f1")),
        _glue("rte", "RTE", PAIR, ("entailment", "not_entailment"), ACCURACY),
        _glue("stsb", "STS-B", PAIR, (), ("pearson", "spearman")),
        _glue(
            "mnli",
            "MNLI",
            ("premise", "hypothesis"),
            ("entailment", "neutral", "contradiction"),
            ACCURACY,
            "validation_matched",
        ),
        _glue("qnli", "QNLI", ("question", "sentence"), ("entailment", "not_entailment"), ACCURACY),
        _glue(
            "qqp",
            "QQP",
            ("question1", "question2"),
            ("not_duplicate", "duplicate"),
            ("accuracy", "f1"),
            broken_rows=True,
        ),
        Task("gsm8k", "nlg", "gsm8k", (), ("exact_match", "answer_loss"), ("exact_match",), eval_split="test",
             hub=("openai/gsm8k", "main")),
        Task("math", "nlg", "gsm8k", ("MATH",), ("exact_match", "answer_loss"), ("exact_match",), eval_split="test"),
        Task("alpaca", "nlg", "alpaca", (), ("exact_match", "answer_loss"), ("exact_match",)),
        Task("chat", "nlg", "chat", (), ("exact_match", "answer_loss"), ("exact_match",)),
        _testbed("acceptability", "nlu", "glue", metrics=("matthews_correlation",), text=("sentence",),
                 labels=("unacceptable", "acceptable")),
        _testbed("sentiment", "nlu", "glue", metrics=ACCURACY, text=("sentence",), labels=("negative", "positive")),
        _testbed("entailment", "nlu", "glue", metrics=ACCURACY, text=PAIR,
                 labels=("entailment", "neutral", "contradiction")),
        _testbed("paraphrase", "nlu", "glue", metrics=("accuracy", "f1"), text=PAIR,
                 labels=("not_equivalent", "equivalent")),
        _testbed("similarity", "nlu", "glue", metrics=("pearson", "spearman"), text=PAIR),
        _testbed("arithmetic", "nlg", "gsm8k", metrics=("exact_match", "answer_loss")),
        _testbed("code", "nlg", "alpaca", metrics=("pass_at_1", "answer_loss"), programs=True),
        _testbed("facts", "nlg", "alpaca", metrics=("exact_match", "answer_loss")),
    )
}  # fmt: skip


def find_task(name: str) -> Task:
    """Return the task called ``name``; raise :class:`ConfigError` with the nearest match otherwise."""
    if name not in TASKS:
        raise ConfigError(unknown_name("task", name, TASKS))
    return TASKS[name]
