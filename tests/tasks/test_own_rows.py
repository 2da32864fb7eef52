"""Rows of a task of one's own: formats, the seeded split of one file, cells of every type, prompts."""

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest
from tests.tasks.own_cases import (
    CHATS,
    LABELS,
    REPLIES,
    TICKETS,
    chat_task,
    ticket_task,
    tickets,
    write_jsonl,
    write_table,
)
from transformers import PreTrainedTokenizerBase

from balora.errors import ConfigError, DataError
from balora.tasks.catalogue import Task
from balora.tasks.column_template import columns_of, filled
from balora.tasks.config import DataConfig
from balora.tasks.files import SourceRow
from balora.tasks.own_rows import check_own_row
from balora.tasks.own_task import OwnTask
from balora.tasks.prompts import render
from balora.tasks.splits import data_files, read_split
from balora.tasks.task_file import read_task_file

ONE_FILE = TICKETS.replace("{train: train.csv, validation: dev.csv}", "{file: all.csv, validation: 0.2, seed: 1}")


def rows_of(path: Path, split: str) -> list[dict[str, Any]]:
    return read_split(read_task_file(path).as_task(), DataConfig(), split).rows


def one_file(folder: Path, rows: list[dict[str, Any]], text: str = ONE_FILE) -> Path:
    write_table(folder / "all.csv", rows)
    (folder / "tickets.yaml").write_text(text)
    return folder / "tickets.yaml"


# --- formats ---


def test_tables_and_lists_of_every_format_give_the_same_rows(tmp_path: Path) -> None:
    expected = rows_of(ticket_task(tmp_path), "train")
    write_table(tmp_path / "train.tsv", tickets(), "\t")
    write_table(tmp_path / "semicolon.csv", tickets(), ";")
    write_jsonl(tmp_path / "train.jsonl", tickets())
    (tmp_path / "train.json").write_text(json.dumps(tickets()))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(tickets()), tmp_path / "train.parquet")
    for name in ("train.tsv", "semicolon.csv", "train.jsonl", "train.json", "train.parquet"):
        (tmp_path / "tickets.yaml").write_text(TICKETS.replace("train.csv", name))
        assert rows_of(tmp_path / "tickets.yaml", "train") == expected, name


def test_names_of_columns_ignore_case_and_outer_blanks(tmp_path: Path) -> None:
    text = TICKETS.replace("[Subject, Body Text]", "[subject, ' BODY TEXT ']").replace("Queue", "queue")
    assert rows_of(ticket_task(tmp_path, text), "train") == rows_of(ticket_task(tmp_path), "train")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("Subject", {"text": "hours 1"}),
        ("[Subject, Body Text]", {"text": "hours 1", "text_pair": "about hours"}),
        ("[No, Subject, Body Text]", {"text": "1\nhours 1\nabout hours"}),
    ],
)
def test_one_text_a_pair_or_more_joined_by_line_ends(columns: str, expected: dict[str, str], tmp_path: Path) -> None:
    text = TICKETS.replace("[Subject, Body Text]", columns)
    assert rows_of(ticket_task(tmp_path, text), "train")[1] == {**expected, "label": LABELS.index("other")}


def test_a_datasets_name_with_its_own_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = datasets.Features({"t": datasets.Value("string"), "l": datasets.ClassLabel(names=["yes", "no"])})
    asked: list[tuple[Any, ...]] = []

    def load(name: str, subset: str | None, split: str) -> datasets.Dataset:
        asked.append((name, subset, split))
        return datasets.Dataset.from_dict({"t": list("abcdefgh"), "l": [1, 0] * 4}, features=features)

    monkeypatch.setattr(datasets, "load_dataset", load)
    path = tmp_path / "own.yaml"
    path.write_text(
        "task: own\nfamily: nlu\nread: {dataset: me/set, subset: en, validation: test}\ntext: t\nlabel: l\n"
    )
    own = read_task_file(path)
    assert own.labels == ("yes", "no")  # in the order of the data set
    assert asked == [("me/set", "en", "train"), ("me/set", "en", "test")]
    assert [row["label"] for row in rows_of(path, "train")] == [1, 0] * 4
    path.write_text(path.read_text().replace("validation: test", "validation: 0.25"))
    assert sorted(row["text"] for split in ("train", "validation") for row in rows_of(path, split)) == list("abcdefgh")
    assert {split for *_, split in asked[4:]} == {"train"}


