"""Output folders are refused when they hold something else; files are written whole or not at all."""

import os
import time
from pathlib import Path

import pytest

from balora.errors import OutputError
from balora.folders import PARTIAL, STALE, claim_output, remove_stale, write_atomic


def test_a_new_folder_is_taken_and_not_made(tmp_path: Path) -> None:
    assert claim_output(tmp_path / "a" / "b", kind="run") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert claim_output(str(tmp_path), kind="run") == tmp_path


def test_a_folder_with_work_of_the_same_kind_is_taken(tmp_path: Path) -> None:
    for name in ("run.json", ".run.json.17"):
        (tmp_path / name).touch()
    claim_output(tmp_path, kind="run", own=("run.json", ".run.json.*"))


def test_a_folder_with_something_else_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("run.json", "thesis.tex", "zebra"):
        (tmp_path / name).touch()
    with pytest.raises(
        OutputError, match=r"holds something that is no run output \('thesis\.tex'\): choose a new or empty"
    ):
        claim_output(tmp_path, kind="run", own=("run.json",))
    assert sorted(os.listdir(tmp_path)) == ["run.json", "thesis.tex", "zebra"]


@pytest.mark.parametrize("below", ["", "deep/er"])
def test_a_file_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "notes").touch()
    with pytest.raises(OutputError, match=r"notes is a file, not a folder"):
        claim_output(tmp_path / "notes" / below, kind="run")


def test_an_unwritable_parent_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def access(path: Path, mode: int) -> bool:  # root may write anywhere, so the answer is given here
        asked.append(Path(path))
        return False

    monkeypatch.setattr(os, "access", access)
    with pytest.raises(OutputError, match=f"output folder {tmp_path}/new/run: {tmp_path} cannot be written"):
        claim_output(tmp_path / "new" / "run", kind="run")
    assert asked == [tmp_path]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_parent_is_refused_for_real(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(OutputError, match="cannot be written"):
        claim_output(tmp_path / "locked" / "run", kind="run")


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="File name too long"):
        claim_output(tmp_path / ("x" * 300), kind="run")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    for content in ("é\n", b"bytes"):
        write_atomic(tmp_path / "record", content)
        assert (tmp_path / "record").read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert os.listdir(tmp_path) == ["record"]


@pytest.mark.parametrize("name", ["write", "replace"])
def test_a_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_atomic(tmp_path / "record", "old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    if name == "write":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "record", "new", durable=True)
    assert (tmp_path / "record").read_text() == "old"
    assert os.listdir(tmp_path) == ["record"]


def test_what_killed_processes_left_is_removed_and_what_others_are_writing_is_not(tmp_path: Path) -> None:
    for name, age in (("old", STALE + 600), ("new", STALE - 600)):
        (tmp_path / f"{PARTIAL}{name}").write_text("half")
        (tmp_path / f"{PARTIAL}{name}-folder").mkdir()
        (tmp_path / f"{PARTIAL}{name}-folder" / "weights").touch()
        for partial in tmp_path.glob(f"{PARTIAL}{name}*"):
            os.utime(partial, (0, time.time() - age))
    remove_stale(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [f"{PARTIAL}new", f"{PARTIAL}new-folder"]
