"""Take stock of a study's run folders: set damaged ones aside, copy those that other studies finished; torch-free."""

import errno
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

from balora.errors import InputError
from balora.folders import PARTIAL, delete
from balora.study.plan.plan import Plan, PlannedRun
from balora.study.store.aside import move_aside
from balora.study.store.study_folder import LOCKED_FILES, SHARES, StudyRecord, read_runs, writing
from balora.training.record import AGAIN, RunRecord, check_files, read_record
from balora.training.saved_files import copy_files, run_files

RECORD = "run.json"
Message = Callable[[str], None]


def check_reuse(others: Sequence[Path], output: Path) -> None:
    """Raise :class:`InputError` for a folder of `--reuse` that holds no study, unless it is ``output`` itself."""
    for other in others:
        if not _holds_runs(other) and other.absolute() != output.absolute():
            what = "no study here (no study.json and no run)" if other.exists() else "no such folder"
            raise InputError(f"--reuse {other}: {what}: pass the --output folder of `balora study run`")


def _holds_runs(folder: Path) -> bool:
    """Return whether ``folder`` is a study's; one whose `study.json` is lost may still hold finished runs."""
    return (folder / "study.json").is_file() or any((folder / "runs").glob(f"*/{RECORD}"))


def shares_in(output: Path) -> list[Path]:
    """Return the folders of the shares in ``output`` that have begun."""
    return sorted(path.parent for path in (output / SHARES).glob("*/study.json"))


def take_stock(
    output: Path, record: StudyRecord, plan: Plan, reuse: Sequence[Path], message: Message, *, failed_too: bool = False
) -> dict[str, RunRecord]:
    """Return the usable records in ``output``, by id, with those of finished runs copied from elsewhere.

    That is from the folders ``reuse`` and from the shares in ``output``; with ``failed_too``, runs that failed there
    are copied as well.

    A run folder whose record or files are damaged is set aside, and ``message`` is called with a line that reports it.
    Every file that a run has written is read for this.
    """
    remove_partial(output)
    usable, faulty = read_runs(output, record)
    for id, one in usable.items():
        fault = damage(one, output / "runs" / id)
        faulty |= {id: fault} if fault else {}
    for id, fault in faulty.items():
        usable.pop(id, None)
        with writing(output):
            aside = move_aside(output, output / "runs" / id)
        message(f"set aside, to be run again: {_plain(fault)}; now in {aside}")
    wanted = [one for one in plan.distinct if one.id not in usable or usable[one.id].status != "ok"]
    others = (*reuse, *shares_in(output))
    return usable | copy_finished(others, output, wanted, message, failed_too=failed_too)


def remove_partial(output: Path) -> None:
    """Remove the files, copies and removals that a killed process left half-done."""
    with writing(output):
        leftovers = [output.glob(f"{PARTIAL}{name}-*") for name in LOCKED_FILES]
        for partial in chain((output / "runs").glob(f"{PARTIAL}*"), *leftovers):
            delete(partial)


def remove(folder: Path) -> None:
    """Remove a run's folder, which at every instant is there as a whole or has no record."""
    partial = folder.with_name(PARTIAL + folder.name)
    delete(partial)
    try:
        folder.rename(partial)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.EXDEV:  # a folder that lies in the lower layer of an overlay, as containers have them
            raise
        (folder / RECORD).unlink(missing_ok=True)  # first, so that what is left counts as unfinished
        delete(folder)
    delete(partial)


def remove_unfinished(folder: Path, id: str) -> RunRecord | None:
    """Remove a run's folder unless the run has finished there; return its record if it has."""
    finished = read_finished(folder, id)
    if finished is None:
        remove(folder)
    return finished


def damage(record: RunRecord, folder: Path) -> str | None:
    """Return which file that the run wrote is missing or edited (e.g. by a copy that broke off); None if none is."""
    try:
        check_files(record, folder)
    except InputError as error:
        return str(error)
    return None


def copy_finished(
    others: Sequence[Path],
    output: Path,
    wanted: Iterable[PlannedRun],
    message: Message,
    *,
    failed_too: bool = False,
) -> dict[str, RunRecord]:
    """Copy the runs ``wanted`` that one of ``others`` has finished, and return their records by id.

    The files that a record names are copied, and nothing else; ``message`` is called with a line about a run that
    cannot be used.
    """
    copied: dict[str, RunRecord] = {}
    for planned in wanted:
        sources = [other / planned.folder for other in others]
        tries = [(source, False) for source in sources]
        tries += [(source, True) for source in sources] if failed_too else []  # only where none went well
        for source, is_failed in tries:
            record = None if planned.id in copied else _to_reuse(source, planned.id, message, is_failed)
            if record is not None:
                partial = output / "runs" / f"{PARTIAL}copy-{planned.id}"
                with writing(output):
                    delete(partial)
                    try:
                        copy_files([source / name for name in (*record.files, RECORD)], source, partial)
                        remove(output / planned.folder)
                        partial.rename(output / planned.folder)
                    finally:
                        delete(partial)  # a full disk would stay full
                copied[planned.id] = record
    return copied


def _to_reuse(source: Path, id: str, message: Message, failed_too: bool) -> RunRecord | None:
    """Return the record in ``source`` if it is of run ``id``, went well (or failed too), and its files are whole."""
    try:
        record = read_record(source)
        if record is None or record.id != id or (record.status != "ok" and not failed_too):
            return None
        run_files(source)  # refuses links and pickled files, also among those that the run did not write
        check_files(record, source)
    except InputError as error:
        message(f"not reused: {_plain(str(error))}")
        return None
    return record


def _plain(fault: str) -> str:
    """Return what is wrong with a run without the advice to delete it: a study repeats it anyway."""
    return fault.removesuffix(f": {AGAIN}")


def read_finished(folder: Path, id: str) -> RunRecord | None:
    """Return the record in ``folder`` if it is of run ``id``, which went well, and its files are whole; else None."""
    try:
        record = read_record(folder)
    except InputError:
        return None
    if record is None or record.id != id or record.status != "ok" or damage(record, folder):
        return None
    return record
