"""Files of the measures that are missing, of another benchmark, torn, or no files: refused before a model is loaded."""

import json
import os
from pathlib import Path

import pytest
from refusals import refused

from balora.errors import DataError
from balora.training.run import run
from balora.training.spec import resolve


def train(checkpoint: Path, data: Path, folder: Path, *settings: str) -> list[object]:
    given = [word for setting in settings for word in ("--set", setting)]
    return ["train", "--model", checkpoint, "--task", "cola", "--data", data, *given, "--output", folder / "run"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (
            "measures.blimp={folder}/none.jsonl",
            ["measures.blimp: ", "none.jsonl' does not exist: name the data set's file"],
        ),
        (
            "measures.hans={data}/winogender",
            ["measures.hans needs the column 'premise' or 'sentence1'", "sentid, sentence"],
        ),
        ("measures.crows_pairs={data}/winogender", ["measures.crows_pairs needs the column 'sent_more'"]),
        ("measures.bbq={data}/blimp", ["measures.bbq needs the column 'context'", "columns found: sentence_good"]),
        ("measures.toxigen={folder}/torn.jsonl", ["torn.jsonl:1: not a whole JSON object", "fetch the file again"]),
        ("measures.winogender={folder}", ["torn.jsonl:1: not a whole JSON object"]),
        ("measures.held_out={folder}/none.txt", ["none.txt", "cannot be read (No such file or directory)"]),
        ("measures.held_out=/dev/zero", ["/dev/zero", "cannot be read (it is no regular file)"]),
        ("measures.held_out={folder}/fifo", ["fifo", "cannot be read (it is no regular file)"]),
        ("measures.held_out={folder}/empty.txt", ["measures.held_out: ", "holds no text"]),
        ("measures.rows=0", ["measures.rows: ", "greater than or equal to 1, got 0"]),
        ("measures.blmp=x", ["measures.blmp: unknown key 'blmp': did you mean 'blimp'?"]),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_written(
    setting: str, says: list[str], checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "torn.jsonl").write_text('{"text": "a", "toxicity_human": 1')
    (tmp_path / "empty.txt").write_text(" \n")
    os.mkfifo(tmp_path / "fifo")
    refused(train(checkpoint, data, tmp_path, setting.format(folder=tmp_path, data=data)), *says, watched=tmp_path)


def test_a_text_that_is_too_long_for_the_model_is_named(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    row = {"sentence_good": "a b " * 400, "sentence_bad": "b", "field": "c", "linguistics_term": "d", "UID": "e"}
    (tmp_path / "long.jsonl").write_text(json.dumps(row))
    settings = {"model": str(checkpoint), "task": "gsm8k", "data.folder": str(data), "data.train_rows": 2,
                "data.eval_rows": 1, "measures.blimp": str(tmp_path / "long.jsonl")}  # fmt: skip
    with pytest.raises(
        DataError, match=r"long.jsonl:1: the text has \S+ tokens, but the model reads at most 512: leave"
    ):
        run(resolve(settings), tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()
