"""`run.json`: whole or not there, and an identity that depends on what is computed."""

import hashlib
import json
import os
import shutil

import pytest

from balora.errors import DataError, InputError
from balora.training.fingerprint import fingerprints
from balora.training.identity import recorded_id, run_id
from balora.training.record import (
    Cost,
    RunError,
    RunRecord,
    TermSummary,
    correct_rows,
    packed_rows,
    read_beside,
    read_record,
    scores_in_words,
    write_record,
)
from balora.training.spec import resolve

SPEC = resolve({"task": "cola", "model": "m", "training.seed": 7})
MARKS = {"model": "a", "data": "b", "code": "1"}


def record(**changes):
    content = {
        "id": run_id(SPEC, MARKS),
        "spec": SPEC,
        "status": "ok",
        "score": 12.345678901234567,
        "metrics": {"matthews_correlation": 0.12345678901234568},
        "terms": {"spectral": TermSummary(weight=0.03, gradient_share=1e-17)},
        "inactive": {"diversity": "k ≥ min(N, D)"},
        "notes": ["a", "b"],
        "cost": Cost(train_seconds=1.5, steps=3),
        "versions": {"torch": "2"},
        "fingerprints": MARKS,
    }
    return RunRecord(**{**content, **changes})


def test_a_record_comes_back_as_it_was(tmp_path):
    for one in (record(), record(status="failed", score=None, error=RunError(kind="TrainingError", message="nan"))):
        written = write_record(one, tmp_path / "deep" / "run")
        assert written.model_copy(update={"digest": ""}) == one
        assert read_record(tmp_path / "deep" / "run") == written
        assert [entry.name for entry in (tmp_path / "deep" / "run").iterdir()] == ["run.json"]  # no partial is left


def test_a_record_holds_the_learning_rate_that_was_used_and_older_ones_none(tmp_path):
    write_record(record(learning_rate=0.0117), tmp_path / "new")
    assert read_record(tmp_path / "new").learning_rate == 0.0117
    text = (tmp_path / "new" / "run.json").read_text()
    older = {name: value for name, value in json.loads(text).items() if name != "learning_rate"}
    del older["spec"]["training"]["step_matching"]
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text(sealed(json.dumps({**older, "id": recorded_id(older)})))
    found = read_record(tmp_path / "old")
    assert found.learning_rate is None
    assert found.spec == SPEC


def test_a_record_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append((tmp_path / "run.json").exists()))
    write_record(record(), tmp_path)
    assert flushed == [False, True], "the content first, then the folder's entry"


def test_a_folder_without_a_record_has_none(tmp_path):
    assert read_record(tmp_path) is None
    (tmp_path / ".partial-run.json-77").write_text("{")  # what a crash while writing leaves does not count
    assert read_record(tmp_path) is None


