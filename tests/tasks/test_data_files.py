"""Every file format, and every way in which a file can be bad, with the text of the complaint."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from balora.errors import DataError
from balora.tasks.files import Broken, SourceRow, read_file

ROW = {"sentence": "A b.", "label": 1}


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_file(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_jsonl_rows_know_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, "train.jsonl", '{"sentence": "A b.", "label": 1}\r\n\n{"sentence": "C\u2028d", "label": 0}')
    assert read_file(path) == [
        SourceRow(f"{path}:1", ROW),
        SourceRow(f"{path}:3", {"sentence": "C\u2028d", "label": 0}),
    ]


def test_a_json_list_is_read_row_by_row(tmp_path: Path) -> None:
    path = write(tmp_path, "train.json", json.dumps([ROW]))
    assert read_file(path) == [SourceRow(f"{path} row 1", ROW)]


def test_tsv_keeps_quotation_marks_and_ignores_a_byte_order_mark(tmp_path: Path) -> None:
    path = write(tmp_path, "train.tsv", b'\xef\xbb\xbfQuality\t#1 String\r\n1\tHe said "no\r\n')
    assert read_file(path) == [SourceRow(f"{path}:2", {"Quality": "1", "#1 String": 'He said "no'})]


def test_a_tsv_without_a_header_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "train.tsv", "gj04\t1\t\tOur friends.\n")
    expected = {"source": "gj04", "label": "1", "star": "", "sentence": "Our friends."}
    columns = ("source", "label", "star", "sentence")
    assert read_file(path, columns) == [SourceRow(f"{path}:1", expected)]
    path = write(tmp_path, "dev.tsv", "id\tlabel\tmark\tsentence\n1\t1\t\tHe went.\n")
    expected = {"id": "1", "label": "1", "mark": "", "sentence": "He went."}
    assert read_file(path, columns) == [SourceRow(f"{path}:2", expected)]


def test_csv_fields_may_hold_commas_quotation_marks_and_line_ends(tmp_path: Path) -> None:
    path = write(tmp_path, "train.csv", 'sentence,label\n"A ""b"", c\nd",1\ne,0\n')
    assert read_file(path) == [
        SourceRow(f"{path}:2", {"sentence": 'A "b", c\nd', "label": "1"}),
        SourceRow(f"{path}:4", {"sentence": "e", "label": "0"}),
    ]


def test_parquet_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist([ROW, ROW]), path)
    assert read_file(path) == [SourceRow(f"{path} row 1", ROW), SourceRow(f"{path} row 2", ROW)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.tsv", "a.csv", "a.parquet"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, " \n")
    assert complaint(path) == f"{path}: the file is empty: fetch it again"


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.mkdir()
    assert complaint(path) == f"{path}: cannot be read (Is a directory)"


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.tsv", "a.csv"])
def test_not_utf8_names_the_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, b"a\tb\n1\t2\ncaf\xe9\t1\n")
    assert complaint(path) == f"{path}:3: not UTF-8 (byte 0xe9): convert the file to UTF-8"


def test_torn_jsonl_names_its_last_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"label": 1}\n{"label": 0, "sen\n')
    assert complaint(path) == (
        f"{path}:2: not a whole JSON object (Unterminated string starting at: line 1 column 14 (char 13)): "
        f"the last line is torn, fetch the file again"
    )


def test_a_bad_line_in_the_middle_of_jsonl_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"label": 1}\nlabel: 0\n{"label": 1}\n')
    assert complaint(path) == (
        f"{path}:2: not a whole JSON object (Expecting value: line 1 column 1 (char 0)): "
        f"one JSON object a line is needed"
    )


def test_endless_nesting_is_a_complaint_not_a_crash(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", "[" * 200_000)
    assert complaint(path).startswith(f"{path}:1: not a whole JSON object (")


@pytest.mark.parametrize(("line", "kind"), [("[1]", "a list"), ('"a"', "a text"), ("3", "a number"), ("null", "null")])
def test_a_jsonl_line_that_is_no_object_is_refused(tmp_path: Path, line: str, kind: str) -> None:
    path = write(tmp_path, "a.jsonl", f'{{"label": 1}}\n{line}\n')
    assert complaint(path) == f"{path}:2: holds {kind}, not an object with named columns"


def test_torn_json_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", '[{"label": 1},\n{"label": 0')
    assert complaint(path).startswith(f"{path}:2: not whole JSON (")


def test_json_without_a_list_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", '{"data": []}')
    assert complaint(path) == f"{path}: holds an object, not a list of objects"


def test_a_json_list_of_texts_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.json", '[{"label": 1}, "b"]')
    assert complaint(path) == f"{path} row 2: holds a text, not an object with named columns"


def test_csv_with_an_open_quotation_mark_names_where_it_opens(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'sentence,label\na,1\n"b,0\nc,1\n')
    assert complaint(path) == (
        f"{path}:3: not whole CSV (unexpected end of data): a quotation mark is left open or not doubled"
    )


@pytest.mark.parametrize(("name", "cell"), [("a.csv", ","), ("a.tsv", "\t")])
def test_lines_with_missing_cells_are_reported_as_broken(tmp_path: Path, name: str, cell: str) -> None:
    path = write(tmp_path, name, f"sentence{cell}label\na{cell}1\nb\n")
    assert read_file(path)[1] == Broken(f"{path}:3", 1, 2)


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "label\tsentence\tlabel\n1\ta\t0\n")
    assert complaint(path) == f"{path}:1: column 'label' stands twice in the header label, sentence, label"


def test_a_torn_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([ROW]), path)
    path.write_bytes(path.read_bytes()[:-10])
    assert complaint(path).startswith(f"{path}: not a whole Parquet file (")
