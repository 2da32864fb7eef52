"""Rows by a `datasets` name: which name is asked for, and what is said when it cannot be had."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest

from balora.errors import DataError
from balora.tasks.catalogue import TASKS
from balora.tasks.config import DataConfig
from balora.tasks.splits import data_files, read_rows, read_split


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A hub that holds one row of every task, and what was asked of it."""
    calls: list[tuple[Any, ...]] = []
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["unacceptable", "acceptable"])}
    )

    def load_dataset(name: str, subset: str | None, split: str) -> datasets.Dataset:
        calls.append((name, subset, split))
        return datasets.Dataset.from_list([{"sentence": "A", "label": 1}], features=features)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


def test_the_tasks_own_dataset(asked: list[tuple[Any, ...]]) -> None:
    assert read_rows(TASKS["cola"], DataConfig(), "validation") == [{"sentence": "A", "label": 1}]
    assert asked == [("nyu-mll/glue", "cola", "validation")]


@pytest.mark.parametrize(
    ("names", "stored", "labels", "notes"),
    [
        (["unacceptable", "acceptable"], [0, 1], [0, 1], 0),
        (["acceptable", "unacceptable"], [0, 1], [1, 0], 0),  # the names decide
        (["bad", "good"], [0, 1], [0, 1], 1),
    ],
)
def test_the_datasets_own_class_names_decide(
    monkeypatch: pytest.MonkeyPatch, names: list[str], stored: list[int], labels: list[int], notes: int
) -> None:
    features = datasets.Features({"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
    rows = datasets.Dataset.from_dict({"sentence": ["A", "B"], "label": stored}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    split = read_split(TASKS["cola"], DataConfig(), "validation")
    assert [row["label"] for row in split.rows] == labels
    assert len(split.notes) == notes


def test_hidden_labels_of_a_dataset_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names = datasets.ClassLabel(names=["unacceptable", "acceptable"])
    features = datasets.Features({"sentence": datasets.Value("string"), "label": names})
    rows = datasets.Dataset.from_dict({"sentence": ["A"], "label": [-1]}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    with pytest.raises(DataError, match=r"^nyu-mll/glue:test row 1: label is -1: GLUE keeps the labels"):
        read_split(TASKS["cola"], DataConfig(), "test")


def test_another_dataset_has_its_own_configuration(asked: list[tuple[Any, ...]]) -> None:
    read_rows(TASKS["cola"], DataConfig(folder="someone/cola-clean"), "train")
    read_rows(TASKS["cola"], DataConfig(folder="someone/cola-clean", subset="v2"), "train")
    assert asked == [("someone/cola-clean", None, "train"), ("someone/cola-clean", "v2", "train")]


def test_a_folder_of_that_name_comes_first(
    asked: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.tsv").write_text("sentence\tlabel\nB\t0\n")
    monkeypatch.chdir(tmp_path)
    assert read_rows(TASKS["cola"], DataConfig(folder="data"), "train") == [{"sentence": "B", "label": 0}]
    assert asked == []


@pytest.mark.parametrize("folder", ["/gone/data", "./gone", "../gone", "a/b/c", "gone/"])
def test_a_path_is_never_asked_of_the_hub(asked: list[tuple[Any, ...]], folder: str) -> None:
    with pytest.raises(DataError, match=r": no such folder$"):
        read_rows(TASKS["cola"], DataConfig(folder=folder), "train")
    assert asked == []


def test_a_hub_row_with_a_bad_label_names_dataset_and_row(asked: list[tuple[Any, ...]]) -> None:
    with pytest.raises(DataError, match=r"^someone/x:train row 1: label is 1|^someone/x:train row 1: text column"):
        read_rows(TASKS["rte"], DataConfig(folder="someone/x"), "train")


def test_offline_says_which_name_and_how_to_pass_a_folder() -> None:
    with pytest.raises(DataError) as caught:
        read_rows(TASKS["cola"], DataConfig(), "train")
    text = str(caught.value)
    assert text.startswith("the dataset 'nyu-mll/glue' (cola), split 'train', cannot be loaded (")
    assert text.endswith("): pass a folder with the files as data.folder")
    assert "\n" not in text
    with pytest.raises(
        DataError, match=r"^data\.folder 'glue-data' is no folder here, and the dataset 'glue-data', split"
    ):
        read_rows(TASKS["cola"], DataConfig(folder="glue-data"), "train")


def test_a_task_without_a_dataset_of_its_own() -> None:
    with pytest.raises(DataError, match=r"^task 'alpaca' has no default dataset: set data\.folder to a folder or"):
        read_rows(TASKS["alpaca"], DataConfig(), "train")
    assert data_files(TASKS["alpaca"], DataConfig()) == []


def test_reading_needs_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, balora.tasks.splits, balora.tasks.prompts, balora.tasks.scores, balora.tasks.prepared;"
        "bad = {'torch', 'transformers', 'datasets', 'sklearn', 'scipy', 'pyarrow', 'numpy'} & set(sys.modules);"
        "sys.exit(f'imported {bad}' if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
