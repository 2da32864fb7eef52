"""Mirror a study that lies on object storage: pull what is there, push each run, its record last; torch-free.

The URL is where the study lies; the mirror, a folder in the user's cache, is where this machine works on it. A run's
`run.json` is removed first and written last, and holds the digests of all other files, so that no run counts that was
uploaded in part.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from balora.errors import ConfigError, InputError, OutputError, shown
from balora.folders import PARTIAL, cache_folder, delete, write_atomic
from balora.study.store.lock import NAME as LOCK
from balora.study.store.lock import locked, own_line, read_owner
from balora.study.store.run_folders import RECORD, damage
from balora.training.record import read_record

CHECKPOINTS = "checkpoints"
"""Where the checkpoints of runs under way lie below a study; the mirror has none."""
ENDPOINT = "AWS_ENDPOINT_URL"
"""Where S3 is another server than Amazon's; the mirrors of one URL on two servers are two."""


def is_url(text: str) -> bool:
    """Return whether ``text`` names object storage (`s3://bucket/study`) and not a folder."""
    return re.match(r"[a-z][a-z0-9+.-]*://", text) is not None


@contextmanager
def located(output: str) -> Iterator[tuple[Path, "Storage | None"]]:
    """Yield the folder to work in: ``output`` itself, or for a URL its mirror, pushed at the end, and the storage.

    Raises:
        ConfigError: the URL's kind is unknown, or its package is missing.
        OutputError: another `study run` works there, or the storage cannot be read or written.
    """
    if not is_url(output):
        yield Path(output), None
        return
    storage = Storage(output)
    storage.base.mkdir(parents=True, exist_ok=True)
    with locked(storage.base), storage.locked():
        storage.pull(removes=True)
        try:
            yield storage.mirror, storage
        finally:
            storage.push()


@contextmanager
def mirrored(folder: str) -> Iterator[tuple[Path, "Storage | None"]]:
    """Yield a study's folder for reading: ``folder`` itself, or for a URL its mirror, as it is now, and the storage.

    Nothing is locked, and what is written into the mirror stays there unless it is pushed.

    Raises:
        ConfigError, OutputError: as :func:`located`.
    """
    storage = Storage(folder) if is_url(folder) else None
    if storage is not None:
        storage.pull()
    yield (Path(folder), None) if storage is None else (storage.mirror, storage)


