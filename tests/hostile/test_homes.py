"""Without a home, or a cache that can be written, balora works and only caches nothing that outlives the process."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from balora import folders
from balora.folders import CACHE_VARIABLE, cache_folder

TINY = ("training.steps=2", "training.batch_size=2", "data.train_rows=8", "data.eval_rows=8")


def nobody(patch: pytest.MonkeyPatch) -> None:
    """Take the home and the entry in the list of users away, as containers do."""
    import pwd

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    patch.delenv("HOME", raising=False)
    patch.setattr(pwd, "getpwuid", unknown)


def no_home(patch: pytest.MonkeyPatch, folder: Path) -> None:
    nobody(patch)


def home_that_cannot_be_made(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("HOME", "/proc/none")


def home_that_is_a_file(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("HOME", str(folder / "file"))


def empty_home(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("HOME", "")
    nobody(patch)


def relative_home(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("HOME", "some/where")


def relative_general(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("XDG_CACHE_HOME", "caches")
    nobody(patch)


def general_that_is_a_file(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("XDG_CACHE_HOME", str(folder / "file"))


def general_that_is_a_dangling_link(patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "link").symlink_to(folder / "gone")
    patch.setenv("XDG_CACHE_HOME", str(folder / "link"))


def named_file(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv(CACHE_VARIABLE, str(folder / "file"))


def named_below_a_file(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv(CACHE_VARIABLE, str(folder / "file" / "cache"))


def named_device(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv(CACHE_VARIABLE, "/dev/null")


def named_in_proc(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv(CACHE_VARIABLE, "/proc/none/cache")


def named_home_of_nobody(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv(CACHE_VARIABLE, "~no-such-user/cache")


def named_home_without_one(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv(CACHE_VARIABLE, "~/cache")
    nobody(patch)


def named_endless(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv(CACHE_VARIABLE, str(folder / ("x" * 300)))


CASES = (
    no_home, home_that_cannot_be_made, home_that_is_a_file, empty_home, relative_home, relative_general,
    general_that_is_a_file, general_that_is_a_dangling_link, named_file, named_below_a_file, named_device,
    named_in_proc, named_home_of_nobody, named_home_without_one, named_endless,
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the present one, with a file in it, and no cache in the environment."""
    monkeypatch.setenv(CACHE_VARIABLE, "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "file").write_text("a file")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_cache_is_a_private_temporary_folder(
    case, place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    case(monkeypatch, place)
    before = sorted(place.iterdir())
    with caplog.at_level(logging.WARNING):
        folder = cache_folder()
        assert cache_folder() == folder, "one for the whole process"
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.is_relative_to(place)
    assert os.environ[CACHE_VARIABLE] == str(folder), "for the processes that this one starts"
    assert sorted(place.iterdir()) == before, "nothing is made where the user is"
    [said] = caplog.records
    assert "set BALORA_CACHE to a folder" in said.getMessage()
    folders._remove_own(str(folder), os.getpid() + 1)
    assert folder.is_dir(), "another process removes nothing"
    folders._remove_own(str(folder), os.getpid())
    assert not folder.exists()


@pytest.mark.parametrize("named", ["cache", "new/deep/cache", "~/cache"])
def test_a_cache_that_can_be_made_is_used_and_asking_makes_nothing(
    named: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv(CACHE_VARIABLE, named)
    assert cache_folder() == place / named.removeprefix("~/")
    assert [path.name for path in place.iterdir()] == ["file"]


def test_without_a_temporary_folder_either_it_is_one_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, "/dev/null")
    monkeypatch.setattr(folders.tempfile, "mkdtemp", lambda **_: (_ for _ in ()).throw(OSError(28, "No space left")))
    folders._can_be_written.cache_clear()
    with pytest.raises(folders.OutputError, match=r"^no folder for the cache can be written \(No space left\): set"):
        cache_folder()
    folders._can_be_written.cache_clear()


SCRIPT = """
import sys
class Nobody:
    def getpwuid(uid): raise KeyError(f"getpwuid(): uid not found: {uid}")
    def getpwnam(name): raise KeyError(name)
sys.modules["pwd"] = Nobody
from balora.cli import main
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("home", [None, "/proc/none", ""])
@pytest.mark.parametrize("real", [False, True], ids=["testbed", "model"])
def test_a_run_goes_on_without_a_home_and_leaves_nothing_where_it_was_started(
    home: str | None, real: bool, tmp_path: Path, checkpoint: Path, data: Path
) -> None:
    (tmp_path / "here").mkdir()
    words = ["train", *(word for setting in TINY for word in ("--set", setting)), "--output", str(tmp_path / "out")]
    words += ["--model", str(checkpoint), "--task", "cola", "--data", str(data)] if real else []
    words += [] if real else ["--model", "testbed", "--task", "sentiment"]
    gone = ("HOME", "XDG_CACHE_HOME", "HF_HOME", CACHE_VARIABLE, "USER", "LOGNAME")
    env = {key: value for key, value in os.environ.items() if key not in gone}
    env |= {} if home is None else {"HOME": home}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], cwd=tmp_path / "here", env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "run.json").is_file()
    assert list((tmp_path / "here").iterdir()) == []
    assert "this is a bug" not in done.stderr
