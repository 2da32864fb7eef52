"""Checkpoints on object storage: another machine goes on where a lost one was, and to the same record."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from balora.progress import Progress
from balora.study.store.object_storage import Storage
from balora.study.store.stored_checkpoints import discard_stored, stored_checkpoints
from balora.training.checkpoints import SEAL, checkpoint_folder
from balora.training.fingerprint import fingerprints
from balora.training.identity import run_id
from balora.training.run import run
from balora.training.spec import resolve

ID = "0123456789abcdef"
OFTEN = 0.02


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "one"))
    made = Storage("memory://bucket/study")
    store = made.files.store
    store.clear()
    yield made
    store.clear()


def checkpoint(step: int, *, is_whole: bool = True) -> Path:
    place = checkpoint_folder(ID) / f"checkpoint-{step}"
    place.mkdir(parents=True)
    (place / "weights").write_text(f"after {step}")
    if is_whole:
        (place / SEAL).write_text("{}")
    return place


def until_stored(storage: Storage, names: set[str]) -> None:
    deadline = time.monotonic() + 600
    while {name.removeprefix(f"checkpoints/{ID}/") for name in storage.names("checkpoints")} != names:
        assert time.monotonic() < deadline, storage.names()
        time.sleep(OFTEN)


def test_whole_checkpoints_are_stored_and_old_ones_removed(storage: Storage) -> None:
    with stored_checkpoints(storage, ID, OFTEN):
        checkpoint(3)
        until_stored(storage, {"checkpoint-3/weights", f"checkpoint-3/{SEAL}"})
        old = checkpoint_folder(ID) / "checkpoint-3"
        checkpoint(9, is_whole=False)
        for path in old.iterdir():
            path.unlink()
        old.rmdir()
        checkpoint(6)
        until_stored(storage, {"checkpoint-6/weights", f"checkpoint-6/{SEAL}"})
    discard_stored(storage, ID)
    assert storage.names() == []


def test_another_machine_gets_what_is_there_as_a_whole(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stored_checkpoints(storage, ID, OFTEN):
        checkpoint(3)
        until_stored(storage, {"checkpoint-3/weights", f"checkpoint-3/{SEAL}"})
    storage.files.pipe_file(f"{storage.root}/checkpoints/{ID}/checkpoint-6/weights", b"in part")
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "two"))
    with stored_checkpoints(storage, ID):
        assert [path.name for path in checkpoint_folder(ID).iterdir()] == ["checkpoint-3"]
        assert (checkpoint_folder(ID) / "checkpoint-3" / "weights").read_text() == "after 3"
    storage.pull()
    assert not (storage.mirror / "checkpoints").exists()


def test_training_goes_on_where_the_storage_fails(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    def fails(*given: object, **options: object) -> None:
        raise ConnectionError("no route")

    storage.files = type("Failing", (), dict.fromkeys(("find", "put_file", "invalidate_cache"), fails))()
    with stored_checkpoints(storage, ID, OFTEN):
        checkpoint(3)
        deadline = time.monotonic() + 600
        while "a checkpoint cannot be stored (no route)" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(OFTEN)
    assert "checkpoints cannot be read (no route): training begins anew" in caplog.text


def test_a_run_goes_on_elsewhere_to_the_record_of_one_that_was_not_lost(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LostError(BaseException):
        pass

    spec = resolve({
        "task": "sentiment", "model": "testbed", "data.train_rows": 20, "data.eval_rows": 12, "adapter.rank": 2,
        "training.steps": 8, "training.batch_size": 4, "training.checkpoint_every": 3,
    })  # fmt: skip
    id = run_id(spec, fingerprints(spec))

    def lose(progress: Progress) -> None:
        if (progress.phase, progress.step) == ("train", 5):
            deadline = time.monotonic() + 600
            while not any(name.endswith(SEAL) for name in storage.names("checkpoints")):
                assert time.monotonic() < deadline
                time.sleep(OFTEN)
            raise LostError

    whole = run(spec, tmp_path / "whole")
    with pytest.raises(LostError), stored_checkpoints(storage, id, OFTEN):
        run(spec, tmp_path / "lost", on_progress=lose)
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "two"))
    with stored_checkpoints(storage, id):
        again = run(spec, tmp_path / "again")

    def figures(record: Any) -> Any:
        return record.score, record.metrics, record.terms, record.files

    assert again.cost.resumed == 1
    assert whole.cost.resumed == 0
    assert figures(again) == figures(whole)
