"""Unfinished work of killed processes goes, that of live ones and of those elsewhere stays, and no link is followed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from refusals import nothing_written

from balora.errors import OutputError
from balora.folders import PARTIAL, STALE, delete, remove_dead, remove_stale, staged, write_atomic
from balora.processes import Mark, is_alive, own_mark, read_mark

HERE = own_mark()
TAIL = "-0123abcd"


def ended() -> int:
    """Return the number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


NAMES = {
    "this process": (lambda: str(HERE), True),
    "a dead process": (lambda: str(HERE._replace(number=ended())), False),
    "a later process with the number": (lambda: str(HERE._replace(start=HERE.start - 1)), False),
    "another container": (lambda: str(Mark(ended(), "00000000", 5)), True),
    "a system that shows nothing": (lambda: str(Mark(ended(), "unknown", 0)), True),
    "an earlier version, alive": (lambda: str(os.getpid()), True),
    "an earlier version, dead": (lambda: str(ended()), False),
    "a number beyond all": (lambda: "9999999999", False),
    "no number": (lambda: "notes", True),
    "a number in front": (lambda: "2019-notes", True),
}


@pytest.mark.parametrize("prefix", ["", "run.json-"], ids=["folder", "file"])
@pytest.mark.parametrize(("name", "stays"), NAMES.values(), ids=NAMES)
def test_only_what_the_dead_left_goes(name, stays: bool, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / f"{PARTIAL}{prefix}{name()}{TAIL if prefix else ''}"
    if prefix:
        path.write_text("half")
    else:
        (path / "deep").mkdir(parents=True)
        (path / "deep" / "weights").write_text("half")
    remove_dead(tmp_path)
    assert path.exists() == stays


def test_a_name_that_only_ends_with_a_number_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / f"{PARTIAL}notes-{ended()}").write_text("mine")
    remove_dead(tmp_path)
    assert list(tmp_path.iterdir())


def test_a_killed_process_is_dead_before_it_is_waited_for() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    mark = HERE._replace(number=child.pid, start=0)
    assert is_alive(mark)
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    if sys.platform == "linux":
        assert is_alive(mark) is False
    child.wait()
    assert is_alive(mark) is False


def test_somebody_elses_process_counts_as_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr("balora.processes._status", lambda number: None)  # as where /proc hides them
    assert is_alive(HERE._replace(number=ended()))


@pytest.mark.parametrize("text", ["", "12", "12-", "a-0123abcd-5", "12-0123abcd-5-6", "12-0123ABCD-5", "1" * 99])
def test_what_is_no_mark_is_none(text: str) -> None:
    assert read_mark(text) is None


def test_a_mark_comes_back_as_it_was_written() -> None:
    assert read_mark(str(HERE)) == HERE
    assert is_alive(HERE)


def secret(folder: Path) -> Path:
    """Return a folder with a file that must not be touched."""
    (folder / "precious").mkdir()
    (folder / "precious" / "thesis").write_text("years of work")
    return folder / "precious"


@pytest.mark.parametrize("target", ["folder", "file", "nothing"])
@pytest.mark.parametrize("clear", [remove_dead, remove_stale], ids=["dead", "stale"])
def test_a_link_goes_and_its_target_stays(clear, target: str, tmp_path: Path) -> None:
    precious, place = secret(tmp_path), tmp_path / "place"
    place.mkdir()
    link = place / f"{PARTIAL}{ended()}"
    link.symlink_to({"folder": precious, "file": precious / "thesis", "nothing": tmp_path / "none"}[target])
    os.utime(link, (0, time.time() - 2 * STALE), follow_symlinks=False)
    with nothing_written(precious):
        clear(place)
    assert not list(place.iterdir())


@pytest.mark.parametrize("kind", ["file", "folder", "link to a folder", "link to nothing", "fifo", "nothing"])
def test_whatever_has_the_name_can_be_deleted(kind: str, tmp_path: Path) -> None:
    precious, path = secret(tmp_path), tmp_path / "path"
    if kind == "file":
        path.write_text("x")
    elif kind == "folder":
        (path / "below").mkdir(parents=True)
        (path / "below" / "link").symlink_to(precious)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind != "nothing":
        path.symlink_to(precious if "folder" in kind else "none")
    with nothing_written(precious):
        delete(path)
    assert not os.path.lexists(path)


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    precious = secret(tmp_path)
    (tmp_path / "study.json").symlink_to(precious / "thesis")
    with nothing_written(precious):
        write_atomic(tmp_path / "study.json", "new")
    assert not (tmp_path / "study.json").is_symlink()
    assert (tmp_path / "study.json").read_text() == "new"


def test_a_name_of_255_bytes_is_written(tmp_path: Path) -> None:
    for name in ("x" * 255, "é" * 127, "模" * 85):
        write_atomic(tmp_path / name, "new")
        assert (tmp_path / name).read_text() == "new"


def test_a_link_that_appears_where_a_result_goes_is_refused(tmp_path: Path) -> None:
    precious = secret(tmp_path)

    def overtaken() -> None:
        with staged(tmp_path / "out") as work:
            (work / "adapter").mkdir()
            (tmp_path / "out" / "adapter").symlink_to(tmp_path / "none")

    with nothing_written(precious), pytest.raises(OutputError, match="written by another process meanwhile"):
        overtaken()


KILLED = """
import sys, time
from pathlib import Path
from balora.folders import staged
with staged(Path(sys.argv[1])) as work:
    (work / "half").write_text("half")
    print("here", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_goes_with_the_next_one_and_live_work_stays(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE) for _ in range(2)
    ]
    for child in children:
        request.addfinalizer(child.kill)
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
    children[0].kill()
    children[0].wait()
    with staged(tmp_path) as work:
        (work / "run.json").write_text("{}")
    assert (tmp_path / "run.json").exists()
    [left] = tmp_path.glob(f"{PARTIAL}*")
    assert left.name.startswith(f"{PARTIAL}{children[1].pid}-"), "the live one's"
    for child in children:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
