"""Take stock of a study's run folders: set damaged ones aside, copy those that other studies finished; torch-free."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, count
from pathlib import Path

from balora.errors import InputError
from balora.folders import PARTIAL
from balora.study.plan.plan import Plan, PlannedRun
from balora.study.store.study_folder import LOCKED_FILES, StudyRecord, read_runs, writing
from balora.training.record import RunRecord, read_beside, read_record
from balora.training.saved_files import check_digests, copy_files, run_files

ASIDE = Path("runs") / ".aside"
"""Where run folders go whose record cannot be used; the engine never deletes anything there."""


def take_stock(
    output: Path, record: StudyRecord, plan: Plan, reuse: Sequence[Path], message: Callable[[str], None]
) -> dict[str, RunRecord]:
    """Return the usable records in ``output``, by id, with those of finished runs copied from the folders ``reuse``.

    A run folder whose record is damaged is set aside, and ``message`` is called with a line that reports it.
    """
    remove_partial(output)
    usable, faulty = read_runs(output, record)
    for id, one in usable.items():
        fault = damage(one, output / "runs" / id)
        faulty |= {id: fault} if fault else {}
    for id, fault in faulty.items():
        usable.pop(id, None)
        message(f"set aside, to be run again: {fault}; now in {set_aside(output, id)}")
    wanted = [one for one in plan.distinct if one.id not in usable or usable[one.id].status != "ok"]
    return usable | copy_finished(reuse, output, wanted, message)


def remove_partial(output: Path) -> None:
    """Remove the files, copies and removals that a killed process left half-done."""
    with writing(output):
        leftovers = [output.glob(f"{PARTIAL}{name}-*") for name in LOCKED_FILES]
        for partial in chain((output / "runs").glob(f"{PARTIAL}*"), *leftovers):
            _delete(partial)


def remove(folder: Path) -> None:
    """Remove a run's folder, which at every instant is there as a whole or not at all."""
    partial = folder.with_name(PARTIAL + folder.name)
    if folder.exists():
        _delete(partial)
        folder.rename(partial)
        _delete(partial)


def _delete(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial)
    else:
        partial.unlink(missing_ok=True)


def set_aside(output: Path, id: str) -> Path:
    """Move the folder of run ``id`` below `runs/.aside`, where it no longer counts, and return its new place."""
    with writing(output):
        (output / ASIDE).mkdir(exist_ok=True)
        places = (output / ASIDE / f"{id}-{number}" for number in count(1))
        place = next(place for place in places if not place.exists())
        (output / "runs" / id).rename(place)
    return place


def damage(record: RunRecord, folder: Path) -> str | None:
    """Return which file beside the record is missing or edited (e.g. by a copy that broke off); None if none is."""
    try:
        for name in record.files:
            read_beside(record, folder, name)
    except (InputError, OSError) as error:
        return str(error)
    return None


def copy_finished(
    others: Sequence[Path], output: Path, wanted: Iterable[PlannedRun], message: Callable[[str], None]
) -> dict[str, RunRecord]:
    """Copy the runs ``wanted`` that one of ``others`` has finished, and return their records by id.

    Only the files that a run consists of are copied, and no links. A run whose adapter or trained model is damaged is
    not reused, and ``message`` is called with a line that reports it.
    """
    copied: dict[str, RunRecord] = {}
    for planned in wanted:
        for source in (other / planned.folder for other in others):
            record = None if planned.id in copied else read_finished(source, planned.id)
            if record is None:
                continue
            try:
                files = run_files(source)
                check_digests(files, source, record.files)
            except InputError as error:
                message(f"not reused: {error}")
                continue
            partial = output / "runs" / f"{PARTIAL}{planned.id}"
            with writing(output):
                remove(output / planned.folder)
                copy_files(files, source, partial)
                partial.rename(output / planned.folder)
            copied[planned.id] = record
    return copied


def read_finished(folder: Path, id: str) -> RunRecord | None:
    """Return the record in ``folder`` if it is of run ``id``, which went well, and its files are whole; else None."""
    try:
        record = read_record(folder)
    except InputError:
        return None
    if record is None or record.id != id or record.status != "ok" or damage(record, folder):
        return None
    return record
