"""A bit flips, 200 times, in each kind of file of a study and its caches: nothing changes, or the file is named."""

import logging
import random
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from sealed_study import carry_on, plan_of

from balora.errors import InputError
from balora.folders import CACHE_VARIABLE
from balora.report.records.dossier import read_dossier
from balora.training.record import RunRecord
from balora.training.spec import resolve

PLAN = plan_of()
VICTIM = PLAN.runs[2].folder
KINDS = (
    "study.json",
    f"{VICTIM}/run.json",
    f"{VICTIM}/series.jsonl",
    f"{VICTIM}/items.jsonl",
    f"{VICTIM}/adapter/adapter_config.json",
    f"{VICTIM}/adapter/adapter_model.safetensors",
    ".live.json",
    "log.txt",
)
FLIPS = 22
"""In each of eight kinds of file of a folder; the rest of 200 in the cache."""
CACHED = 24


def flip(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "s"
    carry_on(PLAN, folder)
    (folder / "log.txt").write_text("a line of a worker\n")
    return folder


def reported(study: Path) -> object:
    """Return every number of the report, or the text of its refusal."""
    try:
        return asdict(read_dossier(study))
    except InputError as error:
        return str(error)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS, ids=[name.replace(str(VICTIM), "run") for name in KINDS])
def test_a_flipped_bit_in_a_study_folder_is_named_or_changes_nothing(name: str, finished: Path, tmp_path: Path) -> None:
    whole, draw = reported(finished), random.Random(name.rpartition("/")[2])
    assert isinstance(whole, dict)
    for number in range(FLIPS):
        study = Path(shutil.copytree(finished, tmp_path / str(number)))
        flip(study / name, draw)
        found = reported(study)
        if found != whole:
            told = found if isinstance(found, str) else " ".join(found["report"]["unreadable"])  # type: ignore[index]
            steps_lost = not isinstance(found, str) and found["curves"]["unreadable"]  # type: ignore[index]
            assert str(study / name) in told or (steps_lost and name.endswith("series.jsonl"))
        _, messages = carry_on(PLAN, study)
        assert reported(study) == whole, "made anew"
        sealed = name not in (".live.json", "log.txt")
        assert any(str(study / name) in line for line in messages) == sealed


@pytest.mark.slow
def test_a_flipped_bit_in_the_reference_cache_is_named_or_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from balora.training.run import run

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    rows = {"data.train_rows": 32, "data.eval_rows": 32}
    spec = resolve({"model": "testbed", "task": "sentiment", "training.steps": 4, **rows})

    def numbers(record: RunRecord) -> tuple[object, ...]:
        return record.score, record.metrics, record.behaviour, record.terms, record.files

    whole, draw = numbers(run(spec, tmp_path / "first", has_siblings=True)), random.Random(0)
    shutil.copytree(tmp_path / "cache", tmp_path / "kept")
    for number in range(CACHED):
        shutil.rmtree(tmp_path / "cache")
        shutil.copytree(tmp_path / "kept", tmp_path / "cache")
        victim = draw.choice(sorted((tmp_path / "cache" / "reference").rglob("*.safetensors")))
        flip(victim, draw)
        caplog.clear()
        assert numbers(run(spec, tmp_path / str(number), has_siblings=True)) == whole
        named = [one.message for one in caplog.records if one.levelno == logging.WARNING and str(victim) in one.message]
        assert named or victim.exists()
