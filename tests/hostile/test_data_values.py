"""Values that no text, label or Python object can hold, and data files that are no files: one line names them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refusals import refused

from balora.errors import ConfigError, DataError
from balora.tasks.catalogue import TASKS
from balora.tasks.config import DataConfig
from balora.tasks.files import read_file
from balora.tasks.splits import data_files, read_split

HALF = "\ud83d"


def complaint(folder: Path, task: str = "sst2", split: str = "train") -> str:
    with pytest.raises(DataError) as caught:
        read_split(TASKS[task], DataConfig(folder=str(folder)), split)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 1000
    return text


GOOD: dict[str, dict[str, Any]] = {
    "cola": {"sentence": "a", "label": 1},
    "rte": {"sentence1": "a", "sentence2": "b", "label": 1},
    "gsm8k": {"question": "a", "answer": "#### 4"},
    "alpaca": {"instruction": "a", "input": "b", "output": "c"},
}


@pytest.mark.parametrize(
    ("task", "column"), [(task, column) for task, row in GOOD.items() for column in row if column != "label"]
)
def test_half_a_character_names_file_row_and_column(tmp_path: Path, task: str, column: str) -> None:
    rows = [GOOD[task], GOOD[task] | {column: f"So {HALF} #### 4"}]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = complaint(tmp_path, task)
    assert text.startswith(f"{tmp_path}/train.jsonl:2: ")
    assert "holds half of a character (\\ud83d, a lone surrogate) at position 4" in text


def test_half_a_character_in_a_conversation_names_the_row(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": f"a{HALF}"}, {"role": "assistant", "content": "b"}]
    (tmp_path / "train.jsonl").write_text(json.dumps({"messages": turns}))
    assert f"{tmp_path}/train.jsonl:1: messages holds half of a character" in complaint(tmp_path, "chat")


def test_half_a_character_in_a_label_is_shown_as_its_escape(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps({"sentence": "a", "label": HALF}))
    assert f"{tmp_path}/train.jsonl:1: label is '\\ud83d', but" in complaint(tmp_path)


def test_a_whole_pair_is_one_character(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps({"sentence": "🙂", "label": 1}))
    assert "\\ud83d\\ude42" in (tmp_path / "train.jsonl").read_text()
    assert read_split(TASKS["sst2"], DataConfig(folder=str(tmp_path)), "train").rows[0]["sentence"] == "🙂"


def test_half_a_character_in_a_prompt_is_refused_by_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"prompt: the prompt holds half of a character"):
        DataConfig(prompt=HALF + "{question}")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"sentence": "a", "label": ' + "1" * 5000 + "}", "train.jsonl:1: a number has more than 4,300 digits"),
        ('{"sentence": "a", "label": ' + "1" * 4000 + "}", "train.jsonl:1: label is a number of about 3,999 digits"),
        ('{"sentence": "a", "label": "' + "1" * 5000 + '"}', "train.jsonl:1: label is '1111"),
        ('{"sentence": "a", "label": ' + "[" * 5000 + "]" * 5000 + "}", "train.jsonl:1: not a whole JSON object (ne"),
        ('{"sentence": "a", "label": ' + "[" * 300 + "]" * 300 + "}", "train.jsonl:1: label is [[[[["),
        ('{"sentence": ' + "[" * 300 + "]" * 300 + ', "label": 1}', "train.jsonl:1: sentence is [[[[["),
        ('{"sentence": "a", "label": 1e999}', "train.jsonl:1: label is inf, but"),
        ('{"sentence": "a", "label": {"a": 1}}', "train.jsonl:1: label is {'a': 1}, but"),
        ('{"sentence": "a", "label": 1, "label": 0}', "train.jsonl:1: 'label' stands twice in a JSON object"),
        ('{"sentence": "a\0", "label": 1}', "train.jsonl:1: holds a zero byte"),
        ('{"' + "k" * 10**5 + '": 1}', "text column 'sentence' missing"),
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_json_beyond_what_can_be_read_names_the_row(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "train.jsonl").write_text(line)
    text = complaint(tmp_path) if len(line) < 10**5 else long_complaint(tmp_path)
    assert says in text


def long_complaint(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_split(TASKS["sst2"], DataConfig(folder=str(folder)), "train")
    assert len(str(caught.value)) < 2000
    return str(caught.value)


TEXTS = pa.array(["nice", "bad"])
FAR = 400_000_000_000
READ: dict[str, Callable[[], dict[str, Any]]] = {
    "far date beside": lambda: {"when": pa.array([2**62, 0], pa.date64())},
    "far day beside": lambda: {"when": pa.array([3_000_000, 0], pa.date32())},
    "far seconds beside": lambda: {"when": pa.array([FAR, 0], pa.timestamp("s"))},
    "nanoseconds beside": lambda: {"when": pa.array([1, 2], pa.timestamp("ns"))},
    "unknown time zone beside": lambda: {"when": pa.array([1, 2], pa.timestamp("us", tz="Nowhere/Else"))},
    "long duration beside": lambda: {"when": pa.array([2**62, 0], pa.duration("s"))},
    "struct beside": lambda: {"more": pa.array([{"a": {"b": [1]}}, None])},
    "far date in a struct beside": lambda: {
        "more": pa.StructArray.from_arrays([pa.array([2**62, 0], pa.date64())], ["a"])
    },
    "float labels": lambda: {"label": pa.array([1.0, 0.0])},
    "half floats": lambda: {"label": pa.array([1.0, 0.0], pa.float32()).cast(pa.float16())},
    "decimal labels": lambda: {"label": pa.array([1, 0]).cast(pa.decimal128(22, 2))},
    "boolean labels": lambda: {"label": pa.array([True, False])},
    "small integers": lambda: {"label": pa.array([1, 0], pa.uint8())},
    "text labels": lambda: {"label": pa.array(["positive", "negative"])},
    "large text": lambda: {"sentence": TEXTS.cast(pa.large_string())},
    "text view": lambda: {"sentence": TEXTS.cast(pa.string_view())},
    "dictionary": lambda: {"sentence": TEXTS.dictionary_encode(), "label": pa.array(["1", "0"]).dictionary_encode()},
}  # fmt: skip


def parquet(folder: Path, given: dict[str, Any], metadata: dict[str, str] | None = None) -> None:
    columns = {"sentence": TEXTS, "label": pa.array([1, 0])} | given
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), folder / "train.parquet")


@pytest.mark.parametrize("name", READ)
def test_parquet_columns_of_every_type_are_read(tmp_path: Path, name: str) -> None:
    parquet(tmp_path, READ[name]())
    rows = read_split(TASKS["sst2"], DataConfig(folder=str(tmp_path)), "train").rows
    assert rows == [{"sentence": "nice", "label": 1}, {"sentence": "bad", "label": 0}]


def bad_text() -> pa.Array:
    data = pa.py_buffer(b"nicecaf\xe9")
    offsets = pa.py_buffer(b"\0\0\0\0\4\0\0\0\x08\0\0\0")
    return pa.StringArray.from_buffers(2, offsets, data)


REFUSED: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "null label": (lambda: {"label": pa.array([1, None])}, "row 2: label is None, but sst2's labels are"),
    "null float": (lambda: {"label": pa.array([1.0, None])}, "row 2: label is None, but"),
    "NaN": (lambda: {"label": pa.array([1.0, float("nan")])}, "row 2: label is nan, but"),
    "null type": (lambda: {"label": pa.nulls(2)}, "row 1: label is None, but"),
    "null text": (lambda: {"sentence": pa.array(["nice", None])}, "row 2: sentence is None, but a text is needed"),
    "far date": (lambda: {"label": pa.array([0, 2**62], pa.date64())}, "row 1: label is datetime.date(1970, 1, 1)"),
    "far text date": (lambda: {"sentence": pa.array([2**62, 0], pa.date64())}, "row 1: sentence is a Parquet value of"),
    "not UTF-8": (lambda: {"sentence": bad_text()}, "row 2: sentence is a Parquet value of type string"),
    "binary": (lambda: {"sentence": pa.array([b"nice", b"bad"])}, "row 1: sentence is b'nice', but a text is needed"),
    "struct": (lambda: {"label": pa.array([{"a": 1}, {"a": 2}])}, "row 1: label is {'a': 1}, but"),
    "hidden": (lambda: {"label": pa.array([1, -1])}, "row 2: label is -1: GLUE keeps the labels"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_parquet_values_that_cannot_be_used_name_their_row(tmp_path: Path, name: str) -> None:
    make, says = REFUSED[name]
    parquet(tmp_path, make())
    assert f"{tmp_path}/train.parquet {says}" in complaint(tmp_path)


def test_a_parquet_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([TEXTS, pa.array([1, 0]), pa.array([0, 1])], ["sentence", "label", "label"])
    pq.write_table(table, tmp_path / "train.parquet")
    assert complaint(tmp_path) == f"{tmp_path}/train.parquet: column 'label' stands twice"


def class_label(*names: str) -> dict[str, str]:
    """The metadata that `datasets` writes for a column of classes."""
    return {"huggingface": json.dumps({"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}})}


@pytest.mark.parametrize(
    ("names", "labels", "notes"),
    [
        (("negative", "positive"), [1, 0], 0),
        (("positive", "negative"), [0, 1], 0),  # the data set's own order
        (("Positive", "NEGATIVE"), [0, 1], 0),
        (("0", "1"), [1, 0], 0),
        (("1", "0"), [0, 1], 0),
        (("neg", "pos"), [1, 0], 1),  # unknown names: by number, and a note says so
    ],
)
def test_the_names_of_classes_decide_their_numbers(
    tmp_path: Path, names: tuple[str, ...], labels: list[int], notes: int
) -> None:
    parquet(tmp_path, {}, class_label(*names))
    split = read_split(TASKS["sst2"], DataConfig(folder=str(tmp_path)), "train")
    assert [row["label"] for row in split.rows] == labels
    assert len(split.notes) == notes
    assert all("'neg' as 'negative', 'pos' as 'positive'" in note for note in split.notes)


def test_a_hidden_label_beside_class_names_is_refused(tmp_path: Path) -> None:
    parquet(tmp_path, {"label": pa.array([1, -1])}, class_label("negative", "positive"))
    assert "train.parquet row 2: label is -1: GLUE keeps the labels" in complaint(tmp_path)


def test_class_names_of_another_task_are_refused(tmp_path: Path) -> None:
    parquet(tmp_path, {}, class_label("a", "b", "c"))
    assert "train.parquet row 1: label is 1 ('b'), but sst2's labels are" in complaint(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"info": 3}', '{"info": {"features": {"label": 3}}}', "null"])
def test_metadata_of_another_shape_is_passed_over(tmp_path: Path, text: str) -> None:
    parquet(tmp_path, {}, {"huggingface": text})
    assert len(read_split(TASKS["sst2"], DataConfig(folder=str(tmp_path)), "train").rows) == 2


def fifo(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def to_fifo(path: Path) -> None:
    os.mkfifo(path.parent / "pipe")
    path.symlink_to("pipe")


def nowhere(path: Path) -> None:
    path.symlink_to("gone.jsonl")


def itself(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (fifo, "is no regular file"),
        (endless, "is no regular file"),
        (to_fifo, "is no regular file"),
        (nowhere, "is a symbolic link to gone.jsonl, which does not exist"),
        (itself, "is a symbolic link to train"),
    ],
)
@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".tsv", ".parquet"])
def test_data_that_is_no_file_is_named_at_once(
    tmp_path: Path, make: Callable[[Path], None], says: str, ending: str
) -> None:
    path = tmp_path / f"train{ending}"
    make(path)
    assert complaint(tmp_path).startswith(f"{path}: {says}")
    with pytest.raises(DataError):  # before anything computes a digest of it
        data_files(TASKS["sst2"], DataConfig(folder=str(tmp_path)))


def test_a_pipe_is_not_waited_for_even_if_it_takes_the_place_of_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.jsonl")
    with pytest.raises(DataError, match=r"train\.jsonl: cannot be read \(it is no regular file\)$"):
        read_file(tmp_path / "train.jsonl")


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text('{"sentence": "a", "label": 1}')
    (tmp_path / "train.jsonl").symlink_to("rows")
    assert len(read_split(TASKS["sst2"], DataConfig(folder=str(tmp_path)), "train").rows) == 1


def half_sentence(folder: Path) -> str:
    for split in ("train", "validation"):
        rows = [{"sentence": "The cat sat.", "label": 1}, {"sentence": f"So happy {HALF}", "label": 1}]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "jsonl:2: sentence holds half of a character (\\ud83d"


def half_solution(folder: Path) -> str:
    (folder / "test.jsonl").write_text(json.dumps({"question": "a", "answer": f"#### 4 {HALF}"}))
    return "test.jsonl:1: answer holds half of a character (\\ud83d"


def no_answers(folder: Path) -> str:
    (folder / "test.jsonl").write_text(json.dumps({"question": "a", "answer": "It depends"}))
    return "test.jsonl:1: the solution has no final answer that can be read with certainty"


def pipes(folder: Path) -> str:
    for split in ("train", "validation", "test"):
        os.mkfifo(folder / f"{split}.jsonl")
    return "is no regular file"


def cp1252(folder: Path) -> str:
    for split in ("train", "validation"):
        (folder / f"{split}.csv").write_bytes("sentence,label\ncafé,1\n".encode("cp1252"))
    return "csv:2: not UTF-8"


@pytest.mark.parametrize(
    ("verb", "task", "make"),
    [
        ("train", "cola", half_sentence),
        ("train", "cola", pipes),
        ("train", "cola", cp1252),
        ("evaluate", "gsm8k", half_solution),
        ("evaluate", "gsm8k", no_answers),
        ("evaluate", "gsm8k", pipes),
    ],
)
def test_the_verbs_refuse_the_data_in_one_line(
    tmp_path: Path, checkpoint: Path, verb: str, task: str, make: Callable[[Path], str]
) -> None:
    (tmp_path / "data").mkdir()
    says = make(tmp_path / "data")
    words: list[object] = [verb, "--model", checkpoint, "--task", task, "--data", tmp_path / "data"]
    output: list[object] = ["--output", tmp_path / "run"] if verb == "train" else []
    refused([*words, *output], says, watched=tmp_path)
