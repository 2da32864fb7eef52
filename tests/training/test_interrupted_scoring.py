"""A run that is killed while it is scored is scored again without being trained again, and gives the same record."""

import re
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from recipe_data import write_recipe_data
from safetensors import SafetensorError

from balora.errors import TrainingError
from balora.tasks.kept_answers import KeptAnswers
from balora.training import run as run_module
from balora.training import train_or_take, trained_weights
from balora.training.record import RunRecord
from balora.training.run import run
from balora.training.run_in_folder import run_in_folder
from balora.training.spec import RunSpec, resolve
from balora.training.step_scores import ScoreWhileTraining
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


@pytest.fixture(scope="module")
def left(checkpoint: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cache that a run left which was killed while it was scored."""
    place = tmp_path_factory.mktemp("left")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BALORA_CACHE", str(place / "cache"))
        killed_while_scoring(spec_of(checkpoint, data), place / "killed", patch)
    return place / "cache"


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


def test_answers_that_it_had_generated_are_taken(
    checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(checkpoint, data, **{"training.eval_batch_size": 1})
    whole = run(spec, tmp_path / "whole")
    keep, kept = KeptAnswers.keep, list[str]()

    def killed_after_three(self: KeptAnswers, key: str, texts: list[str], seconds: float) -> None:
        keep(self, key, texts, seconds + 1000)
        kept.append(key)
        if len(kept) == 3:
            raise Killed

    monkeypatch.setattr(KeptAnswers, "keep", killed_after_three)
    with pytest.raises(Killed):
        run(spec, tmp_path / "killed")
    again = run(spec, tmp_path / "again")
    assert len(kept) == len(set(kept)) == again.rows == 4
    assert comparable(again) == comparable(whole)
    assert again.files == whole.files
    assert 3000 < again.cost.eval_seconds < 4000
    assert not list((tmp_path / "cache" / "trained").iterdir())


@pytest.mark.parametrize("damage", ["torn", "flipped", "link", "other"])
def test_weights_that_are_not_whole_are_not_used(
    damage: str, left: Path, checkpoint: Path, data: Path, tmp_path: Path, trainings: list[int]
) -> None:
    (saved,) = (shutil.copytree(left, tmp_path / "cache") / "trained").iterdir()
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
    assert run(spec_of(checkpoint, data), tmp_path / "again").status == "ok"
    assert len(trainings) == 1


@pytest.mark.slow
def test_weights_of_another_number_of_threads_are_not_used(
    checkpoint: Path, data: Path, tmp_path: Path, trainings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(checkpoint, data)
    killed_while_scoring(spec, tmp_path / "killed", monkeypatch)
    load = trained_weights.load_trained
    monkeypatch.setattr(train_or_take, "load_trained", lambda p, m, same: load(p, m, {**same, "threads": 99}))
    assert run(spec, tmp_path / "again").status == "ok"
    assert len(trainings) == 2


def test_weights_of_another_number_of_threads_do_not_fit(tmp_path: Path) -> None:
    model, path = torch.nn.Linear(2, 2), tmp_path / "trained" / "0.safetensors"
    trained_weights.save_trained(path, model, {"threads": 1})
    assert trained_weights.load_trained(path, model, {"threads": 99}) is None
    assert trained_weights.load_trained(path, model, {"threads": 1}) == {"threads": 1}


def test_a_cache_that_cannot_be_written_costs_no_training(
    checkpoint: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = trained_weights.save_file

    faults = [OSError(28, "No space left on device"), SafetensorError("I/O error")]

    def refuse(weights: Any, path: Path, metadata: Any) -> None:
        write(weights, path, metadata)
        raise faults.pop()

    monkeypatch.setattr(trained_weights, "save_file", refuse)
    for number in range(len(faults)):
        assert run(spec_of(checkpoint, data), tmp_path / f"run{number}").status == "ok"
        assert "a run killed while scoring would train again" in caplog.text
        assert not list((tmp_path / "cache" / "trained").iterdir())
        caplog.clear()


def test_a_run_that_failed_while_it_was_scored_is_scored_again_without_another_training(
    checkpoint: Path, data: Path, tmp_path: Path, trainings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise TrainingError("the judge went away")

    spec = spec_of(checkpoint, data)
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "evaluate", fail)
        with pytest.raises(TrainingError, match="the judge went away"):
            run_in_folder(spec, tmp_path / "run")
    record, done_before = run_in_folder(spec, tmp_path / "run")
    assert (record.status, done_before, len(trainings)) == ("ok", False, 1)
    assert not list((tmp_path / "cache" / "trained").iterdir())


def test_saving_the_weights_holds_no_second_copy_of_them(tmp_path: Path) -> None:
    model = torch.nn.Linear(2000, 2000)  # 16 MB
    with traced_memory() as most:
        trained_weights.save_trained(tmp_path / "trained" / "0.safetensors", model, {})
    assert most() < 4e6
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.nn.init.zeros_(model.weight)
    assert trained_weights.load_trained(tmp_path / "trained" / "0.safetensors", model, {}) == {}
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())


@contextmanager
def traced_memory() -> Iterator[Callable[[], int]]:
    """Yield a function that returns the most bytes that Python held at once inside the block (numpy's and bytes)."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_scoring_while_training_changes_no_weight_and_scores_the_last_ones_once(
    checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run(spec_of(checkpoint, data), tmp_path / "plain")
    scorings: list[int] = []
    score = run_module._Run.score
    monkeypatch.setattr(run_module._Run, "score", lambda self, kept=None: (scorings.append(1), score(self, kept))[1])
    scored = run(spec_of(checkpoint, data, **{"training.evaluate_every": 1}), tmp_path / "scored")
    assert len(scorings) == 2
    assert [one.step for one in scored.step_scores] == [1, 2]
    assert scored.step_scores[-1].scores == {"gsm8k": plain.score}
    assert scored.metrics == plain.metrics
    name = "adapter/adapter_model.safetensors"
    assert scored.files[name] == plain.files[name]
    assert scored.kept_step is None


@pytest.mark.slow
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


def test_the_weights_that_scored_best_first_are_remembered() -> None:
    model, scores = torch.nn.Linear(1, 1, bias=False), iter([10.0, 50.0, 50.0, 20.0])
    scoring = ScoreWhileTraining(1, best=True, score=lambda: {"gsm8k": next(scores)}, model=model)
    for step in (1, 2, 3, 4):
        torch.nn.init.constant_(model.weight, float(step))
        scoring.add(step)
    assert scoring.restore_best() == 2
    assert model.weight.item() == 2.0


def test_the_best_needs_several_scorings(checkpoint: Path, data: Path) -> None:
    with pytest.raises(Exception, match="keep: 'best' needs the scores of several steps: set evaluate_every too"):
        spec_of(checkpoint, data, **{"training.keep": "best"})


def test_out_of_memory_names_the_peak_and_what_to_change(
    checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch raises this class on GPUs alone."""

    def fill(self: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(BALoraTrainer, "train", fill)
    record = run(spec_of(checkpoint, data), tmp_path / "run")
    assert record.status == "failed"
    assert record.error is not None
    assert record.error.kind == "OutOfMemoryError"
    assert re.fullmatch(
        r"CUDA out of memory\. Tried to allocate 2\.00 GiB\.; peak [\d,]+ MiB: lower training\.batch_size \(now 2\) "
        r"and raise training\.accumulation, set training\.gradient_checkpointing, set training\.optimizer to "
        r"paged_adamw_8bit, set model\.quantization to nf4, lower data\.max_length \(now 512\) or "
        r"training\.eval_batch_size",
        record.error.message,
    )
