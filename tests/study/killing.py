"""A `balora study run` in a process of its own, and the means to kill it and its workers (Linux: reads /proc)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fakes import Steering

from balora.folders import write_atomic

HERE = Path(__file__).parent
STUDY = ("study", "run", "pissa-initialization", "--profile", "glance", "--workers", "2", "--output", "s")
PATIENCE = 1500.0
"""Seconds after which something that should happen is taken for hanging; no verdict depends on how soon it does."""


class Command:
    """`balora` as `script` has it, working in a folder of its own, in a session of its own."""

    def __init__(self, folder: Path, script: Path = HERE / "brief.py") -> None:
        self.folder, self.script = folder, script
        self.steering = Steering(folder)
        self.steering.orders.mkdir(parents=True, exist_ok=True)
        self.environment = {**os.environ, "BALORA_STEERING": str(folder)}

    def order(self, *kills: str) -> None:
        """Order kills, such as `worker-begun`, which the runs of the next start carry out in this order."""
        for number, one in enumerate(kills):
            (self.steering.orders / f"{number:02}-{one}").touch()

    def open_orders(self) -> list[str]:
        """Return the kills that have not happened."""
        return [path.name for path in self.steering.orders.iterdir()]

    def hold_runs(self, finished: int) -> None:
        """Let runs begin only while fewer than so many are finished."""
        write_atomic(self.steering.hold, str(finished))

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "stdout").open("w") as out, (self.folder / "stderr").open("w") as err:
            return subprocess.Popen(
                [sys.executable, str(self.script), *words],
                cwd=self.folder,
                env=self.environment,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def run(self, *words: str) -> str:
        """Run to the end and return what was printed."""
        assert self.start(*words).wait(timeout=PATIENCE) == 0, self.stderr()
        return (self.folder / "stdout").read_text()

    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()


def workers_of(parent: int) -> list[int]:
    """Return the processes that `parent` has spawned as workers."""
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except OSError:  # gone meanwhile
        return []


def session_of(leader: int) -> list[int]:
    """Return every process in the session of `leader` that is not a zombie."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(session) == leader and state != "Z":
                found.append(int(entry.name))
    return found


def has_ended(child: int) -> bool:
    """Whether a process of ours has ended with all its threads, so that its exit code is there; leaves it unreaped."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def kill(pid: int, how: signal.Signals = signal.SIGKILL) -> bool:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return False
    return True


def until(what: Callable[[], bool], why: str) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.02)
