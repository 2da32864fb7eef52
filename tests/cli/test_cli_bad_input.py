"""Input that cannot be used is refused: one line on stderr, exit code 2, nothing half-written."""

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Balora, Ended, run_balora

QUICK = ("training.steps=2", "training.batch_size=4", "data.train_rows=8", "data.eval_rows=8", "data.max_new_tokens=4")

Train = Callable[..., Ended]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "run"


@pytest.fixture
def train(balora: Balora, checkpoint: Path, data: Path, output: Path) -> Train:
    """Run `balora train` on the real input with some of it replaced."""

    def run(
        *assignments: str, task: str = "cola", model: object = checkpoint, folder: object = data, words=()
    ) -> Ended:
        given = [word for assignment in (*QUICK, *assignments) for word in ("--set", assignment)]
        return balora(
            "train", "--model", model, "--data", folder, "--task", task, "--output", output, *given, *words
        )  # fmt: skip

    return run


def refused(ended: Ended, output: Path, *words: str) -> None:
    """Check the exit code, that the only line names every one of ``words``, and that nothing was written."""
    assert ended.code == 2, ended.err
    assert ended.err.startswith("balora: error: ")
    assert ended.err.count("\n") == 1, ended.err
    assert "Traceback" not in ended.err
    assert "bug" not in ended.err
    assert ended.out == ""
    for word in words:
        assert word in ended.err, ended.err
    assert not output.parent.exists()


def test_the_unspoiled_input_can_be_used(train: Train, output: Path) -> None:
    assert train().code == 0
    assert (output / "run.json").is_file()


