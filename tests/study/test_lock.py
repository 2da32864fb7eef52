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
from balora.study.store import lock
from balora.study.store.lock import is_locked, locked

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


def test_without_locks_the_owners_name_stands_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / lock.NAME).write_text(f"{dead.pid} {socket.gethostname()}")
    assert is_locked(tmp_path) is False
    with locked(tmp_path):
        assert is_locked(tmp_path) is True
        no_locks = r"or was killed; this file system has no locks to show which: .* delete"
        with pytest.raises(OutputError, match=no_locks), locked(tmp_path):
            pass
    (tmp_path / lock.NAME).write_text("12 elsewhere")
    assert is_locked(tmp_path) is None
    with pytest.raises(OutputError, match=r"working here \(process 12 on elsewhere\), or was killed"), locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert is_locked(tmp_path / "file") is None
    assert is_locked(tmp_path / "missing") is False
