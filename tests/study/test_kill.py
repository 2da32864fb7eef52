"""The proof: workers and parent killed at every kind of moment and resumed, and the table is the same byte for byte."""

import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from killing import STUDY, Command, kill, session_of, until, workers_of

from balora.report.records.report import read_report
from balora.study.store.study_folder import read_runs, read_study_record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds worker processes in /proc")

SEEDS = ("--seeds", "10")
RUNS = 80
SESSIONS = 2 * (
    ("parent-opened",),
    ("parent-starting",),
    ("worker-starting", "worker-begun", "worker-half-written", "worker-recorded", "parent-begun"),
    ("worker-recorded", "worker-begun", "worker-half-written", "parent-half-written"),
    ("worker-half-written", "worker-recorded", "worker-begun", "parent-recorded"),
)
"""Thirty kills: of whom and when; each line is one start of the study, and ends with a kill of the parent. `opened` and
`starting` come before any run, the others are moments of a run, at which `fakes.steered` kills."""


def results(command: Command) -> tuple[str, bytes]:
    """Return the report as JSON and as Markdown."""
    out = command.run("study", "report", "s", "--json")
    return out, (command.folder / "s" / "report.md").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """The same study without a disturbance."""
    command = Command(tmp_path_factory.mktemp("undisturbed"))
    command.run(*STUDY, *SEEDS)
    return results(command)


def check_that_what_is_there_is_whole(folder: Path) -> None:
    """Whatever the moment: every record reads, and the report can be made."""
    if (folder / "study.json").exists():
        _, faulty = read_runs(folder, read_study_record(folder))
        assert not faulty
        assert read_report(folder).counts.unreadable == 0


def kill_before_any_run(victim: str, pid: int, is_opened: Callable[[], bool]) -> None:
    """Kill the parent once it has written `study.json`, or one of both once workers start; no run can begin before."""
    if victim == "parent-opened":
        until(is_opened, "the study is not opened")
    else:
        until(lambda: bool(workers_of(pid)), "no worker is started")
    assert kill(workers_of(pid)[0] if victim == "worker-starting" else pid)


@pytest.mark.slow
def test_thirty_kills_and_resumptions_leave_the_same_table(tmp_path: Path, undisturbed: tuple[str, bytes]) -> None:
    command, study = Command(tmp_path), tmp_path / "s" / "study.json"
    for kills in SESSIONS:
        early = [victim for victim in kills if victim.endswith(("opened", "starting"))]
        command.order(*(victim for victim in kills if victim not in early))
        command.hold_runs(finished=0 if early else RUNS)
        before = study.stat().st_ino if study.exists() else None
        parent = command.start(*STUDY, *SEEDS, "--retry-failed")
        for victim in early:
            kill_before_any_run(
                victim, parent.pid, lambda before=before: study.exists() and study.stat().st_ino != before
            )
        command.hold_runs(finished=RUNS)
        assert parent.wait() == -signal.SIGKILL, command.stderr()
        until(lambda parent=parent: not session_of(parent.pid), "workers outlive their parent")
        check_that_what_is_there_is_whole(tmp_path / "s")
    assert not command.open_orders(), "every kill has hit"
    command.run(*STUDY, *SEEDS, "--retry-failed")
    assert results(command) == undisturbed
    finished = Counter(command.steering.marks.read_text().split())
    assert max(finished.values()) == 1, "a finished run was repeated"
    assert RUNS - sum(map(len, SESSIONS)) <= len(finished) <= RUNS, (
        "only a run killed between its record and its mark lacks a mark"
    )
    assert not list((tmp_path / "s" / "runs").glob(".*")), "what was half removed is cleared away"


@pytest.mark.parametrize(
    "finished", [None, pytest.param(0, marks=pytest.mark.slow), 7, pytest.param(30, marks=pytest.mark.slow)]
)
def test_ctrl_c_leaves_finished_runs_and_nothing_else(tmp_path: Path, finished: int | None) -> None:
    """As a terminal sends it, to parent and workers: when the study is opened, or when so many runs are finished."""
    command, output = Command(tmp_path), tmp_path / "s"
    command.hold_runs(finished or 0)
    parent = command.start(*STUDY, *SEEDS)
    until((output / "study.json").exists, "the study does not begin")
    if finished is not None:
        until(lambda: command.steering.finished() >= finished and any((output / "runs").iterdir()), "no run begins")
    for process in session_of(parent.pid):
        kill(process, signal.SIGINT)
    assert parent.wait() == 130
    until(lambda: not session_of(parent.pid), "a process is left")
    lines = command.stderr().splitlines()
    assert lines[-2].startswith("finished runs remain in s; to go on: balora study run pissa-initialization")
    assert lines[-1] == "balora: interrupted"
    assert "Traceback" not in command.stderr()
    check_that_what_is_there_is_whole(tmp_path / "s")
    folders = list((tmp_path / "s" / "runs").iterdir())
    assert all((folder / "run.json").exists() for folder in folders)
    assert (finished or 0) <= len(folders) <= (finished or 0) + 2, "two workers may have finished one more each"
