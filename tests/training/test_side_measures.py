"""A run that is measured beside its score: before and after, in its record, in its files, and in its identity."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from training_cases import real_spec
from transformers import AutoModelForCausalLM, AutoTokenizer

from balora.errors import ConfigError, DataError
from balora.measures.all_measures import measure
from balora.measures.config import MeasuresConfig
from balora.tasks.catalogue import find_task
from balora.training.fingerprint import fingerprints
from balora.training.identity import recorded_id, run_id, run_ids
from balora.training.record import read_record
from balora.training.run import run
from balora.training.spec import resolve

TEXT = "Once upon a time, there was a little girl named Lily. She liked to play outside in the park."


@pytest.fixture
def files(tmp_path: Path, data: Path) -> dict[str, Any]:
    """Twelve pairs of BLiMP and a short text, as settings."""
    lines = (data / "blimp" / "blimp_12_each.jsonl").read_text().splitlines()[:12]
    (tmp_path / "blimp.jsonl").write_text("\n".join(lines))
    (tmp_path / "text.txt").write_text(TEXT)
    return {"measures.blimp": str(tmp_path / "blimp.jsonl"), "measures.held_out": str(tmp_path / "text.txt")}


def of_checkpoint(checkpoint: Path, files: dict[str, Any]) -> dict[str, float]:
    """The values of the pre-trained model, loaded anew."""
    config = MeasuresConfig(**{name.removeprefix("measures."): path for name, path in files.items()})
    model, tokenizer = AutoModelForCausalLM.from_pretrained(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    return measure(model, tokenizer, config, task=find_task("gsm8k"), batch_size=4, max_positions=512).values


@pytest.mark.parametrize(("task", "method"), [("gsm8k", "ba-lora"), ("cola", "full")])
def test_a_run_records_its_measures_before_and_after(
    task: str, method: str, checkpoint: Path, data: Path, files: dict[str, Any], tmp_path: Path
) -> None:
    """A generating model by itself; a classifier by the head for words of the checkpoint that it came from."""
    spec, phases = real_spec(checkpoint, data, task=task, method=method, **files), []
    record = run(spec, tmp_path / "run", on_progress=lambda now: phases.append(now.phase))
    assert (record.status, record.error) == ("ok", None)
    before = of_checkpoint(checkpoint, files)
    found = record.measures
    assert {name: found[f"{name}_before"] for name in before} == pytest.approx(before, rel=1e-4)
    assert found["held_out_loss_change"] == pytest.approx(found["held_out_loss"] - found["held_out_loss_before"])
    assert found["held_out_loss_change"] != 0
    items = [json.loads(line) for line in (tmp_path / "run" / "measures.jsonl").read_text().splitlines()]
    assert [(item["measure"], item["when"]) for item in items] == [
        (name, when) for when in ("before", "after") for name in ("blimp",) * 12 + ("held_out",)
    ]
    scores = [-item["score"] for item in items if item["measure"] == "held_out"]
    assert scores == pytest.approx([found["held_out_loss_before"], found["held_out_loss"]])
    assert read_record(tmp_path / "run").measures == found
    assert "measures.jsonl" in record.files
    first, last = phases.index("measure"), len(phases) - phases[::-1].index("measure") - 1
    assert first < phases.index("train") < phases.index("evaluate") < last


@pytest.mark.slow
def test_measuring_changes_no_number_of_the_run(
    checkpoint: Path, data: Path, files: dict[str, Any], tmp_path: Path
) -> None:
    plain = run(real_spec(checkpoint, data), tmp_path / "plain")
    measured = run(real_spec(checkpoint, data, **files), tmp_path / "measured")
    assert plain.measures == {}
    assert not (tmp_path / "plain" / "measures.jsonl").exists()
    assert measured.metrics == plain.metrics
    for name in ("series.jsonl", "items.jsonl"):
        assert (tmp_path / "measured" / name).read_text() == (tmp_path / "plain" / name).read_text()


def test_a_runs_id_holds_what_the_files_hold_and_not_where_they_lie(
    checkpoint: Path, data: Path, files: dict[str, Any], tmp_path: Path
) -> None:
    def id_of(**changes: Any) -> str:
        spec = real_spec(checkpoint, data, **changes)
        inputs = fingerprints(spec)
        id = run_id(spec, inputs)
        assert recorded_id({"spec": spec.model_dump(mode="json"), "fingerprints": inputs}) == id
        assert run_ids(spec, inputs, [(spec.training.seed, None)]) == [id]
        return id

    here = id_of(**files)
    (tmp_path / "elsewhere").mkdir()
    moved = {name: shutil.copy(path, tmp_path / "elsewhere") for name, path in files.items()}
    assert id_of(**{name: str(path) for name, path in moved.items()}) == here
    assert len({here, id_of(), id_of(**files, **{"measures.rows": 3})}) == 3
    (tmp_path / "text.txt").write_text(TEXT + " The end.")
    assert id_of(**files) != here


def test_what_cannot_be_measured_is_refused_before_training(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"measures\.bbq: '.*none.jsonl' does not exist: name the data set's file"):
        run(real_spec(checkpoint, data, **{"measures.bbq": str(tmp_path / "none.jsonl")}), tmp_path / "run")
    with pytest.raises(
        ConfigError, match=r"measures\.blimp: the testbed's models know no English: leave it out, or name"
    ):
        resolve({"model": "testbed", "task": "facts", "measures.blimp": "x"})
    wrong = data / "winogender"
    with pytest.raises(
        DataError, match=r"measures\.hans needs the column 'premise' or 'sentence1'; columns found: sentid"
    ):
        run(real_spec(checkpoint, data, **{"measures.hans": str(wrong)}), tmp_path / "run")
    assert not list(tmp_path.rglob("run.json"))
