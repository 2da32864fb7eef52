"""Someone who looks on while a study is carried out; torch-free."""

from collections.abc import Sequence
from typing import Protocol

from balora.progress import Progress
from balora.study.engine.pretraining import PlannedModel
from balora.study.plan.plan import PlannedRun
from balora.training.record import RunRecord

Work = PlannedRun | PlannedModel


class Watcher(Protocol):
    """Someone who looks on."""

    def noted(self, line: str) -> None:
        """Something that a person should know, such as a record that was set aside."""

    def pretraining(self, models: Sequence[PlannedModel], workers: int) -> None:
        """Before the runs, ``models`` have to be pre-trained."""

    def began(self, todo: Sequence[PlannedRun], skipped: int, left: int, workers: int) -> None:
        """Work begins on the runs ``todo``."""

    def started(self, work: Work) -> None:
        """A worker took it."""

    def told(self, work: Work, progress: Progress) -> None:
        """A sign of life."""

    def pretrained(self, model: PlannedModel) -> None:
        """The model is there."""

    def ended(self, run: PlannedRun, record: RunRecord) -> None:
        """A run left its record."""

    def idle(self) -> None:
        """Nothing was told for a second."""
