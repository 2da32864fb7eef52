"""Put every run of a pool on object storage when it has ended; torch-free."""

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from balora.study.engine.protocol import Event, Job, Pool
from balora.study.store.object_storage import Storage
from balora.study.store.run_folders import RECORD


class StoredPool(NamedTuple):
    """A pool whose runs go from the mirror to the storage or, where a node has uploaded one, the other way."""

    pool: Pool
    storage: Storage

    @property
    def workers(self) -> int:
        return self.pool.workers

    def carry_out(self, stages: Sequence[Sequence[Job]], output: Path, lock: int) -> Generator[Event]:
        """See :meth:`balora.study.engine.protocol.Pool.carry_out`; a run counts as done once it is stored."""
        self.storage.push()  # the plan, and runs that another study had finished
        with closing(self.pool.carry_out(stages, output, lock)) as events:
            for event in events:
                if event.kind == "done" and event.job is not None and event.record is not None:
                    self._store(event.job.folder)
                yield event

    def _store(self, folder: Path) -> None:
        name = folder.relative_to(self.storage.mirror).as_posix()
        with self.storage.reached():
            if (folder / RECORD).is_file():
                self.storage.push_run(folder, name)
            else:
                self.storage.pull_run(name)
