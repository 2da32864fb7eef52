"""List the tasks that balora knows, as data; torch-free, so that plans and reports can read it."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from balora.errors import ConfigError, unknown_name
from balora.settings import Family

Format = Literal["glue", "gsm8k", "alpaca", "chat", "instructions", "humaneval", "mbpp", "mt_bench", "own"]
Source = Literal["files", "testbed"]
Grader = Literal["labels", "final_answer", "text", "expressions", "programs", "judge"]
"""How answers are graded: class labels or numbers; the final answer of a solution; the whole text; programs of the
testbed's small language; Python programs with tests; a judge."""


class Task(NamedTuple):
    """One task: its family, where it is found, and how it is scored.

    A task without metrics is only trained on; one that is not `trained` is only scored.
    """

    name: str
    family: Family
    format: Format
    aliases: tuple[str, ...]
    """Folder names under which the task's files are found, besides its name (case does not matter)."""
    metrics: tuple[str, ...]
    """Every reported metric; the first is the task's score in NLU Avg or NLG Avg unless `score` names others."""
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
    grader: Grader = "labels"
    """How answers are graded."""
    scale: float = 100.0
    """What the mean of the score metrics is multiplied by, to be in points of 100."""
    trained: bool = True
    """Whether it has rows to train on."""
    stems: tuple[str, ...] = ()
    """Names, without ending, under which its file is published, where that is no name of a split."""
    own: Any = None
    """The definition of a task of one's own (:class:`balora.tasks.own_task.OwnTask`); None for the catalogue's."""

    @property
    def conversations(self) -> bool:
        """Whether its rows are conversations."""
        return self.format == "chat" or (self.own is not None and self.own.messages is not None)

    @property
    def regression(self) -> bool:
        """Whether the label is a number."""
        return self.family == "nlu" and not self.labels

    @property
    def scored(self) -> bool:
        """Whether it has rows to score a model on."""
        return bool(self.metrics)


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


def _answers(name: str, format: Format, *, aliases: tuple[str, ...] = (), split: str = "test", **known: Any) -> Task:
    metrics = ("exact_match", "answer_loss")
    grader: Grader = "final_answer" if format == "gsm8k" else "text"
    return Task(name, "nlg", format, aliases, metrics, metrics[:1], eval_split=split, grader=grader, **known)


def _formulas(name: str, **known: Any) -> Task:
    metrics = ("exact_match", "math_verify", "answer_loss")
    return _answers(name, "gsm8k", **known)._replace(metrics=metrics, score=("math_verify",))


def _training_set(name: str, format: Format, hub: str, stem: str, *aliases: str) -> Task:
    names = (hub.rpartition("/")[2], *aliases)
    return Task(name, "nlg", format, names, (), (), hub=(hub, None), stems=(stem,))


def _benchmark(
    name: Format,
    aliases: tuple[str, ...],
    metric: str,
    grader: Grader,
    stems: tuple[str, ...],
    hub: tuple[str, str | None],
    split: str = "test",
) -> Task:
    scale = 10.0 if grader == "judge" else 100.0  # a judge rates from 1 to 10
    return Task(name, "nlg", name, aliases, (metric,), (metric,), eval_split=split, hub=hub, grader=grader, scale=scale,
                trained=False, stems=stems)  # fmt: skip


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
        _answers("gsm8k", "gsm8k", hub=("openai/gsm8k", "main")),
        _formulas("math", aliases=("MATH",), hub=("DigitalLearningGmbH/MATH-lighteval", None)),
        _formulas("math500", aliases=("MATH-500",), hub=("HuggingFaceH4/MATH-500", None), trained=False),
        _answers("alpaca", "alpaca", split="validation"),
        _answers("chat", "chat", split="validation"),
        _training_set("metamathqa", "instructions", "meta-math/MetaMathQA", "MetaMathQA-395K"),
        _training_set("codefeedback", "instructions", "m-a-p/CodeFeedback-Filtered-Instruction",
                      "CodeFeedback-Filtered-Instruction", "CodeFeedback"),
        _training_set("wizardlm", "chat", "WizardLMTeam/WizardLM_evol_instruct_V2_196k",
                      "WizardLM_evol_instruct_V2_143k", "WizardLM-Evol", "WizardLM_evol_instruct_70k"),
        _benchmark("humaneval", ("HumanEval", "openai_humaneval"), "pass_at_1", "programs", ("HumanEval",),
                   ("openai/openai_humaneval", None)),
        _benchmark("mbpp", ("MBPP",), "pass_at_1", "programs", ("mbpp", "sanitized-mbpp"),
                   ("google-research-datasets/mbpp", "full")),
        _benchmark("mt_bench", ("MT-Bench", "mt_bench_prompts"), "mt_bench_first_turn", "judge", ("question",),
                   ("HuggingFaceH4/mt_bench_prompts", None), "train"),
        _testbed("acceptability", "nlu", "glue", metrics=("matthews_correlation",), text=("sentence",),
                 labels=("unacceptable", "acceptable")),
        _testbed("sentiment", "nlu", "glue", metrics=ACCURACY, text=("sentence",), labels=("negative", "positive")),
        _testbed("entailment", "nlu", "glue", metrics=ACCURACY, text=PAIR,
                 labels=("entailment", "neutral", "contradiction")),
        _testbed("paraphrase", "nlu", "glue", metrics=("accuracy", "f1"), text=PAIR,
                 labels=("not_equivalent", "equivalent")),
        _testbed("similarity", "nlu", "glue", metrics=("pearson", "spearman"), text=PAIR),
        _testbed("arithmetic", "nlg", "gsm8k", metrics=("exact_match", "answer_loss"), grader="final_answer"),
        _testbed("code", "nlg", "alpaca", metrics=("pass_at_1", "answer_loss"), grader="expressions"),
        _testbed("facts", "nlg", "alpaca", metrics=("exact_match", "answer_loss"), grader="text"),
    )
}  # fmt: skip


def find_task(name: str, own: Sequence[Task] = ()) -> Task:
    """Return the task called ``name``, one of the catalogue or of a user's ``own``.

    Raises:
        ConfigError: there is none (with the nearest name).
    """
    known = TASKS | {task.name: task for task in own}
    if name not in known:
        raise ConfigError(unknown_name("task", name, known))
    return known[name]
