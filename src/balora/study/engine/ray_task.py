"""Carry out one job of a study on a node of a Ray cluster; imports neither Ray nor torch.

Ray may begin a job twice: where a node was lost, or was only cut off and still works. So each try has a folder of its
own, which becomes the run's folder in one step at the end; whichever try is first counts, and the others are dropped.
"""

import io
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from balora.errors import OutputError
from balora.folders import CACHE_VARIABLE, PARTIAL, delete
from balora.study.engine.devices import HIDDEN, VARIABLE
from balora.study.engine.pretraining import pretrain
from balora.study.engine.protocol import Event, Job
from balora.study.engine.worker import carry_out, throttled
from balora.study.store.object_storage import Storage
from balora.study.store.run_folders import read_finished, remove_unfinished
from balora.study.store.stored_checkpoints import discard_stored, stored_checkpoints
from balora.training.record import RunError

PACKAGES = ("balora", "torch", "transformers", "peft", "accelerate", "ray")
LOG_CHARACTERS = 100_000
"""Most characters of a job's output that go into the study's log."""


class Setting(NamedTuple):
    """What every job of a study is carried out with."""

    versions: Mapping[str, str]
    """Of the study's own process, which the nodes must share."""
    threads: int
    has_gpu: bool
    cache: str | None
    """`BALORA_CACHE` of the study's own process, where it is set."""
    place: str
    """The folder in which the study was started: paths of models and data may be relative to it."""
    url: str | None = None
    """Where the study lies, if on object storage: the node uploads its runs."""
    mirror: Path | None = None
    """The folder that stands for ``url`` in the folders of jobs."""


class Ended(NamedTuple):
    """What a node returns."""

    event: Event
    """Without the job."""
    output: str
    """What the job printed, for the study's log."""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a run; `none` for one that is missing."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def differing(mine: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return the packages whose versions differ, with both; the build (`+cpu`, `+cu130`) may differ."""
    pairs = {name: (found, theirs.get(name, "none")) for name, found in mine.items()}
    return {name: pair for name, pair in pairs.items() if pair[0].split("+")[0] != pair[1].split("+")[0]}


def sees(path: Path, content: bytes) -> bool:
    """Return whether this node reads ``content`` in the file ``path``."""
    with suppress(OSError):
        return path.read_bytes() == content
    return False


def on_node(job: Job, setting: Setting, send: Callable[[Event], object]) -> Ended:
    """Carry out ``job`` in this process; ``send`` is called with its progress."""
    if different := differing(setting.versions, versions()):
        return Ended(Event("refused", error=RunError(kind="ConfigError", message=_in_words(different))), "")
    _set_environment(setting)
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        event = _in_place(job, setting, lambda one: carry_out(one, throttled(send)))
    return Ended(event, printed.getvalue()[-LOG_CHARACTERS:])


def _in_words(different: Mapping[str, tuple[str, str]]) -> str:
    parts = ", ".join(f"{name} {theirs} and not {mine}" for name, (mine, theirs) in different.items())
    return f"a node that joined the Ray cluster has {parts}: install the same versions on every node"


def _set_environment(setting: Setting) -> None:
    """Set what torch and the cache read when they are first used in this process."""
    threads = str(setting.threads)
    os.environ |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not setting.has_gpu:
        os.environ[VARIABLE] = HIDDEN
    if setting.cache is not None:
        os.environ[CACHE_VARIABLE] = setting.cache
    with suppress(OSError):
        os.chdir(setting.place)


def _in_place(job: Job, setting: Setting, work: Callable[[Job], Event]) -> Event:
    """Carry out a job in a folder of this try, and bring what it left to its place."""
    if job.run is pretrain:  # leaves nothing in the study's folder
        return work(job)
    if setting.url is not None and setting.mirror is not None:
        with tempfile.TemporaryDirectory(prefix="balora-run-") as above:
            folder, storage = Path(above) / job.id, Storage(setting.url)
            with stored_checkpoints(storage, job.id) if job.spec.training.saves_checkpoints else nullcontext():
                event = _worked(job, folder, work)
            return _uploaded(event, folder, storage, job.folder.relative_to(setting.mirror).as_posix())
    if finished := read_finished(job.folder, job.id):
        return Event("done", record=finished)
    with _own_folder(job.folder) as folder:
        return _moved(_worked(job, folder, work), folder, job)


def _worked(job: Job, folder: Path, work: Callable[[Job], Event]) -> Event:
    """Carry out a job in ``folder``; messages name the folder of the run."""
    event = work(job._replace(folder=folder))
    if event.error is None:
        return event
    message = event.error.message.replace(str(folder), str(job.folder))
    return event._replace(error=event.error.replace(message=message))


def _moved(event: Event, folder: Path, job: Job) -> Event:
    """Move what a try has left to the run's folder, unless another try was sooner."""
    if event.record is None or not folder.exists():
        return event
    finished = remove_unfinished(job.folder, job.id)
    if finished is None:
        try:
            folder.rename(job.folder)
            return event
        except OSError:
            finished = read_finished(job.folder, job.id)
            if finished is None:
                raise
    return Event("done", record=finished)


def _uploaded(event: Event, folder: Path, storage: Storage, name: str) -> Event:
    """Upload what a try has left."""
    if event.record is None or not folder.exists():
        return event
    try:
        with storage.reached():
            storage.push_run(folder, name)
        discard_stored(storage, event.record.id)
    except OutputError as error:
        return Event("unwritable", error=RunError(kind="OutputError", message=str(error)))
    return event


def remove_tries(stages: Sequence[Sequence[Job]]) -> None:
    """Remove the folders of tries that were ended from outside, in this machine's view of the study's folder."""
    ids = {job.id for stage in stages for job in stage}
    for runs in {job.folder.parent for stage in stages for job in stage if job.run is not pretrain}:
        for path in runs.glob(f"{PARTIAL}*"):
            if path.name.removeprefix(PARTIAL).rpartition("-")[0] in ids:
                with suppress(OSError):
                    delete(path)


@contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder beside ``folder`` that no other try has; remove it if it is there at the end."""
    own = folder.with_name(f"{PARTIAL}{folder.name}-{secrets.token_hex(4)}")
    try:
        yield own
    finally:
        with suppress(OSError):
            delete(own)
