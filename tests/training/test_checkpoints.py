"""A run that is killed at any moment of its training goes on from its last whole checkpoint, to the same record."""

import json
import random
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from balora.progress import Progress
from balora.training import checkpoints as checkpoints_module
from balora.training.checkpoints import SEAL, SaveCheckpoints, checkpoint_folder, claimed, last_whole
from balora.training.fingerprint import fingerprints
from balora.training.identity import run_id
from balora.training.record import RunRecord
from balora.training.run import run
from balora.training.spec import RunSpec, resolve

STEPS = 11


class Killed(BaseException):
    """Stands for a signal that ends the process."""


def spec_of(task: str = "sentiment", **changes: Any) -> RunSpec:
    given: dict[str, Any] = {
        "task": task,
        "model": "testbed",
        "data.train_rows": 20,
        "data.eval_rows": 12,
        "data.max_new_tokens": 4,
        "training.steps": STEPS,
        "training.batch_size": 4,
        "training.telemetry_every": 2,
        "training.checkpoint_every": 3,
    }
    given |= {} if "method" in changes else {"adapter.rank": 2, "adapter.dropout": 0.1}
    return resolve({**given, **changes})


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))


def folder_of(spec: RunSpec) -> Path:
    return checkpoint_folder(run_id(spec, fingerprints(spec)))


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what a run that was killed after eight steps has left: checkpoints of steps 3 and 6."""
    place, spec = tmp_path_factory.mktemp("left"), spec_of()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BALORA_CACHE", str(place / "cache"))
        killed_at(8, spec, place / "killed")
        return folder_of(spec)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], RunRecord]:
    """Return a function that carries a run out without a disturbance, once for each specification."""
    records: dict[str, RunRecord] = {}

    def record_of(spec: RunSpec) -> RunRecord:
        place, key = tmp_path_factory.mktemp("undisturbed"), spec.model_dump_json()
        if key not in records:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("BALORA_CACHE", str(place / "cache"))
                records[key] = run(spec, place / "run")
        return records[key]

    return record_of


def saved(spec: RunSpec) -> list[str]:
    return sorted(path.name for path in folder_of(spec).glob("*"))


def killed_at(step: int, spec: RunSpec, folder: Path, **options: Any) -> None:
    """Run until ``step`` steps are done, and be killed before the checkpoint that may come after them."""

    def kill(progress: Progress) -> None:
        if progress.phase == "train" and progress.step == step:
            raise Killed

    with pytest.raises(Killed):
        run(spec, folder, on_progress=kill, **options)
    assert not (folder / "run.json").exists()


def comparable(record: RunRecord) -> dict[str, Any]:
    return record.model_dump(exclude={"started", "cost", "digest"})


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("sentiment", {}),
        ("facts", {}),
        pytest.param("sentiment", {"method": "full+reg"}, marks=pytest.mark.slow),
        pytest.param("facts", {"training.accumulation": 2, "adapter.init": "standard"}, marks=pytest.mark.slow),
        ("sentiment", {"training.evaluate_every": 2, "training.keep": "best"}),
    ],
)
def test_a_run_that_was_killed_goes_on_to_the_same_bits(
    task: str, changes: dict[str, Any], undisturbed: Callable[[RunSpec], RunRecord], tmp_path: Path
) -> None:
    """`files` holds a digest of every file: the weights, every item and the series are the same to the last bit."""
    spec = spec_of(task, **changes)
    whole = undisturbed(spec)
    killed_at(8, spec, tmp_path / "killed")
    assert [name for name in saved(spec) if name.startswith("checkpoint")] == ["checkpoint-3", "checkpoint-6"]
    if task == "sentiment":  # its rows come again: what is known of the reference is written with a checkpoint
        assert list((tmp_path / "cache" / "reference").rglob("*.safetensors"))
    again = run(spec, tmp_path / "again")
    assert comparable(again) == comparable(whole)
    assert again.cost.resumed == 1
    assert whole.cost.resumed == 0
    assert again.cost.steps == STEPS
    assert not list((tmp_path / "cache" / "checkpoints").iterdir())


@pytest.mark.slow
def test_a_run_that_is_killed_ten_times_ends_as_one_that_never_was(tmp_path: Path) -> None:
    spec = spec_of("facts", **{"training.steps": 30})
    whole = run(spec, tmp_path / "whole")
    moments = sorted(random.Random(0).sample(range(2, 30), 10))
    for number, step in enumerate(moments):
        killed_at(step, spec, tmp_path / f"killed {number}")
    again = run(spec, tmp_path / "again")
    assert comparable(again) == comparable(whole)
    assert 1 <= again.cost.resumed <= 10


def test_only_the_last_two_are_kept_and_none_after_the_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(**{"training.checkpoint_every": 1})
    steps, save = list[int](), SaveCheckpoints.save

    def counted(self: SaveCheckpoints, step: int) -> None:
        steps.append(step)
        save(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(SaveCheckpoints, "save", counted)
        run(spec, tmp_path / "whole")
    assert steps == [*range(1, STEPS)]
    killed_at(STEPS, spec, tmp_path / "killed")
    assert [name for name in saved(spec) if name.startswith("checkpoint")] == [
        f"checkpoint-{STEPS - 1}",
        f"checkpoint-{STEPS - 2}",
    ]


@pytest.mark.parametrize("damage", ["no seal", "torn", "flipped", "link", "more", "format"])
def test_a_checkpoint_that_is_not_whole_is_not_used(
    damage: str, left: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The one before it is; a killed process may have left the last one half written."""
    folder = shutil.copytree(left, tmp_path / "copy")
    last = folder / "checkpoint-6"
    weights = last / "adapter_model.safetensors"
    content = weights.read_bytes()
    if damage == "no seal":
        (last / SEAL).unlink()
    elif damage == "torn":
        weights.write_bytes(content[:-7])
    elif damage == "flipped":
        weights.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif damage == "link":
        weights.rename(tmp_path / "elsewhere")
        weights.symlink_to(tmp_path / "elsewhere")
    elif damage == "more":
        (last / "extra.bin").write_bytes(b"x")
    else:
        seal = json.loads((last / SEAL).read_text())
        (last / SEAL).write_text(json.dumps({**seal, "format": 0}))
    found = last_whole(folder, {})
    assert found is not None
    assert found.place.name == "checkpoint-3"
    assert not last.exists()
    assert f"{last} is not whole" in caplog.text


