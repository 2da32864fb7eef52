"""Define what the engine and an executor exchange: jobs go in, events come out; torch-free.

Another executor is one more file with a class that has the members of :class:`Pool`, and one line in
`balora.cli.study_run`, where it is chosen.
"""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from balora.progress import OnProgress, Progress
from balora.training.record import RunError, RunRecord
from balora.training.spec import RunSpec

RunFunction = Callable[[RunSpec, Path, OnProgress], RunRecord | None]
"""Carries out one run in a folder, or only prepares its model and returns None. Importable by name, because workers may
be fresh processes."""


class Job(NamedTuple):
    """One piece of work for a worker."""

    id: str
    spec: RunSpec
    folder: Path
    run: RunFunction
    largest_rank: int = 0
    """The largest adapter rank of the whole plan: factors of all ranks are computed once, for this one."""


class Event(NamedTuple):
    """What has happened to a job; every kind but `started`, `progress` and `idle` ends it."""

    kind: Literal["started", "progress", "done", "failed", "died", "refused", "unwritable", "idle"]
    """`failed`: the run function raised. `died`: its worker ended. `refused`: its input is wrong, as it will be for
    other runs. `unwritable`: the disk is full or read-only. `idle`: nothing has happened for a second (no job)."""
    job: Job | None = None
    progress: Progress | None = None
    record: RunRecord | None = None
    """With `done`; None if the job leaves no record."""
    error: RunError | None = None
    """With every kind of failure."""


class Pool(Protocol):
    """An executor of jobs."""

    @property
    def workers(self) -> int:
        """How many jobs are carried out at a time."""

    def carry_out(self, stages: Sequence[Sequence[Job]], output: Path, lock: int) -> Generator[Event]:
        """Carry out stage after stage, the jobs of each in order, and yield every event.

        No job starts before the last one of the stage before has ended. Closing the generator stops all work.

        Args:
            stages: the jobs.
            output: the study's folder, for a log.
            lock: open file that locks the folder; processes that outlive this one hold it until they have ended.
        """
