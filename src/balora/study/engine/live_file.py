"""Write a running study's progress to a small file once a second, for `study watch` in another process; torch-free.

The file is only shown; nothing depends on it. A killed run leaves an old one behind: only the lock shows whether a
study is running.
"""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from balora.folders import write_atomic
from balora.progress import Progress
from balora.regular_files import RECORD_BYTES, read_regular
from balora.settings import Settings, SettingsError
from balora.study.engine.pretraining import PlannedModel
from balora.study.engine.watcher import Watcher, Work
from balora.study.plan.plan import PlannedRun
from balora.training.record import RunRecord
from balora.training.seal import parse_json

NAME = ".live.json"
EVERY = 1.0
"""Seconds between two writings."""
LATEST = 5


class UnderWay(Settings):
    """A run (or a model's pre-training) that a worker is carrying out."""

    id: str
    label: str
    phase: str = "starting"
    step: int = 0
    steps: int = 0
    loss: float | None = None
    seconds: float = 0.0
    """Since it started."""


class Live(Settings):
    """What the workers are doing."""

    workers: int = 0
    models: int = 0
    """Models still to be pre-trained before the runs begin."""
    under_way: tuple[UnderWay, ...] = ()
    latest: tuple[str, ...] = ()
    """Ids of the runs that finished last, the newest first."""


def read_live(output: Path) -> Live:
    """Return what the last `study run` in ``output`` wrote; an empty state if there is nothing that can be read."""
    try:
        content = parse_json(read_regular(output / NAME, RECORD_BYTES, links=False))
        return Live(**content) if isinstance(content, dict) else Live()
    except (OSError, ValueError, SettingsError):
        return Live()


class LiveFile:
    """A watcher that writes the live file and passes every call on to another watcher."""

    def __init__(self, watcher: Watcher, output: Path) -> None:
        self._watcher, self._path = watcher, output / NAME
        self._live = Live()
        self._under_way: dict[str, tuple[UnderWay, float]] = {}
        self._written = -EVERY

    def message(self, line: str) -> None:
        self._watcher.message(line)

    def pretraining_started(self, models: Sequence[PlannedModel], workers: int) -> None:
        self._live = self._live.replace(workers=workers, models=len(models))
        self._write()
        self._watcher.pretraining_started(models, workers)

    def runs_started(self, todo: Sequence[PlannedRun], skipped: int, failed_before: int, workers: int) -> None:
        self._live = self._live.replace(workers=workers, models=0)
        self._write()
        self._watcher.runs_started(todo, skipped, failed_before, workers)

    def job_started(self, work: Work) -> None:
        self._under_way[work.id] = UnderWay(id=work.id, label=work.label), time.monotonic()
        self._write()
        self._watcher.job_started(work)

    def job_progress(self, work: Work, progress: Progress) -> None:
        one, since = self._under_way.get(work.id) or (UnderWay(id=work.id, label=work.label), time.monotonic())
        self._under_way[work.id] = one.replace(**progress._asdict()), since
        self._write()
        self._watcher.job_progress(work, progress)

    def model_finished(self, model: PlannedModel) -> None:
        self._under_way.pop(model.id, None)
        self._live = self._live.replace(models=self._live.models - 1)
        self._write()
        self._watcher.model_finished(model)

    def run_finished(self, run: PlannedRun, record: RunRecord) -> None:
        self._under_way.pop(run.id, None)
        self._live = self._live.replace(latest=(run.id, *self._live.latest)[:LATEST])
        self._write()
        self._watcher.run_finished(run, record)

    def idle(self) -> None:
        self._write()
        self._watcher.idle()

    def close(self) -> None:
        """Write that nothing is under way any more."""
        self._under_way.clear()
        self._written = -EVERY
        self._write()

    def _write(self) -> None:
        now = time.monotonic()
        if now - self._written < EVERY:
            return
        self._written = now
        under_way = tuple(one.replace(seconds=round(now - since, 1)) for one, since in self._under_way.values())
        with contextlib.suppress(OSError):  # a full disk is reported by the runs
            write_atomic(self._path, self._live.replace(under_way=under_way).model_dump_json() + "\n")
