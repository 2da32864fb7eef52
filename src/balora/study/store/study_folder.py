"""Open a study's output folder, write and read its `study.json`, and read its `runs/<id>/run.json`; torch-free."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from balora.errors import BaloraError, InputError, OutputError, shown
from balora.folders import PARTIAL, write_atomic
from balora.regular_files import RECORD_BYTES, open_regular, read_regular
from balora.settings import Family, Settings, SettingsError
from balora.study.design.study import Delta, Study
from balora.study.plan.plan import Plan
from balora.study.plan.rates import RateSearch
from balora.study.store.aside import move_aside
from balora.study.store.lock import LostLockError, locked
from balora.training.record import RunRecord, read_record
from balora.training.seal import is_whole, parse_json, sealed

FORMAT = 2
RATES_FOLDERS = ("rates", "rates-wider")
"""The folders of the search for learning rates, each of which holds a study of its own."""
SHARES = "shares"
"""The folder of the shares of a study that several jobs carry out, each of which is a study folder of its own."""
OWN_FILES = ("study.json", "runs", "report.md", "report.html", "log.txt", ".lock", ".live.json", *RATES_FOLDERS, SHARES)
"""The names that a study may leave in its folder."""
LOCKED_FILES = ("study.json", ".live.json")
"""Those of them that only the process with the lock writes; others may write a report meanwhile."""
ANEW = "`balora study run` with the same arguments makes it anew, and finished runs count"
"""The way out where `study.json` cannot be used."""
HINTS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free space or "),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "change its permissions or "),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL), "move it away or "),
}
"""What to do where the operating system refuses to write, by the reason, before writing elsewhere."""


class DamagedStudyError(InputError):
    """`study.json` is not what `study run` wrote."""

    def __init__(self, message: str, content: object = None) -> None:
        super().__init__(f"{message}: {ANEW}")
        self.content = content
        """What could be read of it, unchecked."""

    def is_of(self, record: "StudyRecord") -> bool:
        """Return whether the file may have been that of ``record``: it names the same study, or one of its runs."""
        if not isinstance(self.content, dict):
            return True
        study, runs = self.content.get("study"), self.content.get("runs")
        named = {str(run.get("id")) for run in (runs if isinstance(runs, list) else ()) if isinstance(run, dict)}
        same_name = isinstance(study, dict) and study.get("study") == record.study.study
        return same_name or not named or not named.isdisjoint(run.id for run in record.runs)


class Entry(Settings):
    """One planned run, by what the report has to know of it."""

    arm: str
    task: str
    seed: int
    id: str


class StudyRecord(Settings):
    """The content of `study.json`: what was planned, with which choices, and the command that repeats it."""

    format: int = FORMAT
    study: Study
    model: str
    data: str | None
    profile: str
    settings: Delta
    """The settings given with `--set`."""
    seeds: tuple[int, ...]
    pretrainings: tuple[int, ...] = ()
    """Pre-training seed of each block; empty for a given model."""
    looks: tuple[int, ...] = ()
    """Of a study that goes on until it is answered: after how many blocks it looks; none of a fixed study."""
    stopped: dict[str, dict[Family, int]] = {}
    """Of such a study: arms and families of tasks that stopped, and after how many blocks."""
    tasks: tuple[str, ...]
    """The tasks that runs are trained on."""
    absent: tuple[str, ...]
    scored: dict[str, tuple[str, ...]] = {}
    """The tasks that a recipe scores, by the one it trains on; a task that is not among these is scored on itself."""
    left_out: tuple[str, ...] = ()
    """Keys of the study file that were left out: only the testbed has these settings, or all arms have one rate."""
    rate_search: RateSearch | None = None
    """The search that the learning rates come from; none where none was made."""
    fingerprints: dict[str, dict[str, str]]
    """Per task, of the model, data and code that its runs read."""
    versions: dict[str, str]
    command: str
    """The command that repeats the study."""
    runs: tuple[Entry, ...]
    digest: str = ""
    """SHA-256 of the text of `study.json` above this line; filled in by :func:`write_study_record`."""

    @property
    def scored_tasks(self) -> tuple[str, ...]:
        """Every task that models are scored on, in order."""
        return tuple(name for task in self.tasks for name in self.scored.get(task, (task,)))

    @property
    def identity(self) -> tuple[Any, ...]:
        """What may not change within one folder; seeds may be added, and runs repeated with other code or data."""
        return (
            self.study.model_copy(update={"seeds": None}),
            self.profile,
            self.settings,
            set(self.tasks),
            self.scored,
            self.looks,
        )


def describe(plan: Plan, command: str) -> StudyRecord:
    """Return the record of a plan."""
    return StudyRecord(
        study=plan.study,
        model=plan.choices.model,
        data=plan.choices.data,
        profile=plan.choices.profile,
        settings=dict(plan.choices.settings),
        seeds=plan.seeds,
        pretrainings=plan.pretrainings,
        looks=plan.choices.looks,
        stopped={arm: dict(families) for arm, families in plan.choices.stopped.items()},
        tasks=plan.tasks.present,
        absent=plan.tasks.absent,
        scored=dict(plan.tasks.scored),
        left_out=plan.left_out,
        rate_search=plan.rate_search,
        fingerprints=plan.fingerprints,
        versions=_versions(),
        command=command,
        runs=entries_of(plan),
    )


def entries_of(plan: Plan) -> tuple[Entry, ...]:
    """Return the runs of a plan as `study.json` lists them."""
    return tuple(Entry(arm=run.arm, task=run.task, seed=run.seed, id=run.id) for run in plan.runs)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("balora", "torch", "transformers", "peft")}


@contextlib.contextmanager
def opened(output: Path, record: StudyRecord, message: Callable[[str], None] = lambda line: None) -> Iterator[int]:
    """Create and lock ``output``, and write `study.json`; yields the lock's file descriptor, for workers to share.

    A study that fails before its first run has left a record leaves no trace. A `study.json` that was edited or damaged
    is set aside, and ``message`` is called with a line that reports it.

    Raises:
        OutputError: the folder holds something else or another study, is in use, or cannot be written.
    """
    refuse_foreign(output, record)
    fresh = not output.exists()
    with contextlib.ExitStack() as stack:
        with writing(output):
            (output / "runs").mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(locked(output))
        fault = refuse_foreign(output, record)  # again: another process may have written here before the lock was taken
        path = output / "study.json"
        with writing(output):
            if fault is not None:
                message(f"set aside, to be made anew: {fault}; now in {move_aside(output, path)}")
            before = read_regular(path, RECORD_BYTES, links=False) if path.exists() else None
            _check_log(output / "log.txt")
        try:
            with writing(output):
                write_study_record(output, record)
            yield lock
        except LostLockError:
            raise  # the folder may be another process's by now
        except BaloraError:
            if not any((output / "runs").iterdir()):
                _undo(output, before, fresh)
            raise


def _check_log(path: Path) -> None:
    """Raise :class:`OSError` where the workers could not append to the log, or would write elsewhere through a link."""
    with contextlib.suppress(FileNotFoundError):
        os.close(open_regular(path, os.O_WRONLY | os.O_APPEND, links=False))


def refuse_foreign(output: Path, record: StudyRecord) -> DamagedStudyError | None:
    """Raise :class:`OutputError` unless ``output`` is missing, empty, or holds this very study.

    Returns:
        What is wrong with a `study.json` that must be made anew; None if nothing is.
    """
    if not output.exists():
        return None
    if not output.is_dir():
        raise OutputError(f"{output}: is a file, not a folder: choose another --output")
    there = os.path.lexists(output / "study.json")
    entries = sorted(path.name for path in output.iterdir() if not path.name.startswith(PARTIAL))
    foreign = [name for name in entries if name not in OWN_FILES]
    if foreign and not there:
        raise OutputError(f"{output}: holds something else ({foreign[0]}): choose an empty or new --output")
    _refuse_foreign_runs(output / "runs")
    try:
        if there:
            _refuse_another(output, read_study_record(output), record)
    except DamagedStudyError as error:
        if not error.is_of(record):
            raise OutputError(f"{output}: holds another study, which is damaged: choose another --output") from None
        return error
    return None


def _refuse_foreign_runs(runs: Path) -> None:
    if runs.is_symlink() or (runs.exists() and not runs.is_dir()):
        kind = "a symbolic link" if runs.is_symlink() else "no folder"
        raise OutputError(
            f"{runs}: is {kind}, where the folders of the runs would go: move it away, or choose another --output "
            "(which may itself be a link)"
        )


def _refuse_another(output: Path, existing: StudyRecord, record: StudyRecord) -> None:
    if existing.study.study != record.study.study:
        raise OutputError(
            f"{output}: holds study {shown(existing.study.study)}, not {shown(record.study.study)}: choose another "
            "--output"
        )
    if existing.identity != record.identity or existing.model != record.model:
        names = ("study file", "profile", "--set", "tasks", "scored tasks", "looks")
        changed = [name for name, a, b in zip(names, existing.identity, record.identity, strict=True) if a != b]
        changed += ["model"] if existing.model != record.model else []
        raise OutputError(
            f"{output}: holds study {shown(record.study.study)} with another {', '.join(changed)}: choose another "
            "--output"
        )


def write_study_record(folder: Path, record: StudyRecord) -> StudyRecord:
    """Write `study.json`, sealed, in one atomic step; return the record as it lies there."""
    text, digest = sealed(record)
    write_atomic(folder / "study.json", text, durable=True)
    return record.model_copy(update={"digest": digest})


def read_study_record(folder: Path) -> StudyRecord:
    """Return the content of `study.json` in ``folder``.

    Raises:
        InputError: there is none, or it is of another format.
        DamagedStudyError: it is not what `study run` wrote.
    """
    path = folder / "study.json"
    try:
        text = read_regular(path, RECORD_BYTES, links=False)
    except (FileNotFoundError, NotADirectoryError):
        if (folder / RATES_FOLDERS[0] / "study.json").is_file():
            raise InputError(
                f"{folder}: the study has not begun, since its learning rates are still looked for: that search is the "
                f"study in {folder / RATES_FOLDERS[0]}"
            ) from None
        raise InputError(
            f"{folder}: no study here (no study.json): pass the --output folder of `balora study run`"
        ) from None
    except OSError as error:
        raise DamagedStudyError(f"{path}: cannot be read ({error.strerror or error})") from None
    try:
        content: Any = parse_json(text)
    except ValueError as error:
        raise DamagedStudyError(f"{path}: cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise DamagedStudyError(f"{path}: not a study record of format {FORMAT}")
    if content.get("format") != FORMAT and ("digest" not in content or is_whole(text)):
        raise InputError(
            f"{path}: not a study record of format {FORMAT} but {shown(content.get('format'))}, of another version of "
            "balora: use that version, or choose another --output"
        )
    if not is_whole(text):
        raise DamagedStudyError(f"{path}: was edited or damaged: its content does not match its digest", content)
    try:
        return StudyRecord(**content)
    except SettingsError as error:
        raise DamagedStudyError(f"{path}: {error}", content) from None


def read_runs(folder: Path, record: StudyRecord) -> tuple[dict[str, RunRecord], dict[str, str]]:
    """Return the records of the planned runs by id, and what is wrong with those that cannot be used."""
    usable: dict[str, RunRecord] = {}
    faulty: dict[str, str] = {}
    for id in dict.fromkeys(entry.id for entry in record.runs):
        place = folder / "runs" / id
        if fault := not_a_folder(place):
            faulty[id] = fault
            continue
        try:
            run = read_record(place)
        except InputError as error:
            faulty[id] = str(error)
            continue
        if run is not None and run.id != id:
            faulty[id] = f"{place}: holds the record of another run ({run.id})"
        elif run is not None:
            usable[id] = run
    return usable, faulty


def not_a_folder(place: Path) -> str | None:
    """Return what is wrong with ``place`` where a run's folder would be; None if it is one, or if nothing is there."""
    if place.is_symlink():
        return f"{place}: is a symbolic link, not a run's folder"
    return f"{place}: is no folder" if place.exists() and not place.is_dir() else None


@contextlib.contextmanager
def writing(output: Path, elsewhere: str = "choose another --output") -> Iterator[None]:
    """Raise :class:`OutputError`, with a line for the user, where the operating system refuses to write.

    ``elsewhere`` tells how to write to another place.
    """
    try:
        yield
    except OSError as error:
        place = error.filename or output
        hint = HINTS.get(error.errno or 0, "") + elsewhere
        raise OutputError(
            f"{place}: cannot be written ({error.strerror or error}): {hint}; finished runs remain"
        ) from None


def _undo(output: Path, before: bytes | None, fresh: bool) -> None:
    if before is not None:
        write_atomic(output / "study.json", before)
        return
    for name in ("study.json", "log.txt", ".live.json", ".lock"):
        (output / name).unlink(missing_ok=True)
    (output / "runs").rmdir()
    if fresh:
        output.rmdir()
