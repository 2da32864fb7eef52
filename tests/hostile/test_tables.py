"""Tables as spreadsheets and data frames write them: the rows are read right, or one line names file and row."""

import json
from pathlib import Path
from typing import Any

import pytest

from balora.errors import DataError
from balora.tasks.catalogue import TASKS
from balora.tasks.config import DataConfig
from balora.tasks.splits import read_split

ROWS = [("The café was nice", 1), ("It broke, twice", 0), ('He said "no"', 0), ("great\nfun", 1)]
ALL = [{"sentence": text, "label": label} for text, label in ROWS]
TWO = [{"sentence": "nice film", "label": 1}, {"sentence": "bad film", "label": 0}]
MARK = "\ufeff"


def csv(separator: str = ",", end: str = "\r\n", head: str = "sentence{s}label", label: Any = str) -> str:
    lines = [head.format(s=separator)]
    for text, number in ROWS:
        quoted = text.replace('"', '""')
        lines.append(f'"{quoted}"{separator}{label(number)}')
    return "".join(line + end for line in lines)


def jsonl(label: Any) -> str:
    return "".join(json.dumps({"sentence": text, "label": label(number)}) + "\n" for text, number in ROWS)


READ = {
    "mark and CRLF": (".csv", (MARK + csv()).encode(), ALL),
    "two marks": (".csv", (MARK * 2 + csv()).encode(), ALL),
    "semicolon": (".csv", (MARK + csv(";")).encode(), ALL),
    "tab in CSV": (".csv", csv("\t").encode(), ALL),
    "bar": (".csv", csv("|", end="\n").encode(), ALL),
    "float labels": (".csv", csv(label=lambda n: f"{n}.0").encode(), ALL),
    "JSON float labels": (".jsonl", jsonl(float).encode(), ALL),
    "JSON booleans": (".jsonl", jsonl(bool).encode(), ALL),
    "booleans of data frames": (".csv", csv(label=lambda n: str(bool(n))).encode(), ALL),
    "digits in JSON": (".jsonl", jsonl(lambda n: f"{n}.0").encode(), ALL),
    "UTF-16 TSV": (".tsv", csv("\t").encode("utf-16"), ALL),
    "UTF-16, other end first": (".csv", b"\xfe\xff" + csv().encode("utf-16-be"), ALL),
    "UTF-32": (".csv", csv().encode("utf-32"), ALL),
    "UTF-16 JSONL": (".jsonl", jsonl(int).encode("utf-16"), ALL),
    "blank in the header": (".csv", csv(head="sentence{s} label").encode(), ALL),
    "blanks around names": (".csv", csv(head=" sentence {s} label ").encode(), ALL),
    "capitals in the header": (".csv", csv(head="Sentence{s}LABEL").encode(), ALL),
    "capitals in JSON": (
        ".json",
        json.dumps([{"Sentence": text, "Label": label} for text, label in ROWS]).encode(),
        ALL,
    ),
    "names of classes": (".csv", csv(label=lambda n: ["Negative", "POSITIVE"][n]).encode(), ALL),
    "CR only": (".csv", b"sentence,label\rnice film,1\rbad film,0\r", TWO),
    "CR only TSV": (".tsv", b"sentence\tlabel\rnice film\t1\rbad film\t0\r", TWO),
    "CR only JSONL": (".jsonl", b'{"sentence": "nice film", "label": 1}\r{"sentence": "bad film", "label": 0}\r', TWO),
    "index column": (".csv", b",sentence,label\r\n0,nice film,1\r\n1,bad film,0\r\n", TWO),
    "two columns without names": (".csv", b",,sentence,label\n0,0,nice film,1\n1,1,bad film,0\n", TWO),
    "marks on every line": (
        ".jsonl",
        "".join(MARK + json.dumps(row) + "\n" for row in TWO).encode(),
        TWO,
    ),
    "marks inside TSV": (".tsv", f"{MARK}sentence\tlabel\nnice film\t1\n{MARK}bad film\t0\n".encode(), TWO),
    "separator at every end": (".csv", b"sentence,label,\nnice film,1,\nbad film,0,\n", TWO),
    "separator at the rows' ends": (".csv", b"sentence,label\nnice film,1,\nbad film,0,,\n", TWO),
    "separator at the header's end": (".csv", b"sentence,label,\nnice film,1\nbad film,0\n", TWO),
    "tab at every end": (".tsv", b"sentence\tlabel\t\nnice film\t1\t\nbad film\t0\t\n", TWO),
    "blanks after commas": (".csv", b'label, sentence\n1, "nice film"\n0, bad film\n', TWO),
    "quoted TSV": (".tsv", csv("\t", end="\n").encode(), ALL),
    "TSV with all cells quoted": (".tsv", b'sentence\tlabel\n"nice film"\t1\n"bad film"\t0\n', TWO),
    "blank lines": (".csv", b"\n\nsentence,label\n\nnice film,1\n\nbad film,0\n\n", TWO),
}


