"""Define the record of an evaluation with lm-evaluation-harness (`scores.json`); torch-free."""

from balora.settings import Settings

RECORD = "scores.json"
ITEMS = "items.jsonl"
OWN_FILES = "lm-eval"
"""The folder of the files that the harness itself writes, in its own format."""
FORMAT = 1


class TaskScores(Settings):
    """The numbers of one task, under the names that the harness gives them (`metric,filter`)."""

    metric: str | None
    """The metric whose mean the items' `correct` or `score` is: the first one of the task that is a mean over items."""
    metrics: dict[str, float | None]
    """Every metric in its own unit; none where it is not finite."""
    stderr: dict[str, float | None]
    """The harness' standard error of each metric; none where it computes none."""
    higher_is_better: dict[str, bool | None]
    """By name of the metric, without its filter."""
    version: str | None
    """The task's version, as its definition states it."""
    num_fewshot: int
    """Examples in front of each question."""
    rows: int
    """How many rows were scored."""
    rows_in_all: int
    """How many rows the task has."""
    fingerprint: str
    """The harness' hash of all rows, prompts and targets (`task_hashes` in its results)."""
    notes: list[str] = []
    """What a reader of the numbers must know."""


class HarnessScores(Settings):
    """One evaluation: enough to know what was scored, how, and with which versions."""

    format: int = FORMAT
    harness: str = "lm-eval"
    model: str
    """Hub id or folder of the model (with an adapter: of its base)."""
    adapter: str | None = None
    """Folder of the adapter."""
    fingerprints: dict[str, str]
    """SHA-256 of the files of the model and of the adapter."""
    tasks: dict[str, TaskScores]
    groups: dict[str, dict[str, float | None]] = {}
    """What the harness averages over the tasks of each group."""
    notes: list[str] = []
    """What the harness warned of, each kind once."""
    limit: int | None = None
    num_fewshot: int | None = None
    """As requested; what each task used is in `tasks`."""
    batch_size: int
    device: str
    dtype: str
    """Number format of the model's weights."""
    decoding: str = "greedy"
    seeds: dict[str, int]
    versions: dict[str, str]
