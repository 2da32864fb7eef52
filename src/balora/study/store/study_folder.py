"""Open a study's output folder, write and read its `study.json`, and read its `runs/<id>/run.json`; torch-free."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from balora.errors import BaloraError, InputError, OutputError
from balora.folders import PARTIAL, write_atomic
from balora.settings import Settings, SettingsError
from balora.study.design.study import Delta, Study
from balora.study.plan.plan import Plan
from balora.study.store.lock import locked
from balora.training.record import RunRecord, read_record

FORMAT = 1
OWN_FILES = ("study.json", "runs", "report.md", "report.html", "log.txt", ".lock", ".live.json")
"""The names that a study may leave in its folder."""
LOCKED_FILES = ("study.json", ".live.json")
"""Those of them that only the process with the lock writes; others may write a report meanwhile."""


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
    tasks: tuple[str, ...]
    absent: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    """Keys of the study file that were left out, because only the testbed has these settings."""
    fingerprints: dict[str, dict[str, str]]
    """Per task, of the model, data and code that its runs read."""
    versions: dict[str, str]
    command: str
    """The command that repeats the study."""
    runs: tuple[Entry, ...]

    @property
    def identity(self) -> tuple[Any, ...]:
        """What may not change within one folder; seeds may be added, and runs repeated with other code or data."""
        return (self.study.model_copy(update={"seeds": None}), self.profile, self.settings, set(self.tasks))


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
        tasks=plan.tasks.present,
        absent=plan.tasks.absent,
        left_out=plan.left_out,
        fingerprints=plan.fingerprints,
        versions=_versions(),
        command=command,
        runs=tuple(Entry(arm=run.arm, task=run.task, seed=run.seed, id=run.id) for run in plan.runs),
    )


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("balora", "torch", "transformers", "peft")}


@contextlib.contextmanager
def opened(output: Path, record: StudyRecord) -> Iterator[int]:
    """Create and lock ``output``, and write `study.json`; yields the lock's file descriptor, for workers to share.

    A study that fails before its first run has left a record leaves no trace.

    Raises:
        OutputError: the folder holds something else or another study, is in use, or cannot be written.
    """
    refuse_foreign(output, record)
    fresh = not output.exists()
    with contextlib.ExitStack() as stack:
        with writing(output):
            (output / "runs").mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(locked(output))
        refuse_foreign(output, record)  # again: another process may have written here before this one had the lock
        before = (output / "study.json").read_bytes() if (output / "study.json").exists() else None
        try:
            with writing(output):
                write_atomic(output / "study.json", record.model_dump_json(indent=1) + "\n")
            yield lock
        except BaloraError:
            if not any((output / "runs").iterdir()):
                _undo(output, before, fresh)
            raise


def refuse_foreign(output: Path, record: StudyRecord) -> None:
    """Raise :class:`OutputError` unless ``output`` is missing, empty, or holds this very study."""
    if not output.exists():
        return
    if not output.is_dir():
        raise OutputError(f"{output}: is a file, not a folder: choose another --output")
    entries = sorted(path.name for path in output.iterdir() if not path.name.startswith(PARTIAL))
    foreign = [name for name in entries if name not in OWN_FILES]
    if foreign and not (output / "study.json").exists():
        raise OutputError(f"{output}: holds something else ({foreign[0]}): choose an empty or new --output")
    if not (output / "study.json").exists():
        return
    existing = read_study_record(output)
    if existing.study.study != record.study.study:
        raise OutputError(
            f"{output}: holds study {existing.study.study!r}, not {record.study.study!r}: choose another --output"
        )
    if existing.identity != record.identity or existing.model != record.model:
        names = ("study file", "profile", "--set", "tasks")
        changed = [name for name, a, b in zip(names, existing.identity, record.identity, strict=True) if a != b]
        changed += ["model"] if existing.model != record.model else []
        raise OutputError(
            f"{output}: holds study {record.study.study!r} with another {', '.join(changed)}: choose another --output"
        )


def read_study_record(folder: Path) -> StudyRecord:
    """Return the content of `study.json` in ``folder``.

    Raises:
        InputError: there is none, or it is damaged or of another format.
    """
    path = folder / "study.json"
    if not path.is_file():
        raise InputError(f"{folder}: no study here (no study.json): pass the --output folder of `balora study run`")
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        raise InputError(f"{path}: not a study record of format {FORMAT}")
    try:
        return StudyRecord(**content)
    except SettingsError as error:
        raise InputError(f"{path}: {error}") from None


def read_runs(folder: Path, record: StudyRecord) -> tuple[dict[str, RunRecord], dict[str, str]]:
    """Return the records of the planned runs by id, and what is wrong with those that cannot be used."""
    usable: dict[str, RunRecord] = {}
    faulty: dict[str, str] = {}
    for id in dict.fromkeys(entry.id for entry in record.runs):
        try:
            run = read_record(folder / "runs" / id)
        except InputError as error:
            faulty[id] = str(error)
            continue
        if run is not None and run.id != id:
            faulty[id] = f"{folder / 'runs' / id}: holds the record of another run ({run.id})"
        elif run is not None:
            usable[id] = run
    return usable, faulty


@contextlib.contextmanager
def writing(output: Path) -> Iterator[None]:
    """Raise :class:`OutputError`, with a line for the user, where the operating system refuses to write."""
    try:
        yield
    except OSError as error:
        place = error.filename or output
        raise OutputError(
            f"{place}: cannot be written ({error.strerror or error}): free space or choose another --output; "
            "finished runs remain"
        ) from None


def _undo(output: Path, before: bytes | None, fresh: bool) -> None:
    if before is not None:
        (output / "study.json").write_bytes(before)
        return
    for name in ("study.json", "log.txt", ".live.json", ".lock"):
        (output / name).unlink(missing_ok=True)
    (output / "runs").rmdir()
    if fresh:
        output.rmdir()