@pytest.mark.parametrize(
    ("assignments", "words"),
    [
        (("task=colla",), ("unknown task 'colla'", "did you mean 'cola'?")),
        (("method=ba-lor",), ("unknown method 'ba-lor'", "did you mean 'ba-lora'?")),
        (("adapter.rnak=8",), ("adapter.rnak", "did you mean 'rank'?")),
        (("adapter.rank=65",), ("rank", "64", "65", "q_proj")),
        (("adapter.dropout=1",), ("adapter.dropout", "less than 1")),
        (("adapter.target_modules=[q_prj]",), ("target module 'q_prj'", "did you mean 'q_proj'?")),
        (("objective.consistency.weight=-0.1",), ("objective.consistency.weight", "0", "-0.1")),
        (("objective.spectral.k=0",), ("objective.spectral.k", "1", "0")),
        (("objective.consistency.temperature=0",), ("objective.consistency.temperature", "greater than 0")),
        (("training.steps=0",), ("training.steps", "greater than or equal to 1")),
        (("training.steps=many",), ("training.steps", "'many'")),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name_and_limit(
    train: Train, output: Path, assignments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(train(*assignments), output, *words)


def test_top_k_above_the_vocabulary_is_refused(train: Train, output: Path) -> None:
    ended = train("objective.diversity.top_k=513", "objective.diversity.schedule=constant", task="gsm8k")
    refused(ended, output, "513", "512")


def first_rows(source: Path, folder: Path) -> None:
    """Copy the first 12 lines of a file of rows into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = source.read_text(encoding="utf-8").splitlines()[:12]
    (folder / source.name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_data_whose_rows_are_all_too_long_is_refused(train: Train, data: Path, tmp_path: Path, output: Path) -> None:
    for split in ("train", "test"):
        first_rows(data / "gsm8k" / f"{split}.jsonl", tmp_path / "gsm8k")
    ended = train("data.max_length=20", task="gsm8k", folder=tmp_path / "gsm8k")
    refused(ended, output, "data.max_length = 20", "raise the limit")


# --- data ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def cola(tmp_path: Path, data: Path) -> Path:
    """A small copy of CoLA whose files a test may spoil."""
    folder = tmp_path / "data" / "CoLA"
    for split in ("train", "validation"):
        first_rows(data / "glue" / "CoLA" / f"{split}.jsonl", folder)
    return folder


def spoil(cola: Path, line: int, change: Callable[[dict[str, object]], object]) -> None:
    """Replace line ``line`` (from 1) of the training file."""
    path = cola / "train.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    changed = change(json.loads(lines[line - 1]))
    lines[line - 1] = changed if isinstance(changed, str) else json.dumps(changed)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_unspoiled_small_copy_can_be_used(train: Train, cola: Path, output: Path) -> None:
    assert train(folder=cola).code == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda row: {**row, "label": 7}, ("label", "7")),
        (lambda row: {**row, "label": "maybe"}, ("label", "maybe")),
        (lambda row: {key: value for key, value in row.items() if key != "label"}, ("label",)),
        (lambda row: {"label": row["label"]}, ("sentence",)),
        (lambda row: json.dumps(row)[:-9], ()),
        (lambda row: [1, 2], ()),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(train, cola: Path, output: Path, change, words: tuple[str, ...]) -> None:
    spoil(cola, 5, change)
    refused(train(folder=cola), output, "train.jsonl:5", *words)


def test_an_empty_data_file_is_refused(train: Train, cola: Path, output: Path) -> None:
    (cola / "train.jsonl").write_text("")
    refused(train(folder=cola), output, "train.jsonl")


def test_a_missing_split_is_refused(train: Train, cola: Path, output: Path) -> None:
    (cola / "validation.jsonl").unlink()
    refused(train(folder=cola), output, "validation")


def test_a_missing_data_folder_is_refused(train: Train, tmp_path: Path, output: Path) -> None:
    refused(train(folder=tmp_path / "nowhere"), output, "nowhere")


def test_a_data_folder_without_the_task_is_refused(train: Train, tmp_path: Path, output: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(train(folder=tmp_path / "empty"), output, "empty", "cola")


def test_a_data_file_of_another_kind_is_refused(train: Train, cola: Path, output: Path) -> None:
    (cola / "train.jsonl").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe")
    refused(train(folder=cola), output, "train.jsonl")


# --- models -------------------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path, checkpoint: Path) -> Path:
    """A copy of the checkpoint that a test may spoil."""
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def test_a_missing_model_folder_is_refused(train: Train, tmp_path: Path, output: Path) -> None:
    refused(train(model=tmp_path / "gone"), output, "gone", "no such folder")


def test_a_model_name_that_cannot_be_reached_is_refused(train: Train, output: Path) -> None:
    refused(train(model="no-such-org/no-such-model"), output, "no-such-org/no-such-model")


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (["model.safetensors"], ("no weights",)),
        (["tokenizer.json", "tokenizer_config.json"], ("no tokenizer",)),
        (["config.json"], ("no config.json",)),
    ],
)
def test_an_incomplete_model_folder_is_refused(
    train: Train, model: Path, output: Path, gone: list[str], words: tuple[str, ...]
) -> None:
    for name in gone:
        (model / name).unlink()
    refused(train(model=model), output, str(model), *words)


def test_pickled_weights_are_refused(train: Train, model: Path, output: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    refused(train(model=model), output, "pickled", "pytorch_model.bin", "safetensors")


def test_truncated_weights_are_refused(train: Train, model: Path, output: Path) -> None:
    whole = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    refused(train(model=model), output, str(model))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no folders")
def test_an_output_where_no_folder_can_be_made_is_refused(balora: Balora, checkpoint: Path, data: Path) -> None:
    words = ("--model", checkpoint, "--task", "cola", "--data", data, "--output", "/proc/balora/run")
    ended = balora("train", *words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "output folder /proc/balora/run: cannot be " in ended.err


@pytest.mark.parametrize("text", ["{", "[]", '{"model_type": "no-such-type"}'])
def test_a_broken_model_configuration_is_refused(train: Train, model: Path, output: Path, text: str) -> None:
    (model / "config.json").write_text(text)
    refused(train(model=model), output, str(model))


def test_code_of_the_models_own_is_refused_and_not_run(train: Train, model: Path, output: Path, tmp_path: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["auto_map"] = {"AutoModelForSequenceClassification": "evil.Evil"}
    (model / "config.json").write_text(json.dumps(config))
    (model / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    refused(train(model=model), output, "--trust-remote-code")
    assert not (tmp_path / "ran").exists()


# --- output -------------------------------------------------------------------------------------------------------


def test_an_output_folder_that_holds_something_else_is_refused(train: Train, output: Path) -> None:
    output.mkdir(parents=True)
    (output / "thesis.tex").write_text("years of work")
    ended = train()
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "'thesis.tex'" in ended.err
    assert [path.name for path in output.iterdir()] == ["thesis.tex"]


def test_an_output_that_is_a_file_is_refused(train: Train, output: Path) -> None:
    output.parent.mkdir()
    output.write_text("a file")
    ended = train()
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "is a file" in ended.err
    assert output.read_text() == "a file"


def test_an_output_without_write_permission_is_refused(
    train: Train, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    refused(train(), output, "cannot be written")


def test_an_output_folder_that_cannot_be_made_is_refused(
    train: Train, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkdir(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    refused(train(), output, "Permission denied", str(output))


def test_a_disk_that_fills_while_the_adapter_is_saved_leaves_nothing(
    train: Train, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("balora.adapters.exporting.save_file", full)
    ended = train()
    assert ended.code == 2
    last = ended.err.splitlines()[-1]
    assert "No space left on device" in last
    assert "free some" in last
    assert str(output) in last
    assert ".partial" not in last
    assert not output.parent.exists()


def test_an_interruption_leaves_nothing(train: Train, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from balora.training import run as run_file

    def interrupted(self: object, *args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_file._Run, "save", interrupted)
    ended = train()
    assert ended.code == 130
    assert ended.err.endswith("balora: interrupted\n")
    assert not output.parent.exists()


# --- evaluate and export ------------------------------------------------------------------------------------------


def test_a_base_model_without_a_trained_head_is_not_scored(
    balora: Balora, checkpoint: Path, data: Path, output: Path
) -> None:
    ended = balora("evaluate", "--model", checkpoint, "--task", "cola", "--data", data)
    refused(ended, output, "no trained classification head", "--adapter")


@pytest.fixture(scope="module")
def gsm8k_adapter(checkpoint: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter of a short run on a generation task."""
    run = tmp_path_factory.mktemp("gsm8k") / "run"
    given = [word for assignment in QUICK for word in ("--set", assignment)]
    ended = run_balora("train", "--model", checkpoint, "--data", data, "--task", "gsm8k", "--output", run, *given)
    assert ended.code == 0, ended.err
    return run / "adapter"


def truncate_weights(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(b"\x00" * 20)


def truncate_configuration(adapter: Path) -> None:
    (adapter / "adapter_config.json").write_text("{")


def pickle_weights(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")


@pytest.mark.parametrize(
    ("spoil_adapter", "task", "words"),
    [
        (None, "cola", ("trained for language modelling", "'cola' is nlu")),
        (shutil.rmtree, "gsm8k", ("no such folder",)),
        (truncate_weights, "gsm8k", ("spoiled", "does not fit")),
        (truncate_configuration, "gsm8k", ("adapter_config.json",)),
        (pickle_weights, "gsm8k", ("adapter_model.safetensors", "pickled")),
    ],
)
def test_an_adapter_that_cannot_be_used_is_refused(
    balora: Balora, checkpoint: Path, data: Path, gsm8k_adapter: Path, tmp_path: Path, spoil_adapter, task, words
) -> None:
    adapter = tmp_path / "spoiled"
    shutil.copytree(gsm8k_adapter, adapter)
    if spoil_adapter:
        spoil_adapter(adapter)
    given = ("--model", checkpoint, "--data", data, "--set", "data.eval_rows=4", "--adapter", adapter, "--task", task)
    ended = balora("evaluate", *given)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), ended
    assert all(word in ended.err for word in words), ended.err


def test_exporting_a_folder_without_a_whole_run_is_refused(balora: Balora, tmp_path: Path, output: Path) -> None:
    refused(balora("export", tmp_path, "--output", output), output, "no run here", "run.json")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text('{"format": 1')
    refused(balora("export", tmp_path / "torn", "--output", output), output, "torn/run.json", "not a whole run record")


def test_merging_into_a_changed_base_model_is_refused(
    balora: Balora, train: Train, model: Path, tmp_path: Path, output: Path
) -> None:
    assert train(model=model).code == 0
    config = model / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-05', '"rms_norm_eps": 1e-06'))
    ended = balora("export", output, "--output", tmp_path / "whole", "--merged")
    assert ended.code == 2
    assert "is not the base that the run was trained on" in ended.err
    assert not (tmp_path / "whole").exists()
