"""Carry out many fine-tunings on the testbed with warm workers, each once, and save them below `build/calibration`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import Progress, TaskID

from balora.errors import TrainingError
from balora.study.engine.pool import local_pool
from balora.study.engine.pretraining import missing_models
from balora.study.engine.pretraining import pretrain as pretrain_model
from balora.study.engine.protocol import Event, Job
from balora.study.engine.worker import train
from balora.study.plan.single_run import single_run
from balora.training.fingerprint import fingerprints
from balora.training.identity import run_id
from balora.training.record import RunRecord, read_record
from balora.training.spec import RunSpec

WORK = Path("build/calibration")
SEEDS = tuple(range(9001, 9017))
"""Fine-tuning seeds of calibrations. No study uses them, so that nothing is tuned on the data that judges it."""


class Planned(NamedTuple):
    """One run, with the two fields that the search for missing models reads."""

    task: str
    spec: RunSpec


def planned(task: str, method: str, settings: Mapping[str, Any], *, seed: int, pretraining: int) -> Planned:
    """Return a run with the profile `standard`'s settings for its task, overridden by ``settings``."""
    own = {"training.seed": seed, "testbed.seed": pretraining, "training.telemetry_every": 0}
    return Planned(task, single_run("standard", task, method, {**own, **settings}))


def records_of(runs: Sequence[Planned]) -> list[RunRecord]:
    """Return the records of ``runs`` in their order; runs that an earlier call finished are not repeated.

    Raises:
        TrainingError: a run failed; the records of the others stay.
    """
    folders = [WORK / "runs" / run_id(run.spec, fingerprints(run.spec)) for run in runs]
    unfinished = {str(folder): run for folder, run in zip(folders, runs, strict=True) if read_record(folder) is None}
    models = missing_models(unfinished.values())  # type: ignore[arg-type]  # reads task and spec alone
    jobs = [Job(folder, run.spec, Path(folder), train) for folder, run in unfinished.items()]
    stages = [[Job(model.id, model.spec, WORK, pretrain_model) for model in models], jobs]
    WORK.mkdir(parents=True, exist_ok=True)
    with Progress(console=Console(stderr=True)) as bar:
        line = bar.add_task("runs", total=len(jobs) + len(models))
        for event in local_pool(on_testbed=True).carry_out(stages, WORK):
            _follow(event, bar, line)
    records = [read_record(folder) for folder in folders]
    failed = [record.error.message for record in records if record and record.error]
    if failed or None in records:
        raise TrainingError(f"{len(failed)} of {len(runs)} calibration runs failed, the first with: {failed[:1]}")
    return [record for record in records if record is not None]


def _follow(event: Event, bar: Progress, line: TaskID) -> None:
    if event.job is None or event.kind in ("started", "progress"):
        return
    if event.error:
        bar.console.print(f"{event.job.id}: {event.error.message}")
    bar.advance(line)
