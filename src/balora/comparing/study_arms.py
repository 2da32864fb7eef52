"""Read the item scores of a study's arms: each arm is a system, and each seed (block) scored it once more."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from balora.comparing.run_items import ITEMS, item_scores, share_note
from balora.comparing.score_table import ItemScore, Key, SystemScores
from balora.errors import InputError
from balora.study.design.arms import design_arms
from balora.study.store.entries import read_study
from balora.study.store.study_folder import StudyRecord
from balora.training.record import RunRecord, correct_rows, read_beside

Finished = dict[str, dict[tuple[str, int], RunRecord]]
"""Arm → (task, seed) → its finished run."""


def read_study_arms(folder: Path, metrics: Sequence[str] = (), wanted: Sequence[str] = ()) -> list[SystemScores]:
    """Return the arms of the study in ``folder``, the arm of reference first.

    A seed counts only if every arm has finished every task in it, as in the study's report. Arms without a finished
    run, candidates of tuned arms and tasks of regression are left out; notes say so. Of the tasks only the ``wanted``
    ones are read, if there are any.

    Raises:
        InputError: there is no study, it was edited or damaged, or no seed is finished.
    """
    record, runs, faulty = read_study(folder)
    arms, notes = _finished(record, runs)
    tasks = [task for task in record.tasks if not _is_regression(arms, task)]
    odd = [task for task in record.tasks if task not in tasks]
    notes += [f"{task}: left out, as its items have squared errors and no points" for task in odd]
    seeds = [seed for seed in record.seeds if all((task, seed) in runs for runs in arms.values() for task in tasks)]
    if not arms or not tasks or not seeds:
        faults = f" ({next(iter(faulty.values()))})" if faulty else ""
        raise InputError(f"{folder}: no seed has a finished run of every arm and task{faults}: finish it with `balora "
                         "study run`")  # fmt: skip
    left = [str(seed) for seed in record.seeds if seed not in seeds]
    notes += (
        [f"seeds left out, because not every arm has finished every task in them: {', '.join(left)}"] if left else []
    )
    against = record.study.against or record.study.base_name
    systems = [
        _system(folder, name, [arms[name][task, seed] for seed in seeds for task in tasks], metrics, wanted)
        for name in sorted(arms, key=lambda name: name != against)
    ]
    return [replace(systems[0], notes=(*notes, *systems[0].notes)), *systems[1:]]


def _finished(record: StudyRecord, runs: Mapping[str, RunRecord]) -> tuple[Finished, list[str]]:
    """Return the finished runs of every arm that is compared, and a note on those that are not."""
    designed = design_arms(record.study)
    arms: Finished = {arm.name: {} for arm in designed if arm.tuned is None}
    for entry in record.runs:
        run = runs.get(entry.id)
        if entry.arm in arms and run is not None and run.status == "ok":
            arms[entry.arm][entry.task, entry.seed] = run
    tuned = list(dict.fromkeys(arm.tuned for arm in designed if arm.tuned is not None))
    notes = [f"arm {name}: left out, as each block takes another of its candidates" for name in tuned]
    notes += [f"arm {name}: left out, as none of its runs has finished" for name, found in arms.items() if not found]
    return {name: found for name, found in arms.items() if found}, notes


def _is_regression(arms: Finished, task: str) -> bool:
    runs = (run.spec for found in arms.values() for (name, _), run in found.items() if name == task)
    return any(spec.find(spec.scored[0]).regression for spec in runs)


def _system(
    folder: Path, name: str, runs: Sequence[RunRecord], metrics: Sequence[str], wanted: Sequence[str]
) -> SystemScores:
    scores: dict[Key, ItemScore] = {}
    fields: dict[str, str] = {}
    notes = []
    for run in runs:
        found, names = _scores(folder, run, metrics, wanted)
        scores |= found
        fields |= names
        notes += [share_note(task, run.of_task(task)) for task in names if not run.of_task(task).correct]
    return SystemScores(name, str(folder), scores, fields, True, tuple(dict.fromkeys(notes)))


def _scores(
    folder: Path, run: RunRecord, metrics: Sequence[str], wanted: Sequence[str]
) -> tuple[dict[Key, ItemScore], dict[str, str]]:
    """Return the scores of one run: from its record where they are there, else from its items."""
    seed, tasks = str(run.spec.training.seed), [task for task in run.spec.scored if not wanted or task in wanted]
    right = {task: correct_rows(run.of_task(task)) for task in tasks}
    if not tasks or (all(rows is not None for rows in right.values()) and (not metrics or "correct" in metrics)):
        scores = {
            Key(task, str(row), seed): ItemScore(float(one))
            for task, rows in right.items()
            for row, one in enumerate(rows.tolist() if rows is not None else ())
        }
        return scores, dict.fromkeys(tasks, "correct")
    place = folder / "runs" / run.id
    return item_scores(read_beside(run, place, ITEMS), place / ITEMS, run.spec.scored[0], seed, metrics, tasks)
