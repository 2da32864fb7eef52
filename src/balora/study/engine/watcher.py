"""Define the callbacks of a running study, for displays and for the live file; torch-free."""

from collections.abc import Sequence
from typing import Protocol

from balora.progress import Progress
from balora.study.engine.pretraining import PlannedModel
from balora.study.plan.plan import PlannedRun
from balora.training.record import RunRecord

Work = PlannedRun | PlannedModel


class Watcher(Protocol):
    """An object whose methods the engine calls while it carries out a study."""

    def message(self, line: str) -> None:
        """Show a line that a person should read: a warning, or which record was set aside."""

    def pretraining_started(self, models: Sequence[PlannedModel], workers: int) -> None:
        """Before the runs, ``models`` have to be pre-trained."""

    def runs_started(self, todo: Sequence[PlannedRun], skipped: int, failed_before: int, workers: int) -> None:
        """The runs ``todo`` come next; so many were finished before, and so many failed before and are not repeated."""

    def job_started(self, work: Work) -> None:
        """A worker has begun a run, or a model's pre-training."""

    def job_progress(self, work: Work, progress: Progress) -> None:
        """A run or a model has got further."""

    def model_finished(self, model: PlannedModel) -> None:
        """The model is in the cache."""

    def run_finished(self, run: PlannedRun, record: RunRecord) -> None:
        """A run has left its record, whether it went well or failed."""

    def idle(self) -> None:
        """Nothing has happened for a second."""
