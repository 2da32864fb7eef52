"""What is in a study's folder already: taken over from elsewhere, set aside, or removed; torch-free."""

import shutil
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

from balora.errors import InputError
from balora.study.plan.plan import PlannedRun
from balora.study.store.study_folder import writing
from balora.training.record import RunRecord, read_beside, read_record

ASIDE = Path("runs") / ".aside"
"""Where run folders go whose record cannot be used; nobody but a person deletes anything there."""
PARTIAL = ".partial-"
"""What copies and removals under way are called; a killed process may leave one behind."""


def tidy(output: Path) -> None:
    """Remove what a killed process was copying or removing."""
    with writing(output):
        for left in (output / "runs").glob(f"{PARTIAL}*"):
            shutil.rmtree(left)


def remove(folder: Path) -> None:
    """Remove a run's folder, which at every instant is there as a whole or not at all."""
    partial = folder.with_name(PARTIAL + folder.name)
    if folder.exists():
        _clear(partial)
        folder.rename(partial)
        _clear(partial)


def _clear(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial)
    else:
        partial.unlink(missing_ok=True)


def set_aside(output: Path, id: str) -> Path:
    """Move the folder of run ``id`` to where it counts for nothing and is kept; return its new place."""
    with writing(output):
        (output / ASIDE).mkdir(exist_ok=True)
        places = (output / ASIDE / f"{id}-{number}" for number in count(1))
        place = next(place for place in places if not place.exists())
        (output / "runs" / id).rename(place)
    return place


def unlike_itself(record: RunRecord, folder: Path) -> str | None:
    """Return why ``folder`` is not what the run left there (a copy that broke off, an edited file); none if it is."""
    try:
        for name in record.files:
            read_beside(record, folder, name)
    except (InputError, OSError) as error:
        return str(error)
    return None


def take_over(others: Sequence[Path], output: Path, wanted: Iterable[PlannedRun]) -> dict[str, RunRecord]:
    """Copy what ``others`` have finished of the runs ``wanted``, and return their records by id."""
    taken: dict[str, RunRecord] = {}
    for planned in wanted:
        for source in (other / planned.folder for other in others):
            record = None if planned.id in taken else finished(source, planned.id)
            if record is not None:
                partial = output / "runs" / f"{PARTIAL}{planned.id}"
                with writing(output):
                    remove(output / planned.folder)
                    shutil.copytree(source, partial)
                    partial.rename(output / planned.folder)
                taken[planned.id] = record
    return taken


def finished(folder: Path, id: str) -> RunRecord | None:
    """Return the record in ``folder`` if it is of run ``id``, that went well, and all of it is there."""
    try:
        record = read_record(folder)
    except InputError:
        return None
    if record is None or record.id != id or record.status != "ok" or unlike_itself(record, folder):
        return None
    return record
