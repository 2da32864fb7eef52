"""A run that is killed while it is scored is scored again without being trained again, and gives the same record."""

from pathlib import Path
from typing import Any

import pytest
from recipe_data import write_recipe_data

from balora.training import run as run_module
from balora.training import trained_weights
from balora.training.record import RunRecord
from balora.training.run import run
from balora.training.spec import RunSpec, resolve
from balora.training.trainer import BALoraTrainer


class Killed(BaseException):
    """Stands for a signal that ends the process."""


def spec_of(checkpoint: Path, data: Path, **changes: Any) -> RunSpec:
    given: dict[str, Any] = {
        "task": "metamathqa",
        "model": str(checkpoint),
        "data.folder": str(data),
        "data.max_length": 512,
        "data.max_new_tokens": 4,
        "score": ["gsm8k"],
        "training.steps": 2,
        "training.batch_size": 2,
        "training.telemetry_every": 1,
    }
    given |= {} if changes.get("method") == "full" else {"adapter.rank": 2}
    return resolve({**given, **changes})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe_data(tmp_path_factory.mktemp("recipes"), "metamathqa", "gsm8k")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every training that starts."""
    found: list[int] = []
    train = BALoraTrainer.train

    def counted(self: BALoraTrainer, *args: Any, **kwargs: Any) -> Any:
        found.append(1)
        return train(self, *args, **kwargs)

    monkeypatch.setattr(BALoraTrainer, "train", counted)
    return found


def killed_while_scoring(spec: RunSpec, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "evaluate", kill)
        with pytest.raises(Killed):
            run(spec, folder)


def comparable(record: RunRecord) -> dict[str, Any]:
    return record.model_dump(exclude={"started", "cost", "digest", "notes", "files"})


@pytest.mark.parametrize("method", ["ba-lora", "full"])
def test_it_is_scored_without_another_training(
    method: str, checkpoint: Path, data: Path, tmp_path: Path, trainings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(checkpoint, data, method=method)
    whole = run(spec, tmp_path / "whole")
    killed_while_scoring(spec, tmp_path / "killed", monkeypatch)
    assert not (tmp_path / "killed" / "run.json").exists()
    assert len(trainings) == 2
    again = run(spec, tmp_path / "again")
    assert len(trainings) == 2
    assert comparable(again) == comparable(whole)
    assert again.files == whole.files
    assert "the run was interrupted after its training, and its saved weights were scored" in again.notes
    assert not list((tmp_path / "cache" / "trained").iterdir())


@pytest.mark.parametrize("damage", ["torn", "flipped", "link", "other"])
def test_weights_that_are_not_whole_are_not_used(
    damage: str, checkpoint: Path, data: Path, tmp_path: Path, trainings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(checkpoint, data)
    killed_while_scoring(spec, tmp_path / "killed", monkeypatch)
    (saved,) = (tmp_path / "cache" / "trained").iterdir()
    content = saved.read_bytes()
    if damage == "torn":
        saved.write_bytes(content[:-7])
    elif damage == "flipped":
        saved.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif damage == "link":
        saved.rename(tmp_path / "elsewhere")
        saved.symlink_to(tmp_path / "elsewhere")
    else:
        saved.write_bytes(b"{}")
    assert run(spec, tmp_path / "again").status == "ok"
    assert len(trainings) == 2


def test_weights_of_another_number_of_threads_are_not_used(
    checkpoint: Path, data: Path, tmp_path: Path, trainings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(checkpoint, data)
    killed_while_scoring(spec, tmp_path / "killed", monkeypatch)
    load = trained_weights.load_trained
    monkeypatch.setattr(run_module, "load_trained", lambda p, m, same: load(p, m, {**same, "threads": 99}))
    assert run(spec, tmp_path / "again").status == "ok"
    assert len(trainings) == 2


def test_a_cache_that_cannot_be_written_costs_no_training(
    checkpoint: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trained_weights, "write_atomic", refuse)
    assert run(spec_of(checkpoint, data), tmp_path / "run").status == "ok"
    assert "a run killed while scoring would train again" in caplog.text


def test_scoring_while_training_changes_no_weight(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    plain = run(spec_of(checkpoint, data), tmp_path / "plain")
    scored = run(spec_of(checkpoint, data, **{"training.evaluate_every": 1}), tmp_path / "scored")
    assert [one.step for one in scored.step_scores] == [1, 2]
    assert scored.step_scores[-1].scores == {"gsm8k": plain.score}
    assert scored.metrics == plain.metrics
    name = "adapter/adapter_model.safetensors"
    assert scored.files[name] == plain.files[name]
    assert scored.kept_step is None


def test_the_best_weights_are_kept_and_the_first_of_equal_ones(
    checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = run(spec_of(checkpoint, data, **{"training.steps": 3, "training.lr_schedule": "constant"}), tmp_path / "3")
    scores = iter([10.0, 50.0, 50.0])
    monkeypatch.setattr(run_module._Run, "scores", lambda self: {"gsm8k": next(scores)})
    changes = {"training.steps": 3, "training.lr_schedule": "constant"}
    best = run(
        spec_of(checkpoint, data, **changes, **{"training.evaluate_every": 1, "training.keep": "best"}), tmp_path / "b"
    )
    assert best.kept_step == 2
    assert best.metrics["answer_loss"] != one.metrics["answer_loss"]
    assert [step.scores["gsm8k"] for step in best.step_scores] == [10.0, 50.0, 50.0]
    assert any("optimistic" in note for note in best.notes)


def test_the_best_needs_several_scorings(checkpoint: Path, data: Path) -> None:
    with pytest.raises(Exception, match="keep: 'best' needs the scores of several steps: set evaluate_every too"):
        spec_of(checkpoint, data, **{"training.keep": "best"})