class Storage:
    """A study's folder on object storage."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.files, self.root = _open(self.url)
        place = f"{self.url} {os.environ.get(ENDPOINT, '')}"
        self.base = cache_folder() / "studies" / hashlib.sha256(place.encode()).hexdigest()[:16]
        self.mirror = self.base / "study"
        self._stored: dict[str, str] = {}
        """Digests of what lies there, by path: of every file, and of a run by its record."""

    def pull(self, *, removes: bool = False) -> None:
        """Make the mirror hold what lies at the URL.

        With ``removes``, the mirror is emptied where no study lies there: it held one that was deleted since.
        """
        with self.reached():
            there = [name for name in self.names() if not name.startswith(f"{CHECKPOINTS}/")]
            if removes and not any(name.split("/")[-1] == "study.json" for name in there):
                delete(self.mirror)
            self.mirror.mkdir(parents=True, exist_ok=True)
            runs: dict[str, list[str]] = {}
            for name in filter(_is_safe, there):
                if folder := run_folder(name):
                    runs.setdefault(folder, []).append(name)
                else:
                    self._pull_file(name)
            for folder, names in runs.items():
                if f"{folder}/{RECORD}" in names:
                    self.pull_run(folder, names)

    def pull_run(self, folder: str, names: list[str] | None = None) -> None:
        """Make the mirror hold one run, all of it or nothing."""
        place = self.mirror / folder
        record = self.files.cat_file(f"{self.root}/{folder}/{RECORD}")
        if not (place / RECORD).is_file() or (place / RECORD).read_bytes() != record:
            self._download(folder, place, names)
        if _is_whole(place):  # else it is run again, and may leave the same record
            self._stored[folder] = _digest(record)

    def _download(self, folder: str, place: Path, names: list[str] | None) -> None:
        if names is None:
            names = self.names(folder)
        partial = place.with_name(f"{PARTIAL}pull-{place.name}-{secrets.token_hex(4)}")
        for name in filter(_is_safe, names):
            target = partial / PurePosixPath(name).relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            self.files.get_file(f"{self.root}/{name}", str(target))
        delete(place)
        partial.rename(place)

    def push(self, *, runs: bool = True) -> None:
        """Upload every file and, with ``runs``, every run of the mirror that has changed since."""
        with self.reached():
            for path in sorted(self.mirror.rglob("*")):
                name = path.relative_to(self.mirror).as_posix()
                if not path.is_file() or path.is_symlink() or any(part.startswith(".") for part in name.split("/")):
                    continue
                folder = run_folder(name)
                if runs and folder and name == f"{folder}/{RECORD}":
                    self.push_run(path.parent, folder)
                elif not folder:
                    self._push_file(name)

    def push_run(self, source: Path, folder: str) -> None:
        """Upload the run in ``source`` as ``folder``, its record last, unless the same lies there."""
        record = (source / RECORD).read_bytes()
        if self._stored.get(folder) == _digest(record):
            return
        place = f"{self.root}/{folder}"
        self.files.invalidate_cache()
        with suppress(FileNotFoundError):
            self.files.rm_file(f"{place}/{RECORD}")
        for path in sorted(source.rglob("*")):
            name = path.relative_to(source).as_posix()
            if path.is_file() and not path.is_symlink() and name != RECORD:
                self.files.put_file(str(path), f"{place}/{name}")
        self.files.pipe_file(f"{place}/{RECORD}", record)
        self._stored[folder] = _digest(record)

    def _pull_file(self, name: str) -> None:
        content, path = self.files.cat_file(f"{self.root}/{name}"), self.mirror / name
        self._stored[name] = _digest(content)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)

    def _push_file(self, name: str) -> None:
        content = (self.mirror / name).read_bytes()
        if self._stored.get(name) != _digest(content):
            self.files.pipe_file(f"{self.root}/{name}", content)
            self._stored[name] = _digest(content)

    def names(self, folder: str = "") -> list[str]:
        """Return the paths, below the study, of all objects in ``folder`` as it is now."""
        self.files.invalidate_cache()
        found = self.files.find(f"{self.root}/{folder}".rstrip("/"))
        return [str(path).removeprefix(self.root).lstrip("/") for path in found]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the study: an object that is written only if there is none.

        Raises:
            OutputError: another process has it, or may have it.
        """
        path, line = f"{self.root}/{LOCK}", own_line()
        with self.reached():
            if not self._lock(path, line):
                owner = read_owner(self.files.cat_file(path))
                if owner is None or owner.is_alive() is not False:
                    who = f" (process {owner.number} on {owner.host})" if owner else ""
                    raise OutputError(
                        f"{self.url}: another `balora study run` is working here{who}: wait for it to end; if it was "
                        f"killed, delete {self.url}/{LOCK}"
                    )
                self.files.rm_file(path)
                if not self._lock(path, line):
                    raise OutputError(f"{self.url}: another `balora study run` has just begun here: wait for it to end")
        try:
            yield
        finally:
            with suppress(Exception):
                self.files.rm_file(path)

    def _lock(self, path: str, line: str) -> bool:
        self.files.invalidate_cache()
        try:
            self.files.pipe_file(path, line.encode(), mode="create")
        except FileExistsError:
            return False
        return True

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Raise :class:`OutputError` where the storage fails, in whatever class its library raises."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise OutputError(
                f"{self.url}: cannot be read or written ({reason[:300]}): check the address, the credentials and the "
                "network; what has finished is in the mirror, and the same command goes on"
            ) from error


def run_folder(name: str) -> str | None:
    """Return the run's folder in the path ``name`` below a study's folder; None if it is no file of a run."""
    found = re.match(r"((?:[^/]+/)?runs/[0-9a-f]{16})/.", name)
    return found[1] if found else None


def _is_safe(name: str) -> bool:
    """Return whether an object's name is a path below the mirror; locks and what was set aside stay where they are."""
    return all(part and not part.startswith(".") and "\\" not in part and "\0" not in part for part in name.split("/"))


def _is_whole(folder: Path) -> bool:
    """Return whether the run in ``folder`` has all that its record names."""
    try:
        record = read_record(folder)
    except InputError:
        return False
    return record is not None and damage(record, folder) is None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _open(url: str) -> tuple[Any, str]:
    """Return the file system of ``url`` and the path in it."""
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = 'pip install "balora[s3]"' if url.startswith("s3:") else "install that package"
        raise ConfigError(f"{shown(url)}: this kind of storage needs a package ({error}): {package}") from None
    except ValueError as error:
        raise ConfigError(f"{shown(url)}: {error}: give a folder, or a URL such as s3://bucket/study") from None
    return files, str(root).rstrip("/")