def test_a_datasets_name_that_cannot_be_had(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("task: own\nfamily: nlu\nread: {dataset: me/nowhere}\ntext: t\nlabel: l\n")
    with pytest.raises(ConfigError, match=r"line 3: read.dataset: the dataset 'me/nowhere', split 'train', cannot be"):
        read_task_file(path)


def test_a_folder_is_no_datasets_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("task: own\nfamily: nlu\nread: {dataset: mine}\ntext: t\nlabel: l\n")
    with pytest.raises(ConfigError, match=r"read.dataset: dataset 'mine' is a file or folder here: give its files"):
        read_task_file("own.yaml")


# --- the seeded split of one file ---


def texts(path: Path, split: str) -> set[str]:
    return {row["text"] for row in rows_of(path, split)}


def test_a_share_of_one_file_is_scored_on_and_the_rest_trained_on(tmp_path: Path) -> None:
    path = one_file(tmp_path, tickets(200))
    train, validation = rows_of(path, "train"), rows_of(path, "validation")
    assert (len(train), len(validation)) == (160, 40)
    assert {row["text"] for row in train} | {row["text"] for row in validation} == {r["Subject"] for r in tickets(200)}


def test_the_split_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    before = texts(one_file(tmp_path, tickets(100)), "validation")
    assert texts(one_file(tmp_path, tickets(100)[::-1]), "validation") == before


def test_another_seed_gives_another_split_and_the_same_seed_the_same(tmp_path: Path) -> None:
    path = one_file(tmp_path, tickets(100))
    first, again = texts(path, "validation"), texts(path, "validation")
    path.write_text(ONE_FILE.replace("seed: 1", "seed: 2"))
    assert first == again != texts(path, "validation")


def test_rows_with_the_same_input_are_never_on_both_sides(tmp_path: Path) -> None:
    rows = [{**row, "Subject": f"s{number % 7}", "Body Text": ""} for number, row in enumerate(tickets(63))]
    path = one_file(tmp_path, rows)
    assert not texts(path, "train") & texts(path, "validation")
    assert len(rows_of(path, "validation")) == 18  # of 63 · 0.2 = 12.6; whole groups of nine


def test_a_row_more_moves_at_most_one_other(tmp_path: Path) -> None:
    before = texts(one_file(tmp_path, tickets(100)), "validation")
    after = texts(one_file(tmp_path, tickets(101)), "validation")
    assert len(before - after) <= 1


def test_the_file_is_fingerprinted_once(tmp_path: Path) -> None:
    task = read_task_file(one_file(tmp_path, tickets(50))).as_task()
    assert data_files(task, DataConfig()) == [tmp_path / "all.csv"]
    task = read_task_file(ticket_task(tmp_path)).as_task()
    assert data_files(task, DataConfig()) == [tmp_path / "train.csv", tmp_path / "dev.csv"]


def test_an_own_task_has_two_splits(tmp_path: Path) -> None:
    task = read_task_file(ticket_task(tmp_path)).as_task()
    with pytest.raises(ConfigError, match="split 'test': a task of your own has the splits train and validation"):
        read_split(task, DataConfig(), "test")


# --- cells ---


def own(**changes: Any) -> OwnTask:
    known = {"task": "own", "read": {"train": "a", "validation": "b"}}
    return OwnTask(**{**known, **changes})


@pytest.mark.parametrize(
    ("cell", "label"),
    [("b", 1), (" b ", 1), (2, 2), (2.0, 2), ("2", 2), (True, 3), ("true", 3)],
)
def test_a_class_is_named_by_text_number_or_switch(cell: Any, label: int) -> None:
    task = own(family="nlu", text="t", label="l", labels=["a", "b", 2, True])
    assert check_own_row(task, SourceRow("f:1", {"t": "x", "l": cell})) == {"text": "x", "label": label}


@pytest.mark.parametrize("cell", [None, "", float("nan"), [1], {"a": 1}, "c", 3, 2.5, False])
def test_a_cell_that_names_no_class_is_refused(cell: Any) -> None:
    task = own(family="nlu", text="t", label="l", labels=["a", "b", 2, True])
    with pytest.raises(DataError, match=r"^f:1: l"):
        check_own_row(task, SourceRow("f:1", {"t": "x", "l": cell}))


@pytest.mark.parametrize(("cell", "value"), [("1.5", 1.5), (" -2 ", -2.0), (3, 3.0), ("1e3", 1000.0), (0.25, 0.25)])
def test_a_number_is_read_from_a_text_too(cell: Any, value: float) -> None:
    task = own(family="nlu", text="t", label="l", score="pearson")
    assert task.as_task().regression
    assert check_own_row(task, SourceRow("f:1", {"t": "x", "l": cell})) == {"text": "x", "label": value}


@pytest.mark.parametrize("cell", [None, "", "x", "1,5", float("nan"), float("inf"), True, [1], 10**40])
def test_a_cell_that_is_no_number_is_refused(cell: Any) -> None:
    task = own(family="nlu", text="t", label="l", score="pearson")
    with pytest.raises(DataError, match=r"^f:1: l is .*, but a number is needed"):
        check_own_row(task, SourceRow("f:1", {"t": "x", "l": cell}))


def test_a_list_of_labels_becomes_an_answer_where_labels_are_scored() -> None:
    task = own(family="nlg", text="t", answer="l", score="micro_f1")
    assert check_own_row(task, SourceRow("f:1", {"t": "x", "l": ["a", "b"]})) == {"question": "x", "answer": "a, b"}


# --- prompts ---


def prompt_of(task: Task, row: dict[str, Any], data: DataConfig | None = None) -> str:
    return render(task, data or DataConfig(), PreTrainedTokenizerBase())(row).prompt


def test_a_prompt_names_any_column(tmp_path: Path) -> None:
    path = ticket_task(tmp_path, REPLIES.replace("{Subject}", "{body text}/{Subject}/{{no column}}"))
    task = read_task_file(path).as_task()
    row = rows_of(path, "train")[0]
    assert row == {"question": "Which queue takes 'about invoice/invoice 0/{no column}'?", "answer": "billing"}
    assert prompt_of(task, row) == row["question"]
    assert prompt_of(task, row, DataConfig(prompt="Q: {question}\nA:")) == f"Q: {row['question']}\nA:"


def test_columns_of_text_without_a_prompt_are_an_instruction(tmp_path: Path) -> None:
    text = REPLIES.replace("prompt: \"Which queue takes '{Subject}'?\"", "text: [Subject, Body Text]")
    path = ticket_task(tmp_path, text)
    row = rows_of(path, "train")[0]
    assert prompt_of(read_task_file(path).as_task(), row) == "Instruction: invoice 0\nabout invoice\nResponse:"


def test_names_in_braces_may_hold_blanks_dots_and_digits() -> None:
    assert columns_of("{a b}{c.d}{0}{a b}") == ("a b", "c.d", "0")
    assert filled("<{a b}|{c.d}|{0}|{{x}}>", {"a b": "{c.d}", "c.d": "2", "0": "3"}) == "<{c.d}|2|3|{x}>"


def test_conversations_are_read_as_the_catalogue_reads_them(tmp_path: Path) -> None:
    row = rows_of(chat_task(tmp_path), "train")[0]
    assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant", "user"]
    assert row["answer"] == "billing"
    task = read_task_file(tmp_path / "support.yaml").as_task()
    with pytest.raises(ConfigError, match=r"data.prompt does not apply to task 'support'"):
        prompt_of(task, row, DataConfig(prompt="{question}"))
    assert CHATS.startswith("task: support")
