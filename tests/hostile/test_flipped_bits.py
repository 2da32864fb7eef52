"""A bit flips, 200 times, in each kind of file of a study and its caches: nothing changes, or the file is named."""

import logging
import random
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from sealed_study import carry_on, plan_of

from balora.adapters.factor_cache import FactorCache
from balora.errors import InputError, OutputError
from balora.folders import CACHE_VARIABLE
from balora.processes import own_mark
from balora.report.records.dossier import read_dossier
from balora.report.saving import save
from balora.study.store.lock import Owner
from balora.tasks.testbed import model_cache
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.model_cache import SHIPPED
from balora.training import code_digest
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
    "report.md",
    "report.html",
)
FLIPS = 14
"""In each of ten kinds of file of a folder, in the lock file and in each of four kinds of a cache: 210."""
UNSEALED = (".live.json", "log.txt", "report.md", "report.html")
"""What decides no number: shown alone, or made again from the records."""


def flip(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "s"
    carry_on(PLAN, folder)
    (folder / "log.txt").write_text("a line of a worker\n")
    save(read_dossier(folder), folder)
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
            assert name in told
        _, messages = carry_on(PLAN, study)
        assert reported(study) == whole, "made anew"
        assert any(str(study / name) in line for line in messages) == (name not in UNSEALED)
        save(read_dossier(study), study)
        assert all(
            (study / page).read_bytes() == (finished / page).read_bytes() for page in ("report.md", "report.html")
        )


@pytest.mark.slow
def test_a_flipped_bit_in_the_lock_file_of_a_killed_process_is_named_or_changes_nothing(
    finished: Path, tmp_path: Path
) -> None:
    whole, draw = reported(finished), random.Random(1)
    study = Path(shutil.copytree(finished, tmp_path / "s"))
    for _ in range(FLIPS):
        (study / ".lock").write_text(str(Owner(2**22 + 1, "host", own_mark()._replace(number=2**22 + 1))))
        flip(study / ".lock", draw)
        try:
            carry_on(PLAN, study)
        except OutputError as error:
            assert str(study / ".lock") in str(error)  # noqa: PT017
        assert reported(study) == whole


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def flips(cache: Path, kept: Path, draw: random.Random) -> Iterator[Path]:
    """Yield a file of the cache again and again in which one bit was flipped, while the rest is as it was."""
    shutil.copytree(cache, kept)
    for _ in range(FLIPS):
        shutil.rmtree(cache)
        shutil.copytree(kept, cache)
        victim = draw.choice(sorted(path for path in cache.rglob("*") if path.is_file()))
        flip(victim, draw)
        yield victim


def is_named(path: Path, caplog: pytest.LogCaptureFixture) -> bool:
    """Return whether a warning since the last call names ``path``."""
    named = [one for one in caplog.records if one.levelno == logging.WARNING and str(path) in one.getMessage()]
    caplog.clear()
    return bool(named)


@pytest.mark.slow
def test_a_flipped_bit_in_the_reference_cache_is_named_and_changes_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from balora.training.run import run

    rows = {"data.train_rows": 32, "data.eval_rows": 32}
    spec = resolve({"model": "testbed", "task": "sentiment", "training.steps": 4, **rows})

    def numbers(record: RunRecord) -> tuple[object, ...]:
        return record.score, record.metrics, record.behaviour, record.terms, record.files

    whole = numbers(run(spec, tmp_path / "first", has_siblings=True))
    shutil.rmtree(cache / "code", ignore_errors=True)
    for number, victim in enumerate(flips(cache, tmp_path / "kept", random.Random(0))):
        assert "reference" in victim.parts
        assert numbers(run(spec, tmp_path / str(number), has_siblings=True)) == whole
        assert is_named(victim, caplog)


@pytest.mark.slow
def test_a_flipped_bit_in_cached_factors_is_named_and_changes_nothing(
    cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weight = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))

    def factors() -> list[torch.Tensor]:
        return [part.clone() for part in FactorCache().factors(weight, 4, 1.0, "exact", torch.Generator())]

    whole = factors()
    for victim in flips(cache, tmp_path / "kept", random.Random(0)):
        assert all(torch.equal(a, b) for a, b in zip(factors(), whole, strict=True))
        assert is_named(victim, caplog)


@pytest.mark.slow
def test_a_flipped_bit_in_a_cached_model_is_named_or_changes_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = TestbedConfig()
    monkeypatch.setattr(model_cache, "SHIPPED", tmp_path / "none")
    entry = cache / "testbed" / f"decoder-{config.key()}"
    shutil.copytree(SHIPPED / "decoder-0", entry)
    whole = {path.name: path.read_bytes() for path in entry.iterdir()}
    for victim in flips(cache, tmp_path / "kept", random.Random(0)):
        if model_cache.find_model(config, "nlg") is None:
            assert is_named(victim, caplog)
        else:  # what the card says beside the digests, such as the seconds that the model took
            assert victim.name == model_cache.CARD
            assert all((entry / name).read_bytes() == content for name, content in whole.items() if name != victim.name)


@pytest.mark.slow
def test_a_flipped_bit_in_a_cached_code_digest_changes_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(code_digest.PACKAGE / "maths", tmp_path / "balora" / "maths")
    monkeypatch.setattr(code_digest, "PACKAGE", tmp_path / "balora")
    whole = code_digest.code_fingerprint.__wrapped__()
    for victim in flips(cache, tmp_path / "kept", random.Random(0)):
        damaged = victim.read_bytes()
        assert code_digest.code_fingerprint.__wrapped__() == whole
        assert victim.read_bytes() != damaged, "written anew"
