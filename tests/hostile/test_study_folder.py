"""Links, pipes and foreign files in a study's folder are not followed or emptied, and two never work in one folder."""

import fcntl
import os
import shutil
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest
from refusals import contents, nothing_written
from sealed_study import Here, Notebook, carry_on, fakes, plan_of, with_adapter

from balora.errors import BaloraError, OutputError, TrainingError
from balora.report.records.report import read_report
from balora.report.watch.snapshot import Observer
from balora.study.engine.execute import Outcome, execute
from balora.study.engine.live_file import Live, read_live
from balora.study.engine.protocol import Event, Job
from balora.study.engine.watcher import Work
from balora.study.store.lock import NAME, is_locked, locked

PLAN = plan_of()
DONE = Outcome(8, 8, 0, 0, 0)


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder outside the study, in which nothing may change."""
    folder = tmp_path / "precious"
    (folder / "below").mkdir(parents=True)
    (folder / "thesis").write_text("years of work")
    (folder / "below" / "data").write_text("measured once")
    return folder


KINDS: dict[str, Callable[[Path, Path], object]] = {
    "a link to a file": lambda path, precious: path.symlink_to(precious / "thesis"),
    "a link to a folder": lambda path, precious: path.symlink_to(precious),
    "a link to nothing": lambda path, precious: path.symlink_to(precious / "new"),
    "a fifo": lambda path, precious: os.mkfifo(path),
    "a folder": lambda path, precious: shutil.copytree(precious, path),
    "a file": lambda path, precious: path.write_text("mine"),
    "a hard link": lambda path, precious: os.link(precious / "thesis", path),
}
REFUSED = {
    ".lock": set(KINDS),
    "log.txt": set(KINDS) - {"a file", "a hard link"},
    "runs": set(KINDS) - {"a folder"},
}
"""Where the study stops with one line; everywhere else it goes on."""


def put(path: Path, kind: str, precious: Path) -> None:
    """Put something else in the place of a file or folder of the study."""
    if os.path.lexists(path):
        path.rename(precious.parent / "kept")
    KINDS[kind](path, precious)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", [".lock", "log.txt", "runs", "study.json", ".live.json", "runs/.partial-x", ".partial-study.json-x"]
)
def test_what_stands_in_the_place_of_a_file_is_never_written_through(
    name: str, kind: str, study: Path, precious: Path
) -> None:
    put(study / name, kind, precious)
    watched = [precious, *([precious.parent / "kept"] if (precious.parent / "kept").exists() else [])]
    with nothing_written(*watched):
        if kind in REFUSED.get(name, ()):
            with nothing_written(study / name), pytest.raises(OutputError, match="move it away") as caught:
                carry_on(PLAN, study)
            assert str(study / name) in str(caught.value)
            assert "free space" not in str(caught.value)
        elif name == "runs":
            assert carry_on(PLAN, study)[0] == Outcome(8, 0, 8, 0, 0)
        else:
            assert carry_on(PLAN, study)[0] == DONE
            assert "partial" not in name or not os.path.lexists(study / name)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_under_the_name_of_a_removal_is_no_obstacle(kind: str, study: Path, precious: Path) -> None:
    """For a run that must be made again, under both names of unfinished work."""
    victim = study / PLAN.runs[2].folder
    (victim / "run.json").unlink()
    for prefix in (".partial-", ".partial-copy-"):
        KINDS[kind](victim.with_name(prefix + victim.name), precious)
    with nothing_written(precious):
        assert carry_on(PLAN, study)[0] == Outcome(8, 7, 1, 0, 0)
    assert not list((study / "runs").glob(".*"))


def test_the_output_folder_may_itself_be_a_link(study: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(study)
    assert carry_on(PLAN, tmp_path / "link")[0] == DONE
    assert read_report(tmp_path / "link") == read_report(study)


@pytest.mark.parametrize("text", ["mine\n", "a" * 5000, "12", "-1 host", "1 2 3 4", "\x00" * 20])
def test_a_lock_file_with_something_else_in_it_is_left_alone(text: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(text)
    foreign = "holds something that no `balora study run` wrote"
    with nothing_written(tmp_path), pytest.raises(OutputError, match=foreign), locked(tmp_path):
        pass


@pytest.mark.parametrize("kind", ["a link to a file", "a link to nothing", "a fifo", "a folder"])
def test_what_is_no_lock_file_shows_nothing(kind: str, tmp_path: Path, precious: Path) -> None:
    KINDS[kind](tmp_path / NAME, precious)
    assert is_locked(tmp_path) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_live_file_that_is_none_shows_nothing(kind: str, study: Path, precious: Path) -> None:
    put(study / ".live.json", kind, precious)
    assert read_live(study) == Live()
    assert Observer(study).read().complete


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"workers": 1e999}', '{"workers": NaN}', "9" * 5000, "\ud800", "{}" * 9]
)
def test_a_live_file_that_is_damaged_shows_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / ".live.json").write_bytes(text.encode(errors="surrogatepass"))
    assert read_live(tmp_path) == Live()


class Interfering(Notebook):
    """Acts once, when the third run begins."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.act, self.began = act, 0

    def job_started(self, work: Work) -> None:
        super().job_started(work)
        self.began += 1
        if self.began == 3:
            self.act()


