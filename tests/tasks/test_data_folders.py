"""Which folder and which files belong to a task and a split."""

from pathlib import Path

import pytest

from balora.errors import DataError
from balora.tasks.catalogue import TASKS, find_task
from balora.tasks.config import DataConfig
from balora.tasks.data_folders import files_of_split, find_data_folder
from balora.tasks.splits import data_files

ENDINGS = "train.jsonl, train.json, train.csv, train.tsv, train.parquet"


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def complaint(action: object, *arguments: object) -> str:
    with pytest.raises(DataError) as caught:
        action(*arguments)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["SST-2", "sst2", "sst_2", "Sst-2"])
@pytest.mark.parametrize("above", [".", "glue", "GLUE"])
def test_a_folder_below_is_found_under_any_spelling(tmp_path: Path, name: str, above: str) -> None:
    folder = touch(tmp_path / above / name, "train.jsonl")
    assert find_data_folder(TASKS["sst2"], str(tmp_path)) == folder


@pytest.mark.parametrize(
    "name", ["train.tsv", "dev.tsv", "Validation.parquet", "test.csv", "train-00000-of-00001.parquet"]
)
def test_a_folder_with_a_split_is_itself_the_folder(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    touch(tmp_path / "cola", "train.jsonl")
    assert find_data_folder(TASKS["cola"], str(tmp_path)) == tmp_path


def test_another_tasks_folder_is_refused(tmp_path: Path) -> None:
    folder = touch(tmp_path / "CoLA", "train.jsonl")
    assert complaint(find_data_folder, TASKS["sst2"], str(folder)) == (
        f"{folder}: the folder is named after task 'cola', but task 'sst2' was requested: pass the folder of 'sst2'"
    )
    assert find_data_folder(TASKS["cola"], str(folder)) == folder


def test_missing_folders(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert complaint(find_data_folder, TASKS["cola"], gone) == f"data.folder {gone!r}: no such folder"
    file = touch(tmp_path, "train.jsonl") / "train.jsonl"
    assert complaint(find_data_folder, TASKS["cola"], str(file)) == (
        f"data.folder {str(file)!r} is a file: pass the folder that holds it"
    )


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert (
        complaint(find_data_folder, TASKS["cola"], str(tmp_path)) == f"{tmp_path}: cannot be read (Permission denied)"
    )


def test_a_folder_without_the_task_lists_what_is_there(tmp_path: Path) -> None:
    touch(tmp_path, "README.md")
    touch(tmp_path / "RTE", "train.jsonl")
    assert complaint(find_data_folder, TASKS["cola"], str(tmp_path)) == (
        f"data.folder {str(tmp_path)!r} holds neither train/validation/test files "
        f"(.jsonl, .json, .csv, .tsv, .parquet) nor a folder called cola or CoLA; found README.md, RTE/"
    )


def test_two_folders_for_one_task(tmp_path: Path) -> None:
    touch(tmp_path / "CoLA")
    touch(tmp_path / "co-la")
    assert complaint(find_data_folder, TASKS["cola"], str(tmp_path)) == (
        f"{tmp_path}: CoLA, co-la all match task 'cola': pass one of them"
    )


@pytest.mark.parametrize("stem", ["dev", "valid", "val", "validation", "Validation", "DEV"])
@pytest.mark.parametrize("wanted", ["validation", "dev"])
def test_synonyms_of_validation(tmp_path: Path, stem: str, wanted: str) -> None:
    touch(tmp_path, f"{stem}.tsv", "dev_ids.tsv", "train.tsv")
    assert files_of_split(tmp_path, wanted) == [tmp_path / f"{stem}.tsv"]


def test_mnli_has_two_validation_splits(tmp_path: Path) -> None:
    touch(tmp_path, "dev_matched.tsv", "dev_mismatched.tsv")
    assert files_of_split(tmp_path, find_task("mnli").eval_split) == [tmp_path / "dev_matched.tsv"]
    assert files_of_split(tmp_path, "validation_mismatched") == [tmp_path / "dev_mismatched.tsv"]


def test_no_file_for_the_split_lists_what_is_there(tmp_path: Path) -> None:
    touch(tmp_path, "training.jsonl", "train.txt")
    assert complaint(files_of_split, tmp_path, "train") == (
        f"{tmp_path}: no file for split 'train' ({ENDINGS}); found train.txt, training.jsonl"
    )


@pytest.mark.parametrize("names", [("train.jsonl", "train.tsv"), ("dev.tsv", "validation.tsv")])
def test_two_files_for_one_split(tmp_path: Path, names: tuple[str, str]) -> None:
    touch(tmp_path, *names)
    split = "train" if "train" in names[0] else "validation"
    assert complaint(files_of_split, tmp_path, split) == (
        f"{tmp_path}: 2 files for split {split!r} ({', '.join(names)}): keep one of them"
    )


def test_shards_are_read_in_order_and_all_must_be_there(tmp_path: Path) -> None:
    names = [f"train-0000{i}-of-00003.parquet" for i in range(3)]
    touch(tmp_path, *reversed(names))
    assert files_of_split(tmp_path, "train") == [tmp_path / name for name in names]
    (tmp_path / names[1]).unlink()
    assert complaint(files_of_split, tmp_path, "train") == (
        f"{tmp_path}: split 'train' needs 3 shards, found 2: fetch the missing ones"
    )


def test_shards_beside_a_whole_file_are_two_files(tmp_path: Path) -> None:
    touch(tmp_path, "train-00000-of-00001.parquet", "train.parquet")
    assert "2 files for split 'train'" in complaint(files_of_split, tmp_path, "train")


def test_data_files_are_those_of_both_splits_once(tmp_path: Path) -> None:
    touch(tmp_path, "train.jsonl", "test.jsonl", "validation.jsonl")
    data = DataConfig(folder=str(tmp_path))
    assert data_files(TASKS["gsm8k"], data) == [tmp_path / "train.jsonl", tmp_path / "test.jsonl"]
    assert data_files(TASKS["gsm8k"], data.replace(eval_split="train")) == [tmp_path / "train.jsonl"]
    assert data_files(TASKS["gsm8k"], DataConfig()) == []
