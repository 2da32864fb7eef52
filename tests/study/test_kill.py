"""The proof: workers and parent killed at random moments and resumed, and the table is the same byte for byte."""

import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from killing import STUDY, Command, kill, session_of, until, workers_of

from balora.report.records.report import read_report
from balora.study.store.study_folder import read_runs, read_study_record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds worker processes in /proc")

KILLS = 30
SEEDS = ("--seeds", "10")
RUNS = 80


def results(command: Command) -> tuple[str, bytes]:
    """Return the report as JSON and as Markdown."""
    out = command.run("study", "report", "s", "--json")
    return out, (command.folder / "s" / "report.md").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    """The same study without a disturbance (and without waiting: what takes how long is not in the records)."""
    command = Command(tmp_path_factory.mktemp("undisturbed"), brief=0.0)
    command.run(*STUDY, *SEEDS)
    return results(command)


def check_that_what_is_there_is_whole(folder: Path) -> None:
    """Whatever the moment: every record reads, and the report can be made."""
    if (folder / "study.json").exists():
        _, faulty = read_runs(folder, read_study_record(folder))
        assert not faulty
        assert read_report(folder).counts.unreadable == 0


def test_thirty_kills_and_resumptions_leave_the_same_table(tmp_path: Path, undisturbed: tuple[str, bytes]) -> None:
    command, chance = Command(tmp_path), random.Random(20261124)
    killed: Counter[str] = Counter()
    parent = command.start(*STUDY, *SEEDS, "--retry-failed")
    while killed.total() < KILLS:
        time.sleep(chance.uniform(0.0, 0.45))
        if parent.poll() is not None:  # ended with failed runs: go on
            assert parent.returncode == 1, command.stderr()
        elif chance.random() < 0.4:
            killed["parent"] += kill(parent.pid)
            parent.wait()
            check_that_what_is_there_is_whole(tmp_path / "s")
        else:
            victims = workers_of(parent.pid)
            killed["worker"] += bool(victims) and kill(chance.choice(victims))
            continue
        session, parent = parent.pid, command.start(*STUDY, *SEEDS, "--retry-failed")
        until(lambda session=session: not session_of(session), "workers outlive their parent")
    parent.wait(timeout=60)
    assert min(killed["parent"], killed["worker"]) >= 8, killed
    command.run(*STUDY, *SEEDS, "--retry-failed")
    assert results(command) == undisturbed
    finished = Counter(command.marks.read_text().split())
    assert max(finished.values()) == 1, "a finished run was repeated"
    assert RUNS - KILLS <= len(finished) <= RUNS, "only a run killed between its record and its mark lacks a mark"
    assert not list((tmp_path / "s" / "runs").glob(".*")), "what was half removed is cleared away"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ctrl_c_leaves_finished_runs_and_nothing_else(tmp_path: Path, seed: int) -> None:
    """As a terminal sends it: to the parent and to every worker, at any moment once the study has begun."""
    command = Command(tmp_path)
    parent = command.start(*STUDY, *SEEDS)
    until(lambda: (tmp_path / "s" / "study.json").exists(), "the study does not begin")
    time.sleep(random.Random(seed).uniform(0.0, 1.5))
    for process in session_of(parent.pid):
        kill(process, signal.SIGINT)
    assert parent.wait(timeout=30) == 130
    until(lambda: not session_of(parent.pid), "a process is left")
    lines = command.stderr().splitlines()
    assert lines[-2].startswith("finished runs are kept in s; to go on: balora study run pissa-initialization")
    assert lines[-1] == "balora: interrupted"
    assert "Traceback" not in command.stderr()
    check_that_what_is_there_is_whole(tmp_path / "s")
    folders = list((tmp_path / "s" / "runs").iterdir())
    assert all((folder / "run.json").exists() for folder in folders)
    assert len(folders) < RUNS