def torn(text):
    return text[: len(text) // 2]


def edited(text, **changes):
    return json.dumps({**json.loads(text), **changes})


def sealed(text, **changes):
    """As another version of balora might have written it: the digest, worked out by hand here, is right."""
    content = {**json.loads(text), **changes}
    body = json.dumps({name: value for name, value in content.items() if name != "digest"})[:-1]
    return f'{body},\n "digest": "{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n'


DAMAGED = "was edited or damaged: its content does not match its digest"
BROKEN = {
    "torn": (torn, "not a whole run record"),
    "list": (lambda text: "[]", "not a run record of format 3"),
    "other format": (lambda text: edited(text, format=1), "not a run record of format 3"),
    "another score": (lambda text: text.replace("12.345678901234567", "92.345678901234567"), DAMAGED),
    "another digest": (lambda text: text[:-6] + ("0" if text[-6] != "0" else "1") + text[-5:], DAMAGED),
    "no digest": (lambda text: text.rpartition(",\n")[0] + "\n}\n", DAMAGED),
    "second score": (lambda text: text.rstrip("}\n") + ',\n "score": 92.0\n}\n', DAMAGED),
    "written anew": (lambda text: json.dumps(json.loads(text), indent=1) + "\n\n", DAMAGED),
    "unknown field": (lambda text: sealed(text, stattus="ok"), "unknown key 'stattus': did you mean 'status'?"),
    "unknown status": (lambda text: sealed(text, status="okay"), "status: input should be 'ok', 'failed'"),
    "no spec": (lambda text: sealed(text, spec=None), "spec: expected a group of settings, got None"),
    "edited spec": (
        lambda text: sealed(text, spec={**json.loads(text)["spec"], "task": "colla"}),
        "spec: unknown task 'colla'",
    ),
}


@pytest.mark.parametrize(("damage", "text"), BROKEN.values(), ids=BROKEN)
def test_a_broken_record_is_one_line_that_says_what_to_do(tmp_path, damage, text):
    write_record(record(), tmp_path)
    path = tmp_path / "run.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError) as caught:
        read_record(tmp_path)
    message = str(caught.value)
    assert text in message
    assert message.startswith(str(path))
    assert message.endswith("delete the folder to run it again")
    assert "\n" not in message


def test_the_digest_is_of_the_text_above_it(tmp_path):
    digest = write_record(record(), tmp_path).digest
    *above, last, end = (tmp_path / "run.json").read_text().splitlines()
    assert (last, end) == (f' "digest": "{digest}"', "}")
    assert hashlib.sha256("\n".join(above)[:-1].encode()).hexdigest() == digest  # without the comma


def test_the_files_beside_a_record_are_known(tmp_path):
    (tmp_path / "series.jsonl").write_text('{"step": 1}\n')
    (tmp_path / "notes.txt").write_text("mine")
    written = write_record(record(), tmp_path)
    assert written.files == {"series.jsonl": hashlib.sha256(b'{"step": 1}\n').hexdigest()}
    assert read_record(tmp_path) == written
    assert read_beside(written, tmp_path, "series.jsonl") == '{"step": 1}\n'
    (tmp_path / "series.jsonl").write_text('{"step": 2}\n')
    with pytest.raises(InputError, match=r"series.jsonl: was edited or damaged.*: delete the folder to run it again$"):
        read_beside(written, tmp_path, "series.jsonl")
    (tmp_path / "series.jsonl").unlink()
    for name in ("series.jsonl", "items.jsonl", "notes.txt"):  # gone, never there, not the run's
        with pytest.raises(InputError, match=f"{name}: not there: delete"):
            read_beside(written, tmp_path, name)


def test_right_rows_come_back_in_order():
    right = [True, False, False, False, False, False, False, True, True, False]
    one = record(rows=10, correct=packed_rows(right))
    assert one.correct == "gYA="  # 1000 0001, 1000 0000: the first row in the highest bit, the last byte filled up
    assert correct_rows(one).tolist() == right
    assert correct_rows(one).dtype == bool
    assert correct_rows(record(rows=10)) is None


def test_binary_rubbish_is_torn(tmp_path):
    (tmp_path / "run.json").write_bytes(b"\xff\x00\xfe")
    with pytest.raises(InputError, match="not a whole run record"):
        read_record(tmp_path)


def test_identity_is_what_is_computed_and_not_where():
    here = resolve({"task": "cola", "model": "/a/m", "data.folder": "/a/d"})
    there = resolve({"task": "cola", "model": "/b/m", "data.folder": "/b/d"})
    assert run_id(here, MARKS) == run_id(there, MARKS)
    seeds = {run_id(resolve({"task": "cola", "model": "m", "training.seed": seed}), MARKS) for seed in range(5)}
    assert len(seeds) == 5
    assert run_id(SPEC, MARKS) != run_id(SPEC, {**MARKS, "data": "c"})
    assert run_id(SPEC, MARKS) != run_id(SPEC, {**MARKS, "model": "c"})
    assert len(run_id(SPEC, MARKS)) == 16


@pytest.fixture
def inputs(tmp_path, checkpoint, data):
    """Copies of the model and of one task's data."""
    shutil.copytree(checkpoint, tmp_path / "model")
    shutil.copytree(data / "glue" / "RTE", tmp_path / "data" / "RTE")
    return tmp_path


def marks(folder, model="model", data="data"):
    spec = resolve({"task": "rte", "model": str(folder / model), "data.folder": str(folder / data)})
    return fingerprints(spec)


def test_fingerprints_follow_bytes_and_not_names(inputs):
    first = marks(inputs)
    assert set(first) == {"model", "data", "code"}
    assert marks(inputs) == first
    (inputs / "model").rename(inputs / "renamed")
    (inputs / "data").rename(inputs / "elsewhere")
    assert marks(inputs, "renamed", "elsewhere") == first
    weights = inputs / "renamed" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = marks(inputs, "renamed", "elsewhere")
    assert changed["model"] != first["model"]
    assert changed["data"] == first["data"]


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_configuration_and_tokenizer_belong_to_the_model(inputs, name):
    first = marks(inputs)
    with (inputs / "model" / name).open("a") as file:
        file.write("\n")
    assert marks(inputs)["model"] != first["model"]


def test_a_row_more_is_other_data(inputs):
    first = marks(inputs)
    train = next(path for path in (inputs / "data" / "RTE").iterdir() if path.stem == "train")
    kept = train.read_bytes().rstrip(b"\n").rsplit(b"\n", 1)[0] + b"\n"
    train.write_bytes(kept)
    changed = marks(inputs)
    assert changed["data"] != first["data"]
    assert changed["model"] == first["model"]


def test_files_that_the_task_does_not_read_do_not_count(inputs):
    first = marks(inputs)
    (inputs / "data" / "RTE" / "notes.md").write_text("mine")
    (inputs / "model" / "picture.png").write_bytes(b"1")
    assert marks(inputs) == first


def test_names_on_a_hub_stand_for_themselves():
    assert fingerprints(SPEC)["model"] == "hub:m"
    assert fingerprints(SPEC)["data"].startswith("hub:")


def test_missing_data_is_refused(inputs):
    with pytest.raises(DataError):
        marks(inputs, data="nothing")


def test_scores_in_words_name_the_task_where_there_are_several() -> None:
    assert scores_in_words({"gsm8k": 12.345}) == "12.35"
    assert scores_in_words({"gsm8k": 1.0, "math": 0.0}) == "1.00 on gsm8k, 0.00 on math"
    assert scores_in_words({}) == ""
