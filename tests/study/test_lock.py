"""One study at a time in a folder, whoever was killed before and whatever the file system can do."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from balora.errors import OutputError
from balora.processes import own_mark
from balora.study.store import lock
from balora.study.store.lock import Owner, is_locked, locked

PARENT = """
import subprocess, sys, time
from pathlib import Path
from balora.study.store.lock import locked
with locked(Path(sys.argv[1])) as held:
    sleeper = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]
    subprocess.Popen(sleeper, pass_fds=[held])
    time.sleep(600)
"""


def test_a_folder_is_held_by_one_and_then_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_locked(tmp_path) is False
    with locked(tmp_path):
        assert is_locked(tmp_path) is True
        monkeypatch.setattr(lock.time, "sleep", lambda seconds: pytest.fail("a live owner is not waited for"))
        owner = rf"working here \(process {os.getpid()} on {socket.gethostname()}\): wait for it to end"
        with pytest.raises(OutputError, match=owner), locked(tmp_path):
            pass
    assert is_locked(tmp_path) is False
    assert (tmp_path / lock.NAME).read_text() == "", "nobody's name is left"


@pytest.mark.parametrize("ends", [True, False])
def test_what_a_killed_run_left_behind_is_waited_for(
    tmp_path: Path, ends: bool, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The parent is gone, its worker is not: the folder stays locked until it is, and not for ever."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"here\n"
    sleeper = int(Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text())
    request.addfinalizer(lambda: os.kill(sleeper, signal.SIGKILL) if Path(f"/proc/{sleeper}").exists() else None)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert is_locked(tmp_path) is True
    if not ends:
        monkeypatch.setattr(lock, "WAIT", 0.2)
        with pytest.raises(OutputError, match=rf"working here \(process {parent.pid} on"), locked(tmp_path):
            pass
        return
    monkeypatch.setattr(lock, "WAIT", 250.0)
    waits: list[float] = []

    def wait(seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """The worker ends while it is waited for."""
        if not waits:
            os.kill(sleeper, signal.SIGKILL)
        waits.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(lock.time, "sleep", wait)
    with locked(tmp_path):
        assert waits
        assert not Path(f"/proc/{sleeper}/fd").exists() or not os.listdir(f"/proc/{sleeper}/fd")


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def owner(**changes: object) -> str:
    """Return what a lock file holds, by default of this process."""
    return str(Owner(os.getpid(), socket.gethostname(), own_mark()._replace(**changes)))  # type: ignore[arg-type]


def test_without_locks_the_owners_name_stands_for_one(tmp_path: Path, no_locks: None) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / lock.NAME).write_text(owner(number=dead.pid))
    assert is_locked(tmp_path) is False
    with locked(tmp_path):
        assert is_locked(tmp_path) is True
        with pytest.raises(OutputError, match=r"working here.*: wait for it to end$"), locked(tmp_path):
            pass
    (tmp_path / lock.NAME).write_text(owner(start=1))
    assert is_locked(tmp_path) is False, "a later process has the number"
    with locked(tmp_path):
        pass


@pytest.mark.parametrize(
    "text",
    [
        lambda: owner(place="00000000"),  # another container, machine or boot, though of the same name
        lambda: owner(place="00000000", number=9999999),
        lambda: owner(place="unknown"),
        lambda: f"{os.getpid()} {socket.gethostname()}",  # of an earlier version, which did not tell containers apart
        lambda: f"9999999 {socket.gethostname()}",
        lambda: "12 elsewhere",
    ],
)
def test_without_locks_an_owner_elsewhere_cannot_be_judged(
    tmp_path: Path, no_locks: None, text: Callable[[], str]
) -> None:
    (tmp_path / lock.NAME).write_text(text())
    assert is_locked(tmp_path) is None
    way_out = rf"or was killed; this file system has no locks to show which: .* --reuse {tmp_path}$"
    with pytest.raises(OutputError, match=way_out) as caught, locked(tmp_path):
        pass
    assert "delete" not in str(caught.value)
    assert (tmp_path / lock.NAME).read_text() == text()


def test_a_folder_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert is_locked(tmp_path / "file") is None
    assert is_locked(tmp_path / "missing") is False
