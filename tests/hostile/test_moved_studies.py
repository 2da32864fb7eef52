"""A study's folder in a container's overlay, on a read-only disk, or from a machine with an odd name still works."""

import errno
import os
import shutil
import socket
from io import BufferedWriter
from pathlib import Path

import pytest
from refusals import refused
from sealed_study import carry_on, plan_of

from balora.errors import OutputError
from balora.report.records.report import read_report
from balora.study.engine.execute import Outcome
from balora.study.store.lock import NAME, locked
from balora.study.store.run_folders import remove
from balora.training.record import read_record

PLAN = plan_of()
VICTIM = PLAN.runs[2].folder


@pytest.fixture
def overlay(study: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders that are there now cannot be renamed, as those of an image's lower layer cannot in a container."""
    lower = {path.stat().st_ino for path in (study / "runs").rglob("*") if path.is_dir()}
    rename = os.rename

    def refuse(source: str | Path, target: str | Path) -> None:
        if os.lstat(source).st_ino in lower:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    return study


def test_a_damaged_run_in_an_overlay_is_set_aside(overlay: Path) -> None:
    (overlay / VICTIM / "items.jsonl").write_text("edited")
    outcome, [message] = carry_on(PLAN, overlay)
    assert outcome == Outcome(8, 7, 1, 0, 0)
    assert str(overlay / VICTIM / "items.jsonl") in message
    assert (overlay / "runs" / ".aside" / f"{VICTIM.name}-1" / "items.jsonl").read_text() == "edited"
    assert read_report(overlay).counts.ok == 8


def test_a_run_in_an_overlay_is_removed(overlay: Path) -> None:
    remove(overlay / VICTIM)
    assert not os.path.lexists(overlay / VICTIM)
    assert carry_on(PLAN, overlay)[0] == Outcome(8, 7, 1, 0, 0)


def test_a_removal_in_an_overlay_that_breaks_off_leaves_no_record(
    overlay: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(folder))

    monkeypatch.setattr(shutil, "rmtree", break_off)
    with pytest.raises(OSError, match="Input/output error"):
        remove(overlay / VICTIM)
    assert read_record(overlay / VICTIM) is None
    assert (overlay / VICTIM / "adapter").is_dir()


def test_other_refusals_to_rename_copy_nothing(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str | Path, target: str | Path) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(source))

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match="Permission denied"):
        remove(study / VICTIM)
    assert read_record(study / VICTIM) is not None


def test_a_message_about_a_run_that_is_repeated_does_not_advise_to_delete_it(study: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(study, tmp_path / "other"))
    for folder in (study, other):
        (folder / VICTIM / "items.jsonl").write_text("edited")
    _, messages = carry_on(PLAN, study, reuse=(other,))
    assert [line.partition(":")[0] for line in messages] == ["set aside, to be run again", "not reused"]
    assert not any("delete" in line for line in messages)
    assert (other / VICTIM / "items.jsonl").read_text() == "edited"


def test_a_copy_that_fills_the_disk_leaves_nothing(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(source: object, target: BufferedWriter, *size: int) -> None:
        target.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", fill)
    with pytest.raises(OutputError, match=r"No space left on device\): free space or choose another --output"):
        carry_on(PLAN, tmp_path / "new", reuse=(study,))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("words", [["report"], ["report", "--answer"], ["report", "--format", "latex"]], ids=" ".join)
def test_a_report_that_cannot_be_written_says_where_it_could_go(
    words: list[str], study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _read_only(monkeypatch)
    refused(
        ["study", words[0], study, *words[1:]], f"{study}/report.", "(Read-only file system)", "--to", watched=study
    )


def test_a_page_that_cannot_be_written_can_be_left_out(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _read_only(monkeypatch)
    words = ["study", "watch", study, "--once", "--page"]
    refused(words, f"{study / 'report.html'}: cannot be written", "leave out --page", watched=study)


def _read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Path.open

    def refuse(path: Path, mode: str = "r", *arguments: int, **options: str) -> object:
        if mode[0] != "r" or not path.parent.exists():
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return usual(path, mode, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)


@pytest.mark.parametrize("name", ["", "my laptop", "b\udcfcro", "büro", "a" * 300], ids=ascii)
def test_whatever_a_machine_is_called_a_killed_run_is_followed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    with locked(tmp_path):
        left = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(left)  # as a kill leaves it
    with locked(tmp_path):
        assert (tmp_path / NAME).read_bytes() == left
