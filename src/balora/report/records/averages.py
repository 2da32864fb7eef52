"""Average each measure by arm and block; a tuned arm takes what was chosen for it; pure and torch-free."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from balora.report.records.measures import BySeed, ByTask, Measure, averages, finished_runs, measures_of, scores
from balora.statistics import leave_one_out
from balora.study.design.candidates import DesignedArm
from balora.study.store.study_folder import StudyRecord
from balora.training.record import RunRecord


class Scored(NamedTuple):
    """One measure of all arms."""

    measure: Measure
    tasks: tuple[str, ...]
    """What an average is over."""
    runs: dict[str, ByTask]
    """Arm → task → seed → run; of a tuned arm the runs of the candidate chosen for that seed."""
    by_seed: dict[str, BySeed]
    """Arm → seed → average over the tasks."""
    chosen: dict[str, dict[int, str]]
    """Tuned arm → seed → candidate."""


def score_all(
    record: StudyRecord, runs: Mapping[str, RunRecord], designed: Sequence[DesignedArm]
) -> tuple[Scored, ...]:
    """Return every measure of the declared metrics."""
    measures = measures_of(record.study.metrics, record.scored_tasks)
    finished = finished_runs(record.runs, runs)
    return tuple(_scored(measure, record, finished[measure.family], designed) for measure in measures)


def _scored(
    measure: Measure, record: StudyRecord, runs: Mapping[str, ByTask], designed: Sequence[DesignedArm]
) -> Scored:
    tasks = measure.tasks([record.study.find(task) for task in record.scored_tasks])
    everything = dict(runs)
    by_seed = {arm.name: averages(scores(runs.get(arm.name, {}), measure), tasks) for arm in designed}
    chosen = {}
    for tuned in record.study.tuned:
        candidates = {arm.name: by_seed[arm.name] for arm in designed if arm.tuned == tuned}
        chosen[tuned] = leave_one_out(candidates, measure.higher_is_better) if candidates else {}
        everything[tuned] = {
            task: {seed: runs[name][task][seed] for seed, name in chosen[tuned].items()} for task in tasks
        }
        by_seed[tuned] = {seed: by_seed[name][seed] for seed, name in chosen[tuned].items()}
    return Scored(measure, tasks, everything, by_seed, chosen)