def test_a_checkpoint_of_another_number_of_threads_is_removed(
    left: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Left there, it would count as later than those of the training that starts over."""
    folder = shutil.copytree(left, tmp_path / "copy")
    assert last_whole(folder, {"device": "cpu"}) is not None
    assert last_whole(folder, {"threads": 99}) is None
    assert not list(folder.glob("checkpoint-*"))
    assert "was made with threads 1, not 99: it is not used, and removed" in caplog.text


def test_other_settings_are_another_run() -> None:
    assert folder_of(spec_of()) != folder_of(spec_of(**{"training.seed": 7}))
    for change in ({"training.checkpoint_every": 5}, {"training.checkpoint_minutes": 1.0}):
        assert folder_of(spec_of()) == folder_of(spec_of(**change)), "how often is no part of the id"


def test_minutes_decide_where_no_steps_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that moves on by a minute whenever it is read."""
    now = count(step=60)
    monkeypatch.setattr(checkpoints_module, "time", SimpleNamespace(monotonic=lambda: float(next(now))))
    spec = spec_of(**{"training.checkpoint_every": None, "training.checkpoint_minutes": 3.0})
    killed_at(STEPS, spec, tmp_path / "killed")
    assert [name for name in saved(spec) if name.startswith("checkpoint")]
    never = spec_of(**{"training.checkpoint_every": None, "training.checkpoint_minutes": 0.0, "training.seed": 5})
    killed_at(STEPS, never, tmp_path / "never")
    assert saved(never) == []


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("balora.training.checkpoints.write_atomic", OSError(28, "No space left on device")),
        ("torch.save", RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")),
    ],
)
def test_a_full_disk_ends_the_saving_and_not_the_training(
    place: str,
    fault: Exception,
    undisturbed: Callable[[RunSpec], RunRecord],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise fault

    spec = spec_of()
    whole = undisturbed(spec)
    monkeypatch.setattr(place, full)
    again = run(spec, tmp_path / "again")
    assert comparable(again) == comparable(whole)
    assert caplog.text.count("no checkpoint can be saved in") == 1
    assert "training goes on without, and would start over if it were killed" in caplog.text


def test_two_processes_do_not_write_the_same_checkpoints(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = spec_of()
    with claimed(folder_of(spec)) as mine:
        assert mine
        record = run(spec, tmp_path / "run")
        assert saved(spec) == []
        (folder_of(spec) / "checkpoint-1").mkdir(parents=True)
        run(spec, tmp_path / "another")
        assert saved(spec) == ["checkpoint-1"], "only the process that has the folder removes what is in it"
    assert record.status == "ok"
    assert "another process trains the same run: no checkpoints are saved in" in caplog.text


def test_a_lock_file_that_was_removed_meanwhile_is_no_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner ended between our opening it and our locking it; a third process may have made another."""
    folder, lock = tmp_path / "run", checkpoints_module._locks

    def removed(descriptor: int) -> bool:
        (tmp_path / "run.lock").unlink()
        return lock(descriptor)

    monkeypatch.setattr(checkpoints_module, "_locks", removed)
    with claimed(folder) as mine:
        assert not mine


def test_a_failed_run_leaves_no_checkpoint(tmp_path: Path) -> None:
    spec = spec_of(**{"training.learning_rate": 1e30, "training.checkpoint_every": 1, "training.max_grad_norm": 1e30})
    assert run(spec, tmp_path / "run").status == "failed"
    assert saved(spec) == []
