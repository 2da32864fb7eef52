"""Carry out one run in an output folder: skip it if it is done already, and write all of it or nothing."""

import errno
import os
from pathlib import Path

from balora.errors import OutputError, TrainingError
from balora.folders import claim_output, delete, staged
from balora.progress import OnProgress
from balora.training.identity import run_id
from balora.training.record import RunRecord, check_files, read_record
from balora.training.spec import RunSpec
from balora.training.strategy_limits import refuse_unshared

RECORD = "run.json"
RUN_FILES = {
    RECORD: "record",
    "series.jsonl": "terms over the steps",
    "items.jsonl": "every scored row",
    "measures.jsonl": "every row of the measures beside the score",
    "adapter": "adapter (plain LoRA)",
    "model": "trained model",
}
"""What a run leaves in its folder."""


def run_in_folder(spec: RunSpec, output: Path, *, on_progress: OnProgress | None = None) -> tuple[RunRecord, bool]:
    """Carry out ``spec`` with its results in ``output``; return the record, and whether it was there already.

    An identical finished run is not repeated, an identical failed one is run again. Under `torchrun` all processes
    carry it out together, and the first one writes.

    Raises:
        InputError: something given cannot be used, or the finished run there was damaged; nothing was written.
        OutputError: ``output`` holds something else or another run, or cannot be written.
        TrainingError: the run failed; its record gives the reason.
    """
    from balora.training.team import joined

    refuse_unshared(spec)
    with joined(spec.launch) as team:
        earlier, done = team.first(lambda: _earlier(spec, output, team.size))
        if done:
            assert earlier is not None
            return earlier, True
        record = _carry_out(spec, output, earlier is not None, on_progress, team.is_first)
    if record.error is not None:
        raise TrainingError(f"run failed: {record.error.kind}: {record.error.message} (record: {output / RECORD})")
    return record, False


def finished_run(spec: RunSpec, output: Path, processes: int) -> RunRecord | None:
    """Return the record of ``spec`` in ``output`` if it is done; raises what :func:`run_in_folder` does for it."""
    earlier, done = _earlier(spec, output, processes)
    return earlier if done else None


def _earlier(spec: RunSpec, output: Path, processes: int) -> tuple[RunRecord | None, bool]:
    """Return the record of an earlier run of the same identity in ``output``, if any, and whether it is done."""
    folder = claim_output(output, kind="run", own=RUN_FILES if (output / RECORD).is_file() else ())
    earlier = read_record(folder)
    if earlier is None:
        return None, False
    from balora.training.fingerprint import fingerprints

    if earlier.id != run_id(spec, fingerprints(spec), processes):
        raise OutputError(
            f"output folder {folder}: holds another run ({earlier.spec.method} on {earlier.spec.task}, id "
            f"{earlier.id}; settings, model, data, number of processes or balora's code differ): choose a new or "
            "empty one"
        )
    if earlier.status == "ok":
        check_files(earlier, folder)
    return earlier, earlier.status == "ok"


def _carry_out(spec: RunSpec, folder: Path, again: bool, on_progress: OnProgress | None, is_first: bool) -> RunRecord:
    from balora.training.run import run

    if not is_first:  # it writes nothing
        return run(spec, folder)
    with staged(folder) as work:
        record = run(spec, work, on_progress=on_progress)
        if record.error is not None and os.strerror(errno.ENOSPC) in record.error.message:
            raise OutputError(f"output folder {folder}: {record.error.message}: free some disk space or choose another")
        if again:
            _clear(folder)
    return record


def _clear(folder: Path) -> None:
    """Remove an earlier failed run of the same identity, its record first."""
    (folder / RECORD).unlink()
    for name in RUN_FILES:
        delete(folder / name)
