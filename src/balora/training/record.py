"""Write and read `run.json`, the record of one run; it is written last, so that a folder holds a whole run or nothing.

Its last line is its seal (:mod:`balora.training.seal`), and `files` holds the digests of everything else that the run
wrote. Its id is the hash of the settings and fingerprints in it, so a record cannot stand for another run.
"""

import errno
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from balora.errors import InputError, shown
from balora.folders import write_atomic
from balora.regular_files import RECORD_BYTES, read_regular
from balora.settings import Settings, SettingsError
from balora.training.identity import FORMAT, recorded_id
from balora.training.seal import file_digest, files_below, is_whole, parse_json, sealed, sha256
from balora.training.spec import RunSpec

if TYPE_CHECKING:
    import numpy as np

BESIDE = ("series.jsonl", "items.jsonl", "measures.jsonl")
"""The files beside a record whose digests it holds."""
RESULTS = ("adapter", "model")
"""The folders beside a record of whose files it holds the digests."""
AGAIN = "delete the folder to run it again"
Count = Annotated[int, Field(ge=0, lt=2**63)]
Amount = Annotated[float, Field(ge=0)]


class Cost(Settings):
    """What the run took."""

    train_seconds: Amount = 0.0
    eval_seconds: Amount = 0.0
    setup_seconds: Amount = 0.0
    peak_memory_mb: Amount = 0.0
    """Peak resident memory of the process in MiB (peak allocated memory of the device on a GPU)."""
    steps: Count = 0
    trained_parameters: Count = 0
    resumed: Count = 0
    """How often the training of these weights went on from a checkpoint."""


class TermSummary(Settings):
    """One term over the run: means over the recorded steps."""

    weight: float
    """λ as configured (after matching)."""
    first: float | None = None
    last: float | None = None
    mean: float | None = None
    gradient_share: float | None = None
    """λ·‖∇term‖ / Σ over all terms, at the last hidden state, mean over the recorded steps."""


class TaskScore(Settings):
    """How a model did on one task; the fields are explained at :class:`RunRecord`."""

    score: float | None = None
    metrics: dict[str, float] = {}
    rows: Count | None = None
    correct: str | None = None
    behaviour: dict[str, float] = {}


class StepScores(Settings):
    """How a model scored after so many optimizer steps."""

    step: Count
    scores: dict[str, float]
    """By task, in points of 100."""


class RunError(Settings):
    """Why a run failed."""

    kind: str
    message: str


