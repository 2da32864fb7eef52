"""Rows that no run trains on: the same for every seed, a fifth at most, scored as `held-out`."""

import json
from pathlib import Path

import pytest

from balora.errors import ConfigError
from balora.settings import SettingsError
from balora.tasks.catalogue import find_task
from balora.tasks.config import DataConfig
from balora.tasks.prepared import read_both
from balora.tasks.splits import data_files
from balora.training.fingerprint import fingerprints
from balora.training.spec import resolve

SST2, GSM8K = find_task("sst2"), find_task("gsm8k")


def glue(folder: Path, count: int = 50) -> Path:
    for name, rows in (("train", count), ("dev", 3)):
        lines = [f"{name} sentence {i}\t{i % 2}" for i in range(rows)]
        (folder / f"{name}.tsv").write_text("sentence\tlabel\n" + "\n".join(lines) + "\n")
    return folder


def texts(rows: list[dict[str, object]]) -> list[object]:
    return [row["sentence"] for row in rows]


def test_held_out_rows_are_the_same_for_every_seed_and_in_nobodys_training(tmp_path: Path) -> None:
    folder = str(glue(tmp_path))
    search = DataConfig(folder=folder, held_out=7, eval_split="held-out")
    block = DataConfig(folder=folder, held_out=7)
    trained, held_out, notes = read_both(SST2, search, seed=9001)
    others, scored, _ = read_both(SST2, block, seed=42)
    assert (len(trained), len(held_out)) == (43, 7)
    assert trained == others
    assert sorted(texts(trained) + texts(held_out)) == sorted(f"train sentence {i}" for i in range(50))
    assert texts(scored) == [f"dev sentence {i}" for i in range(3)]
    assert texts(held_out) == sorted(texts(held_out), key=lambda text: int(str(text).split()[-1]))
    assert texts(held_out) != [f"train sentence {i}" for i in range(7)]
    assert "7 training rows are held out: no run trains on them" in notes


def test_at_most_a_fifth_is_held_out_and_the_note_gives_the_number(tmp_path: Path) -> None:
    data = DataConfig(folder=str(glue(tmp_path)), held_out=400, eval_split="held-out")
    trained, held_out, notes = read_both(SST2, data, seed=1)
    assert (len(trained), len(held_out)) == (40, 10)
    assert "10 training rows are held out, the most that may be set aside of 50: no run trains on them" in notes


def test_without_held_out_every_row_is_trained_on(tmp_path: Path) -> None:
    assert len(read_both(SST2, DataConfig(folder=str(glue(tmp_path))), seed=1)[0]) == 50


def test_a_model_that_is_only_scored_reads_the_held_out_rows_and_no_others(tmp_path: Path) -> None:
    data = DataConfig(folder=str(glue(tmp_path)), held_out=5, eval_split="held-out")
    trained, held_out, _ = read_both(SST2, data, seed=1, train=False)
    assert (trained, len(held_out)) == ([], 5)


def test_solutions_without_a_certain_answer_are_trained_on_and_not_scored(tmp_path: Path) -> None:
    """The same rows are set aside whether the rows are scored or not; the uncertain ones of them are no items."""
    solutions = [f"It is {i}. #### {i}" if i % 2 else "who knows" for i in range(40)]
    lines = [json.dumps({"question": f"q{i}", "answer": text}) for i, text in enumerate(solutions)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "test.jsonl").write_text(lines[1] + "\n")
    search = DataConfig(folder=str(tmp_path), held_out=8, eval_split="held-out")
    trained, held_out, _ = read_both(GSM8K, search, seed=1)
    others, _, _ = read_both(GSM8K, DataConfig(folder=str(tmp_path), held_out=8), seed=2)
    assert trained == others
    assert len(trained) == 32
    assert 0 < len(held_out) < 8
    assert all(row["final"] is not None for row in held_out)


def test_the_fingerprint_of_a_search_reads_the_training_file_alone(tmp_path: Path) -> None:
    folder = str(glue(tmp_path))
    search = DataConfig(folder=folder, held_out=7, eval_split="held-out")
    assert [path.name for path in data_files(SST2, search)] == ["train.tsv"]
    given = {"task": "sst2", "model": "m", "data": {"folder": folder, "held_out": 7, "eval_split": "held-out"}}
    before = fingerprints(resolve(given))["data"]
    (tmp_path / "dev.tsv").write_text("sentence\tlabel\nother\t1\n")
    assert fingerprints(resolve(given))["data"] == before


def test_what_cannot_be_held_out_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"eval_split: 'held-out' needs rows that are set aside: set data.held_out"):
        DataConfig(eval_split="held-out")
    with pytest.raises(ConfigError, match=r"data.held_out: model 'testbed' draws its own rows"):
        resolve({"task": "sentiment", "model": "testbed", "data.held_out": 5})
