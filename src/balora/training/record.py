"""What one run leaves behind: `run.json`, written last, so that a folder holds a finished run or nothing."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

from balora.errors import InputError
from balora.settings import Settings, SettingsError
from balora.training.spec import RunSpec

FORMAT = 1


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
    behaviour: dict[str, float] = {}
    """How the model answers: calibration error, entropy, effective rank (:mod:`balora.tasks.behaviour`)."""
    inheritance: dict[str, float] = {}
    """What a testbed's model kept of its planted flaws (:mod:`balora.tasks.testbed.inheritance`) and of what it knew
    (:mod:`balora.training.forgetting`); empty for any other model."""
    terms: dict[str, TermSummary] = {}
    inactive: dict[str, str] = {}
    """Terms that cannot act, with the reason."""
    notes: list[str] = []
    cost: Cost = Cost()
    versions: dict[str, str] = {}
    fingerprints: dict[str, str] = {}
    """SHA-256 of the model, the data and the code that was run."""
    started: str = ""
    error: RunError | None = None


def run_id(spec: RunSpec, fingerprints: dict[str, str]) -> str:
    """Return the identity of a run: a hash of its resolved settings and of the model and data it reads."""
    settings = spec.model_dump(mode="json", exclude={"model": True, "data": {"folder"}})
    payload = json.dumps([FORMAT, settings, fingerprints], sort_keys=True)
    return hashlib.sha256(payload.encode()).hexdigest()[:16]


def write_record(record: RunRecord, folder: Path) -> Path:
    """Write ``folder/run.json`` in one atomic step and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path, partial = folder / "run.json", folder / f".run.json.{os.getpid()}"
    with partial.open("w", encoding="utf-8") as file:
        file.write(record.model_dump_json(indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path


def read_record(folder: Path) -> RunRecord | None:
    """Return the record in ``folder``, or None where there is none.

    Raises:
        InputError: the file is torn, edited into another shape, or of another format version.
    """
    path = folder / "run.json"
    if not path.exists():
        return None
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a whole run record ({error}): delete the folder to run it again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: not a run record of format {FORMAT}: delete the folder to run it again")
    try:
        return RunRecord(**content)
    except SettingsError as error:
        raise InputError(f"{path}: {error}: delete the folder to run it again") from None