class RunRecord(Settings):
    """One self-standing record: enough to rebuild every number of a report without the run."""

    format: int = FORMAT
    id: str
    spec: RunSpec
    status: Literal["ok", "failed", "cancelled"]
    score: float | None = None
    """The task's score in NLU Avg or NLG Avg, in points of 100."""
    metrics: dict[str, float] = {}
    """Every metric of the task, in its own unit."""
    rows: Count | None = None
    """How many evaluation rows were scored."""
    correct: str | None = None
    """Which of them were right, in the file's order (:func:`correct_rows` reads it); none where the score is not 100
    times the share of right rows (F1, Matthews and other correlations)."""
    behaviour: dict[str, float] = {}
    """How the model answers: calibration error, entropy, effective rank (:mod:`balora.tasks.behaviour`)."""
    others: dict[str, TaskScore] = {}
    """The scores on all further tasks, where the model is scored on several (`spec.score`); the five fields above are
    those of the first."""
    step_scores: list[StepScores] = []
    """The scores while the model trained (`training.evaluate_every`)."""
    kept_step: Count | None = None
    """The step whose weights were kept, where that is not the last one."""
    learning_rate: float | None = None
    """The learning rate that was used, where it is not the specification's (`training.step_matching`)."""
    inheritance: dict[str, float] = {}
    """Which planted flaws a testbed's model still shows (:mod:`balora.tasks.testbed.flaw_measures`), and what it forgot
    (:mod:`balora.training.forgetting`); empty for any other model."""
    measures: dict[str, float] = {}
    """What was measured beside the scores (:mod:`balora.measures`): `blimp_before`, `blimp`, `blimp_change`, …."""
    terms: dict[str, TermSummary] = {}
    inactive: dict[str, str] = {}
    """Terms that cannot act, with the reason."""
    notes: list[str] = []
    cost: Cost = Cost()
    versions: dict[str, str] = {}
    processes: int = 1
    """How many processes trained the model together; enters the run's id."""
    threads: int | None = None
    """Torch's threads in one operation, on which some bits depend; none where the run did not start."""
    interop_threads: int | None = None
    """How many operations torch could run at the same time."""
    fingerprints: dict[str, str] = {}
    """SHA-256 of the model, the data and the code that was run."""
    started: str = ""
    error: RunError | None = None
    files: dict[str, str] = {}
    """SHA-256 of everything else that the run wrote, by path in its folder; filled in by :func:`write_record`."""
    digest: str = ""
    """SHA-256 of the text of `run.json` above this line; filled in by :func:`write_record`."""

    @model_validator(mode="after")
    def _right_rows_are_of_the_rows(self) -> Self:
        for rows, correct in ((self.rows, self.correct), *((one.rows, one.correct) for one in self.others.values())):
            if correct is not None:
                wanted = -(-(rows or 0) // 8)
                if len(correct) > 2 * wanted + 4 or len(b64decode(correct, validate=True)) != wanted:
                    raise ValueError(f"correct: does not hold one bit for each of {shown(rows)} rows")
        return self

    @model_validator(mode="after")
    def _scores_are_of_the_scored_tasks(self) -> Self:
        if self.others and tuple(self.others) != self.spec.scored[1:]:
            raise ValueError(f"others: holds {', '.join(self.others)}, not the scored tasks after the first")
        return self

    @property
    def scores(self) -> dict[str, float]:
        """The score on every scored task that has one, by task."""
        found = {self.spec.scored[0]: self.score, **{name: one.score for name, one in self.others.items()}}
        return {name: score for name, score in found.items() if score is not None}

    def of_task(self, name: str) -> "RunRecord":
        """Return the record with the scores on the task called ``name`` alone."""
        found = self.others.get(name)
        spec = self.spec.model_copy(update={"score": () if name == self.spec.task else (name,)})
        scores = {} if found is None else dict(found)
        return self.model_copy(update={"spec": spec, "others": {}, **scores}) if self.others else self


def scores_in_words(scores: Mapping[str, float]) -> str:
    """Return the scores in points of 100, each with the name of its task where there are several."""
    if len(scores) == 1:
        return "".join(f"{score:.2f}" for score in scores.values())
    return ", ".join(f"{score:.2f} on {name}" for name, score in scores.items())


def packed_rows(right: Sequence[bool]) -> str:
    """Return base64 of one bit a row (numpy's `packbits`, the first row in the highest bit), for `correct`."""
    import numpy as np

    return b64encode(np.packbits(np.asarray(right, dtype=bool)).tobytes()).decode()


def correct_rows(record: RunRecord) -> "np.ndarray[Any, np.dtype[np.bool_]] | None":
    """Return which evaluation rows were right, in the file's order; None where the score is no share of right rows."""
    import numpy as np

    if record.correct is None:
        return None
    bits = np.frombuffer(b64decode(record.correct), dtype=np.uint8)
    return np.unpackbits(bits, count=record.rows).astype(bool)


def write_record(record: RunRecord, folder: Path) -> RunRecord:
    """Write ``folder/run.json`` in one atomic step; return the record as it lies there, with its digests."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = [folder / name for name in BESIDE if (folder / name).is_file()]
    paths = [*beside, *_results(folder)]
    files = {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}
    record = record.model_copy(update={"files": files})
    text, digest = sealed(record)
    write_atomic(folder / "run.json", text, durable=True)
    return record.model_copy(update={"digest": digest})


def _results(folder: Path) -> Iterator[Path]:
    for name in RESULTS:
        result = folder / name
        yield from [result] if result.is_symlink() or result.is_file() else files_below(result)


def read_record(folder: Path) -> RunRecord | None:
    """Return the record in ``folder``, or None where there is none.

    Raises:
        InputError: the file is torn, edited, damaged, no regular file, of another format version, or its id is not that
            of its content.
    """
    path = folder / "run.json"
    try:
        text = read_regular(path, RECORD_BYTES, links=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}): {AGAIN}") from None
    try:
        content = parse_json(text)
    except ValueError as error:
        raise InputError(f"{path}: not a whole run record ({error}): {AGAIN}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: not a run record of format {FORMAT}: {AGAIN}")
    if not is_whole(text):
        raise InputError(f"{path}: was edited or damaged: its content does not match its digest: {AGAIN}")
    try:
        record = RunRecord(**content)
    except SettingsError as error:
        raise InputError(f"{path}: {error}: {AGAIN}") from None
    if record.id != recorded_id(content):
        raise InputError(f"{path}: its id {shown(record.id)} is not that of its settings and fingerprints: {AGAIN}")
    return record


def read_beside(record: RunRecord, folder: Path, name: str) -> str:
    """Return the text of ``name`` (one of `BESIDE`) in the folder that ``record`` was read from.

    Raises:
        InputError: it is not there, or it is not what the run wrote.
    """
    path = folder / name
    if name not in record.files:
        raise InputError(f"{path}: not there: {AGAIN}")
    content = _read(path)
    if sha256(content) != record.files[name]:
        raise InputError(_edited(path))
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text: {AGAIN}") from None


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, RECORD_BYTES, links=False)
    except OSError as error:
        raise _unreadable(path, error) from None


def check_files(record: RunRecord, folder: Path) -> None:
    """Check every file that the run of ``record`` wrote in ``folder`` against the record; reads them all.

    Raises:
        InputError: one is missing, a link, or not what the run wrote.
    """
    for name, digest in record.files.items():
        path, parts = folder / name, name.split("/")
        if name not in BESIDE and (parts[0] not in RESULTS or ".." in parts):
            raise InputError(f"{folder / 'run.json'}: names {shown(name)}, which no run writes: {AGAIN}")
        try:
            links = [above for above in path.parents[: len(parts) - 1] if above.is_symlink()]
            if links:
                raise OSError(errno.ELOOP, f"{links[0]} is a symbolic link")
            found = file_digest(path)
        except OSError as error:
            raise _unreadable(path, error) from None
        if found != digest:
            raise InputError(_edited(path))


def _unreadable(path: Path, error: OSError) -> InputError:
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    return InputError(f"{path}: {'not there' if missing else f'cannot be read ({error.strerror or error})'}: {AGAIN}")


def _edited(path: Path) -> str:
    return f"{path}: was edited or damaged: its content does not match its digest in run.json: {AGAIN}"
