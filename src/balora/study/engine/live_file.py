"""What a running study tells those who look on from elsewhere: one small file, rewritten every second; torch-free.

It is for the eye alone. Nothing is decided by it, and a killed run leaves an old one behind, which :mod:`lock` tells.
"""

import contextlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from balora.progress import Progress
from balora.settings import Settings, SettingsError
from balora.study.engine.pretraining import PlannedModel
from balora.study.engine.watcher import Watcher, Work
from balora.study.plan.plan import PlannedRun
from balora.study.store.study_folder import write_text
from balora.training.record import RunRecord

NAME = ".live.json"
EVERY = 1.0
"""Seconds between two writings."""
LATEST = 5


class UnderWay(Settings):
    """One run (or one model's pre-training) that a worker has."""

    id: str
    label: str
    phase: str = "starting"
    step: int = 0
    steps: int = 0
    loss: float | None = None
    seconds: float = 0.0
    """Since it was begun."""


class Live(Settings):
    """What is going on."""

    workers: int = 0
    models: int = 0
    """Models still to be pre-trained before the runs begin."""
    under_way: tuple[UnderWay, ...] = ()
    latest: tuple[str, ...] = ()
    """Ids of the runs that ended last, the last one first."""


def read_live(output: Path) -> Live:
    """Return what the last run in ``output`` told; nothing where it told nothing that can be read."""
    try:
        content: Any = json.loads((output / NAME).read_text(encoding="utf-8"))
        return Live(**content) if isinstance(content, dict) else Live()
    except (OSError, ValueError, SettingsError):
        return Live()


class Beacon:
    """A watcher that tells those elsewhere, and passes everything on."""

    def __init__(self, watcher: Watcher, output: Path) -> None:
        self._watcher, self._path = watcher, output / NAME
        self._live = Live()
        self._under_way: dict[str, tuple[UnderWay, float]] = {}
        self._written = -EVERY

    def noted(self, line: str) -> None:
        self._watcher.noted(line)

    def pretraining(self, models: Sequence[PlannedModel], workers: int) -> None:
        self._live = self._live.replace(workers=workers, models=len(models))
        self._tell()
        self._watcher.pretraining(models, workers)

    def began(self, todo: Sequence[PlannedRun], skipped: int, left: int, workers: int) -> None:
        self._live = self._live.replace(workers=workers, models=0)
        self._tell()
        self._watcher.began(todo, skipped, left, workers)

    def started(self, work: Work) -> None:
        self._under_way[work.id] = UnderWay(id=work.id, label=work.label), time.monotonic()
        self._tell()
        self._watcher.started(work)

    def told(self, work: Work, progress: Progress) -> None:
        one, since = self._under_way[work.id]
        self._under_way[work.id] = one.replace(**progress._asdict()), since
        self._tell()
        self._watcher.told(work, progress)

    def pretrained(self, model: PlannedModel) -> None:
        self._under_way.pop(model.id, None)
        self._live = self._live.replace(models=self._live.models - 1)
        self._tell()
        self._watcher.pretrained(model)

    def ended(self, run: PlannedRun, record: RunRecord) -> None:
        self._under_way.pop(run.id, None)
        self._live = self._live.replace(latest=(run.id, *self._live.latest)[:LATEST])
        self._tell()
        self._watcher.ended(run, record)

    def idle(self) -> None:
        self._tell()
        self._watcher.idle()

    def close(self) -> None:
        """Tell that nothing is under way any more."""
        self._under_way.clear()
        self._written = -EVERY
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._written < EVERY:
            return
        self._written = now
        under_way = tuple(one.replace(seconds=round(now - since, 1)) for one, since in self._under_way.values())
        with contextlib.suppress(OSError):  # a full disk is for the runs to find
            write_text(self._path, self._live.replace(under_way=under_way).model_dump_json() + "\n")