def folder_with(folder: Path, ending: str, content: bytes) -> DataConfig:
    (folder / f"train{ending}").write_bytes(content)
    return DataConfig(folder=str(folder))


@pytest.mark.parametrize("name", READ)
def test_rows_are_read_right(tmp_path: Path, name: str) -> None:
    ending, content, expected = READ[name]
    split = read_split(TASKS["sst2"], folder_with(tmp_path, ending, content), "train")
    assert split.rows == expected
    assert split.notes == []


REFUSED = {
    "null label": (".jsonl", jsonl(lambda n: n or None).encode(), "train.jsonl:2: label is None, but sst2's"),
    "NaN label": (".jsonl", jsonl(lambda n: n or float("nan")).encode(), "train.jsonl:2: label is nan, but"),
    "empty label": (".csv", b"sentence,label\nnice,1\nbad,\n", "train.csv:3: label is '', but sst2's labels are"),
    "missing text": (".csv", b"sentence,label\nnice,1\n,0\n", "train.csv:3: the text is empty"),
    "null text": (".jsonl", b'{"sentence": null, "label": 1}\n', "train.jsonl:1: sentence is None, but a text"),
    "cp1252": (".csv", csv().encode("cp1252"), "train.csv:2: not UTF-8 (byte 0xe9): convert the file to UTF-8"),
    "cp1252 with CR": (".csv", csv(end="\r").encode("cp1252"), "train.csv:2: not UTF-8"),
    "torn UTF-16": (".csv", csv().encode("utf-16")[:-1], "not UTF-16 (byte 0x0a)"),
    "UTF-16 without a mark": (".csv", csv().encode("utf-16-le"), "train.csv:1: holds a zero byte"),
    "zero bytes": (".csv", b"sentence,label\nnice,1\n\0\0\0\0", "train.csv:3: holds a zero byte"),
    "only marks": (".csv", MARK.encode() * 3, "train.csv: the file is empty"),
    "comma in a text": (".csv", b"sentence,label\nnice, really,1\n", ":2: the line has 3 cells, the table 2 columns"),
    "decimal comma": (".csv", b"sentence;label\nnice;1,0\n", "train.csv:2: label is '1,0', but"),
    "two readings": (".csv", b"sentence;label;x|sentence|label\na\n", "can be read with ';' and with '|'"),
    "column twice": (".csv", b"sentence,label, label\na,1,0\n", "column 'label' stands twice in the header"),
    "second header": (".csv", b"sentence,label\na,1\nsentence,label\nb,0\n", "train.csv:3: label is 'label', but"),
    "comma in TSV": (".tsv", b"sentence,label\na,1\n", "columns found: sentence,label"),
    "open quotation mark": (".csv", b'sentence,label\na,1\n"b,0\nc,1\n', "train.csv:3: not whole CSV"),
    "open after a long cell": (".csv", b'sentence,label\n"a\nb\nc",1\nd,"1\ne,0\n', "train.csv:5: not whole CSV"),
    "open in a long record": (".csv", b'sentence,label,more\n"a\nb\nc",1,"d\ne,0,f\n', "train.csv:4: not whole CSV"),
    "label of 5,000 digits": (".csv", b"sentence,label\na," + b"1" * 5000 + b"\n", "train.csv:2: label is '1111"),
    "negative zero point five": (".csv", b"sentence,label\na,-0.5\n", "train.csv:2: label is '-0.5', but"),
    "hidden label": (".csv", b"sentence,label\na,-1.0\n", "train.csv:2: label is -1: GLUE keeps the labels"),
    "column of half characters": (".jsonl", b'{"sentence": "a", "\\ud83d": 1}\n', "columns found: sentence, \\ud83d"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_one_line_names_file_and_row(tmp_path: Path, name: str) -> None:
    ending, content, says = REFUSED[name]
    with pytest.raises(DataError) as caught:
        read_split(TASKS["sst2"], folder_with(tmp_path, ending, content), "train")
    assert says in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("task", ["rte", "qnli", "mnli"])
@pytest.mark.parametrize("label", [True, False, "true"])
def test_true_is_no_label_where_class_1_denies(tmp_path: Path, task: str, label: Any) -> None:
    row = dict.fromkeys(TASKS[task].text, "a") | {"label": label}
    with pytest.raises(DataError, match=r"train\.json row 1: label is .*rue|label is False"):
        read_split(TASKS[task], folder_with(tmp_path, ".json", json.dumps([row]).encode()), "train")


@pytest.mark.parametrize(
    ("written", "value"), [("3.8", 3.8), (" 3.8 ", 3.8), ("5", 5.0), ("4.", 4.0), (".5", 0.5), (3, 3.0), (2.5, 2.5)]
)
def test_similarities_that_are_plain_numbers(tmp_path: Path, written: Any, value: float) -> None:
    row = {"sentence1": "a", "sentence2": "b", "label": written}
    split = read_split(TASKS["stsb"], folder_with(tmp_path, ".json", json.dumps([row]).encode()), "train")
    assert split.rows[0]["label"] == value


@pytest.mark.parametrize(
    "written",
    [
        "0_1", "1_0.0", "１", "٣", "1e0", "1E0", "nan", "inf", "-inf", "infinity", "0x1", "+1", "1,5", "", "1 2",
        "5.0.0", "9" * 5000,
    ],
    ids=lambda text: text[:8],
)  # fmt: skip
@pytest.mark.parametrize("task", ["stsb", "sst2"])
def test_labels_that_only_python_would_read(tmp_path: Path, task: str, written: str) -> None:
    row = dict.fromkeys(TASKS[task].text, "a") | {"label": written}
    with pytest.raises(DataError, match=r"train\.json row 1: label is '"):
        read_split(TASKS[task], folder_with(tmp_path, ".json", json.dumps([row]).encode()), "train")


def test_cells_of_any_length_are_read(tmp_path: Path) -> None:
    text = "x" * 300_000
    data = folder_with(tmp_path, ".csv", f'sentence,label\n{text},1\n"{text}",0\n'.encode())
    assert [len(row["sentence"]) for row in read_split(TASKS["sst2"], data, "train").rows] == [300_000] * 2


def test_the_cell_limit_of_other_code_stays(tmp_path: Path) -> None:
    import csv as module

    module.field_size_limit(131_072)
    read_split(TASKS["sst2"], folder_with(tmp_path, ".csv", b"sentence,label\na,1\n"), "train")
    assert module.field_size_limit() == 131_072


@pytest.mark.parametrize("texts", [['"nice" film', '"bad film"', 'He said "no'], ['"bad film"', "nice film"]])
def test_a_quotation_mark_in_plain_tsv_is_a_character(tmp_path: Path, texts: list[str]) -> None:
    content = "sentence\tlabel\n" + "".join(f"{text}\t1\n" for text in texts)
    rows = read_split(TASKS["sst2"], folder_with(tmp_path, ".tsv", content.encode()), "train").rows
    assert [row["sentence"] for row in rows] == texts