def interfered(output: Path, act: Callable[[], object], **options: object) -> Outcome:
    options = {"pool": Here(), "run": with_adapter, **options}
    return execute(PLAN, output, Interfering(act), command="again", **options)  # type: ignore[arg-type]


LOST: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "replaced": lambda lock: (lock.unlink(), lock.touch()),
    "moved": lambda lock: lock.rename(lock.with_name("moved")),
    "a link": lambda lock: (lock.rename(lock.with_name("moved")), lock.symlink_to("moved")),
    "the folder moved": lambda lock: lock.parent.rename(lock.parents[1] / "elsewhere"),
}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_a_run_that_lost_its_lock_file_stops_and_removes_nothing(lose, tmp_path: Path) -> None:
    output = tmp_path / "s"
    with pytest.raises(OutputError, match=r"\.lock: was removed or replaced while .* the same command continues"):
        interfered(output, lambda: lose(output / NAME))
    there = tmp_path / "elsewhere" if (tmp_path / "elsewhere").exists() else output
    for name in ("moved", NAME):
        (there / name).unlink(missing_ok=True)
    done = len(list(there.glob("runs/*/run.json")))
    assert 2 <= done <= 3
    assert carry_on(PLAN, there)[0] == Outcome(8, done, 8 - done, 0, 0)


def test_a_second_run_after_the_lock_file_was_removed_costs_nothing(tmp_path: Path) -> None:
    """The second carries out all runs while the first stands still; not one of them fails or is removed."""
    output, after = tmp_path / "s", {}

    def second() -> None:
        (output / NAME).unlink()
        assert carry_on(PLAN, output)[0] == Outcome(8, 2, 6, 0, 0)
        after.update(contents(output / "runs"))

    with pytest.raises(OutputError, match="was removed or replaced"):
        interfered(output, second)
    assert contents(output / "runs") == after
    assert read_report(output).counts.ok == 8


@pytest.mark.parametrize("lose", [Path.unlink, LOST["replaced"], LOST["moved"]], ids=["removed", "replaced", "moved"])
def test_a_lock_on_a_file_that_is_gone_is_no_lock(lose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody takes the file away between its opening and the lock."""
    calls: list[int] = []

    def flock(descriptor: int, operation: int, real: Callable[[int, int], None] = fcntl.flock) -> None:
        if not calls:
            lose(tmp_path / NAME)
        calls.append(descriptor)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path) as descriptor:
        assert len(calls) == 2
        assert os.fstat(descriptor).st_ino == (tmp_path / NAME).stat().st_ino


class Failing:
    """A pool that fails with an error of the operating system."""

    workers = 1

    def __init__(self, after: int) -> None:
        self.after = after

    def carry_out(self, stages: Sequence[Sequence[Job]], output: Path, lock: int) -> Generator[Event]:
        events = Here().carry_out(stages, output, lock)
        for _ in range(self.after):
            yield next(events)
        raise OSError(24, "Too many open files", "/dev/null")


@pytest.mark.parametrize("after", [0, 1, 2, 7])
def test_a_pool_that_fails_is_one_line_and_finished_runs_remain(after: int, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^the pool failed \(Too many open files: /dev/null\); finished"):
        carry_on(PLAN, tmp_path / "s", pool=Failing(after))
    assert len(list(tmp_path.glob("s/runs/*/run.json"))) == after // 2
    assert carry_on(PLAN, tmp_path / "s")[0] == Outcome(8, after // 2, 8 - after // 2, 0, 0)


@pytest.mark.parametrize(
    ("number", "hint"), [(28, "free space or"), (13, "change its permissions"), (40, "move it away")]
)
def test_the_hint_fits_the_reason(number: int, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(number, os.strerror(number), "study.json")

    monkeypatch.setattr("balora.study.store.study_folder.write_study_record", refuse)
    line = rf"cannot be written \({os.strerror(number)}\): {hint}.*; finished runs remain$"
    with pytest.raises(BaloraError, match=line):
        carry_on(PLAN, tmp_path / "s", fakes.quick)
