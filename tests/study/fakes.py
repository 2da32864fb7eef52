"""Stand-ins for a run, importable by the fresh worker processes: no model, but true records."""

import hashlib
import os
import signal
import time
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path

from balora.errors import ConfigError
from balora.progress import OnProgress, Progress
from balora.study.plan.plan import Fingerprints
from balora.training.identity import run_id
from balora.training.record import Cost, RunError, RunRecord, TermSummary, write_record
from balora.training.spec import RunSpec


def fingerprints(spec: RunSpec) -> dict[str, str]:
    return {"model": f"model of {spec.model}", "data": f"rows of {spec.task}", "code": "c0de"}


def record_of(spec: RunSpec, prints: Fingerprints = fingerprints, **changes: object) -> RunRecord:
    """A finished run whose score is a pure function of its settings."""
    digest = hashlib.sha256(spec.model_dump_json().encode()).digest()
    nlg = spec.objective.family == "nlg"
    weights = {term: getattr(spec.objective, term).weight for term in ("consistency", "diversity", "spectral")}
    terms = {
        term: TermSummary(weight=weight, first=1.0, last=0.5, mean=0.75, gradient_share=0.01)
        for term, weight in weights.items()
        if weight
    }
    content = {
        "id": run_id(spec, prints(spec)),
        "spec": spec,
        "status": "ok",
        "score": 40 + digest[0] / 25.6,
        "metrics": {"answer_loss": 3 + digest[1] / 256, "exact_match": 0.4} if nlg else {"accuracy": 0.5},
        "terms": terms,
        "inactive": {"spectral": "k = 5 ≥ min(N, D) = 2"} if terms and not nlg else {},
        "cost": Cost(train_seconds=1.0, eval_seconds=0.5, setup_seconds=0.25, peak_memory_mb=100.0, steps=2),
        "fingerprints": prints(spec),
    }
    return RunRecord(**{**content, **changes})


def quick(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    on_progress(Progress("train", 1, 2, 0.5))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "series.jsonl").write_text("{}\n", encoding="utf-8")
    return write_record(record_of(spec), folder)


