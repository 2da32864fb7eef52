"""Estimate how long a plan will take, from the records of similar runs; torch-free."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from balora.errors import InputError
from balora.study.plan.plan import Plan
from balora.training.record import RunRecord, read_record
from balora.training.spec import RunSpec

MOST_RECORDS = 500
"""At most so many records are read from each folder."""


def past_runs(folders: Sequence[Path]) -> list[RunRecord]:
    """Return finished runs of the studies in ``folders``; records that cannot be read are ignored.

    Raises:
        InputError: one of the folders holds no study.
    """
    records: list[RunRecord] = []
    for folder in folders:
        if not (folder / "runs").is_dir():
            raise InputError(f"--past {folder}: no study here (no runs folder): pass the --output folder of a study")
        records += _readable(sorted((folder / "runs").iterdir())[:MOST_RECORDS])
    return records


def _readable(folders: Iterable[Path]) -> Iterable[RunRecord]:
    for folder in folders:
        try:
            record = read_record(folder)
        except InputError:
            continue
        if record is not None and record.status == "ok" and record.cost.steps:
            yield record


class Costs:
    """Estimates a run's seconds: set-up and scoring of its task, plus seconds a step times steps.

    They are means over past runs of the same model and task, regularized or not like this one; if there are none, over
    those of the same task, else of the same family.
    """

    def __init__(self, past: Sequence[RunRecord]) -> None:
        groups: dict[tuple[object, ...], list[RunRecord]] = {}
        for record in past:
            for key in _keys(record.spec):
                groups.setdefault(key, []).append(record)
        self.records = len(past)
        self._known = {key: _mean(group) for key, group in groups.items()}

    def seconds(self, spec: RunSpec) -> float | None:
        """Return the estimated seconds of a run; None if no record is similar."""
        known = next((self._known[key] for key in _keys(spec) if key in self._known), None)
        if known is None:
            return None
        fixed, each, usual = known
        return fixed + each * (spec.training.stretched_steps or usual)

    def of_arms(self, plan: Plan) -> dict[str, float | None]:
        """Return the seconds of each arm's runs, None if a task's are not known; no arm if no block is planned."""
        per_run = {
            (run.arm, run.task): self.seconds(run.column)
            for run in plan.runs[: len(plan.arms) * len(plan.tasks.present)]
        }
        seconds: dict[str, float | None] = {}
        for arm in plan.arms if plan.blocks else ():
            parts = [per_run[arm.name, task] for task in plan.tasks.present]
            known = [part for part in parts if part is not None]
            seconds[arm.name] = sum(known) * len(plan.blocks) if len(known) == len(parts) else None
        return seconds

    def of_plan(self, plan: Plan) -> float | None:
        """Return the seconds of all runs, shared ones counted once; None if those of one run are not known."""
        per_run: dict[tuple[str, str], float | None] = {}
        total = 0.0
        for run in plan.distinct:
            key = (run.arm, run.task)
            if key not in per_run:
                per_run[key] = self.seconds(run.column)
            seconds = per_run[key]
            if seconds is None:
                return None
            total += seconds
        return total


def _keys(spec: RunSpec) -> list[tuple[object, ...]]:
    family = spec.find(spec.task).family
    return [(spec.model, spec.task, spec.objective.regularized), (spec.model, spec.task), (spec.model, family)]


def _mean(group: Sequence[RunRecord]) -> tuple[float, float, float]:
    """Return seconds beside training, seconds a step, and the usual number of steps."""
    return (
        fmean(record.cost.setup_seconds + record.cost.eval_seconds for record in group),
        fmean(record.cost.train_seconds / record.cost.steps for record in group),
        fmean(record.cost.steps for record in group),
    )
