"""Write and read `run.json`, the record of one run; it is written last, so that a folder holds a whole run or nothing.

Its last line is the SHA-256 of all text above that line, so that an edited or damaged record is recognised without
serialising it again; `files` does the same for the files beside it.
"""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from balora.errors import InputError
from balora.folders import write_atomic
from balora.settings import Settings, SettingsError
from balora.training.spec import RunSpec

if TYPE_CHECKING:
    import numpy as np

FORMAT = 2
BESIDE = ("series.jsonl", "items.jsonl")
"""The files beside a record whose digests it holds."""
AGAIN = "delete the folder to run it again"
SEAL = ',\n "digest": "{}"\n}}\n'
"""How a record ends."""


class Cost(Settings):
    """What the run took."""

    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    setup_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    """Peak resident memory of the process in MiB (peak allocated memory of the device on a GPU)."""
    steps: int = 0
    trained_parameters: int = 0


class TermSummary(Settings):
    """One term over the run: means over the recorded steps."""

    weight: float
    """λ as configured (after matching)."""
    first: float | None = None
    last: float | None = None
    mean: float | None = None
    gradient_share: float | None = None
    """λ·‖∇term‖ / Σ over all terms, at the last hidden state, mean over the recorded steps."""


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
    rows: int | None = None
    """How many evaluation rows were scored."""
    correct: str | None = None
    """Which of them were right, in the file's order (:func:`correct_rows` reads it); none where the score is not 100
    times the share of right rows (F1, Matthews and other correlations)."""
    behaviour: dict[str, float] = {}
    """How the model answers: calibration error, entropy, effective rank (:mod:`balora.tasks.behaviour`)."""
    inheritance: dict[str, float] = {}
    """Which planted flaws a testbed's model still shows (:mod:`balora.tasks.testbed.flaw_measures`), and what it forgot
    (:mod:`balora.training.forgetting`); empty for any other model."""
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
    """SHA-256 of `series.jsonl` and `items.jsonl`, where they are; filled in by :func:`write_record`."""
    digest: str = ""
    """SHA-256 of the text of `run.json` above this line; filled in by :func:`write_record`."""


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
    beside = {name: _sha256((folder / name).read_bytes()) for name in BESIDE if (folder / name).is_file()}
    record = record.model_copy(update={"files": beside})
    body = record.model_dump_json(indent=1, exclude={"digest"}).removesuffix("\n}")
    digest = _sha256(body.encode())
    write_atomic(folder / "run.json", body + SEAL.format(digest), durable=True)
    return record.model_copy(update={"digest": digest})


def read_record(folder: Path) -> RunRecord | None:
    """Return the record in ``folder``, or None where there is none.

    Raises:
        InputError: the file is torn, edited, damaged, or of another format version.
    """
    path = folder / "run.json"
    if not path.exists():
        return None
    text = path.read_bytes()
    try:
        content: Any = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a whole run record ({error}): {AGAIN}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: not a run record of format {FORMAT}: {AGAIN}")
    body, _, _ = text.rpartition(SEAL.partition("{}")[0].encode())
    if text != body + SEAL.format(_sha256(body)).encode():
        raise InputError(f"{path}: was edited or damaged: its content does not match its digest: {AGAIN}")
    try:
        return RunRecord(**content)
    except SettingsError as error:
        raise InputError(f"{path}: {error}: {AGAIN}") from None


def read_beside(record: RunRecord, folder: Path, name: str) -> str:
    """Return the text of ``name`` (one of `BESIDE`) in the folder that ``record`` was read from.

    Raises:
        InputError: it is not there, or it is not what the run wrote.
    """
    path = folder / name
    if name not in record.files or not path.is_file():
        raise InputError(f"{path}: not there: {AGAIN}")
    content = path.read_bytes()
    if _sha256(content) != record.files[name]:
        raise InputError(f"{path}: was edited or damaged: its content does not match its digest in run.json: {AGAIN}")
    return content.decode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