def unlucky(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Fails in every way a run can, chosen by task; the rest goes well."""
    if spec.task == "cola" and spec.training.seed == 42:
        (folder / "half").mkdir(parents=True)
        os.kill(os.getpid(), signal.SIGKILL)
    return failing(spec, folder, on_progress)


def failing(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Fails in both ways that leave the worker alive, chosen by task; the rest goes well."""
    if spec.task == "rte":
        raise RuntimeError("a bug\nwith details")
    if spec.task == "stsb":
        record = record_of(
            spec, status="failed", score=None, error=RunError(kind="TrainingError", message="loss is NaN at step 3")
        )
        return write_record(record, folder)
    return quick(spec, folder, on_progress)


def picky(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    if spec.adapter is not None and spec.adapter.init == "standard":
        raise ConfigError("adapter.rank must be between 1 and 64, got 128")
    return quick(spec, folder, on_progress)


def full_disk(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    raise OSError(28, "No space left on device", str(folder / "run.json"))


def slow(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    folder.mkdir(parents=True)
    on_progress(Progress("train", 1, 2, 0.5))
    if spec.training.seed != 42:
        time.sleep(600)
    return quick(spec, folder, on_progress)


def steered(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Does what a test has ordered through `killing.Command` at the run's moments: holds still, or kills.

    Leaves what a run leaves, and a line with its id in two files, one at its beginning and one at its end.
    """
    from balora.training.fingerprint import fingerprints as real

    steering = Steering(Path(os.environ["BALORA_STEERING"]))
    record = record_of(spec, real)
    steering.note_begun(record.id)
    folder.mkdir(parents=True)
    on_progress(Progress("train", 1, 5, 0.5))
    steering.reach("begun")
    (folder / "series.jsonl").write_text(f"{record.id}\n" * 1000, encoding="utf-8")
    steering.reach("half-written")
    (folder / "items.jsonl").write_text(f"{record.id}\n" * 1000, encoding="utf-8")
    record = write_record(record, folder)
    steering.reach("recorded")
    with steering.marks.open("ab", buffering=0) as marks:
        marks.write(f"{record.id}\n".encode())
    return record


class Steering:
    """A folder through which a test steers the runs of a study in other processes.

    `orders/` holds kills that are still to happen, by file name (`07-worker-begun`): the run that reaches the moment of
    the first order removes the file and kills its worker, or the parent. `hold` holds a number: runs begin only while
    fewer than so many are finished. `begun` and `marks` hold the ids of the runs that have begun and finished.
    """

    def __init__(self, folder: Path) -> None:
        self.orders, self.hold, self.marks, self.begun = (
            folder / name for name in ("orders", "hold", "marks", "begun")
        )

    def reach(self, moment: str) -> None:
        """Do what is ordered for this moment of a run."""
        while moment == "begun" and self.hold.exists() and self.finished() >= int(self.hold.read_text()):
            time.sleep(0.02)
        parent, order = parent_process(), min(self.orders.iterdir(), default=None)
        if parent is None or order is None or not order.name.endswith(moment) or parent.pid != os.getppid():
            return
        with suppress(FileNotFoundError):  # the other worker was first
            order.unlink()
            os.kill(os.getpid() if "worker" in order.name else parent.pid, signal.SIGKILL)
            time.sleep(600)  # this process ends with its parent

    def note_begun(self, id: str) -> None:
        with self.begun.open("ab", buffering=0) as begun:
            begun.write(f"{id}\n".encode())

    def finished(self) -> int:
        """Return how many runs have left their mark."""
        return len(self.marks.read_bytes().splitlines()) if self.marks.exists() else 0


def dies_after_its_work(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Leaves a finished run, and no word of it."""
    quick(spec, folder, on_progress)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def wrapped_full_disk(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Finds a full disk from the second seed on, in the words of a library that wraps the system's error."""
    if spec.training.seed == 42:
        return quick(spec, folder, on_progress)
    reason = RunError(kind="SafetensorError", message="I/O error: No space left on device (os error 28)")
    return write_record(record_of(spec, status="failed", score=None, error=reason), folder)


def with_a_wild_clock(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Every run begins centuries away from the others, and its files look so."""
    jump = int(record_of(spec).id[:6], 16) * (1 if spec.task == "cola" else -1) * 100
    time.time = lambda: 1.8e9 + jump  # type: ignore[assignment]
    year = 2026 + jump // 31_557_600
    record = write_record(record_of(spec, started=f"{max(1, min(9999, year)):04}-01-01T00:00:00+00:00"), folder)
    os.utime(folder / "run.json", (1.8e9 + jump, 1.8e9 + jump))
    return record


def signing(spec: RunSpec, folder: Path, on_progress: OnProgress) -> None:
    """Leaves the number of the process that did it."""
    folder.mkdir()
    (folder / str(os.getpid())).touch()


def dies(spec: RunSpec, folder: Path, on_progress: OnProgress) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def with_effects(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Scores 60 with a little luck, 5 less from the standard start with regularizers, and 50 to 70 without both."""
    assert spec.adapter is not None
    digest = hashlib.sha256(spec.model_dump_json().encode()).digest()
    standard, regularized = spec.adapter.init == "standard", spec.objective.consistency.weight > 0
    score = 60 + digest[0] / 256
    if standard:
        score = score - 5 if regularized else 50 + digest[1] / 12.8
    folder.mkdir(parents=True, exist_ok=True)
    return write_record(record_of(spec, score=score), folder)


def without_regularized_standard_starts(spec: RunSpec, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Fails wherever an adapter has the standard start, and the objective regularizers."""
    if spec.adapter is not None and spec.adapter.init == "standard" and spec.objective.consistency.weight > 0:
        raise RuntimeError("no such start here")
    return with_effects(spec, folder, on_progress)
