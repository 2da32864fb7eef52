"""The cache of pre-trained models: found, rebuilt when damaged, never half-written, clear when unusable."""

import json
from pathlib import Path
from typing import Any

import pytest

from balora.errors import ModelError, OutputError
from balora.folders import CACHE_VARIABLE, cache_folder
from balora.tasks.testbed import model_cache as cache
from balora.tasks.testbed import pretrain, probes
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.model_cache import CARD, WEIGHTS, complete, model_folder

SMALL = TestbedConfig(encoder_steps=2, decoder_steps=2, batch_size=4, people=16)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An empty cache; the list tells what was pre-trained (a few steps, without probes)."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(probes, "DOCUMENTS", 50)
    made: list[str] = []
    real = pretrain.pretrain

    def quick(config: TestbedConfig, family: Any, *, on_steps: Any = None) -> Any:
        made.append(family)
        return real(config, family, on_steps=on_steps, checked=False)

    monkeypatch.setattr(pretrain, "pretrain", quick)
    return made


def test_a_model_is_made_once_and_loads_with_transformers(built: list[str]) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    for family, kind in (("nlu", AutoModelForMaskedLM), ("nlg", AutoModelForCausalLM)):
        folder = model_folder(SMALL, family)  # type: ignore[arg-type]
        assert model_folder(SMALL, family) == folder  # type: ignore[arg-type]
        model, found = kind.from_pretrained(folder, output_loading_info=True)
        assert not found["missing_keys"]
        assert not found["unexpected_keys"]
        assert AutoTokenizer.from_pretrained(folder).vocab_size == model.config.vocab_size
        assert json.loads((folder / CARD).read_text())["config"] == SMALL.model_dump()
    assert built == ["nlu", "nlg"]
    assert model_folder(SMALL.replace(noise=0.1), "nlg") != folder


DAMAGED = [WEIGHTS, CARD, "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]


@pytest.mark.parametrize("name", [*DAMAGED, *(f"no {name}" for name in DAMAGED), "new adapter_config.json", "new x.py"])
def test_a_damaged_entry_is_made_anew(built: list[str], name: str) -> None:
    folder = model_folder(SMALL, "nlg")
    path = folder / name.split()[-1]
    if name.startswith("no "):
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().replace(b"1", b"2")[:-1] if path.exists() else b"{}")
    assert model_folder(SMALL, "nlg") == folder
    assert complete(folder, SMALL)
    assert built == ["nlg", "nlg"]
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]


def test_an_interruption_leaves_nothing_behind(built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model_folder(SMALL, "nlg", on_steps=interrupted)
    monkeypatch.setattr(cache, "store", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model_folder(SMALL, "nlg")
    assert list((cache_folder() / "testbed").iterdir()) == []


def test_the_faster_of_two_processes_wins(built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    store, inner = cache.store, []

    def overtaken(made: Any, config: TestbedConfig, folder: Path) -> None:
        monkeypatch.setattr(cache, "store", store)
        inner.append((model_folder(config, "nlg") / WEIGHTS).stat().st_ino)
        store(made, config, folder)

    monkeypatch.setattr(cache, "store", overtaken)
    folder = model_folder(SMALL, "nlg")
    assert (folder / WEIGHTS).stat().st_ino == inner[0]
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]


def test_a_cache_that_cannot_be_made_costs_the_cache(built: list[str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    folder = model_folder(SMALL, "nlg")
    assert not folder.is_relative_to(tmp_path)
    assert folder == model_folder(SMALL, "nlg"), "for as long as this process lasts"
    assert built == ["nlg"]


def test_a_folder_of_the_cache_that_cannot_be_made_is_one_line(built: list[str], tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "testbed").write_text("a file")
    with pytest.raises(OutputError, match=r"^cache folder .*testbed: cannot be written \(.*\): set BALORA_CACHE to an"):
        model_folder(SMALL, "nlg")
    assert built == []


def test_a_full_disk_is_one_line(built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "store", full)
    with pytest.raises(OutputError, match="No space left on device"):
        model_folder(SMALL, "nlg")
    assert list((cache_folder() / "testbed").iterdir()) == []


def test_a_shipped_model_is_used_and_refused_when_damaged(
    built: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = model_folder(SMALL, "nlg")
    monkeypatch.setattr(cache, "SHIPPED", tmp_path / "shipped")
    shipped = tmp_path / "shipped" / "decoder-0"
    shipped.parent.mkdir()
    made.rename(shipped)
    assert model_folder(SMALL, "nlg") == shipped
    (shipped / WEIGHTS).write_bytes(b"torn")
    with pytest.raises(ModelError, match=r"^shipped model .*decoder-0: model.safetensors is damaged: install balora"):
        model_folder(SMALL, "nlg")
    assert built == ["nlg"]


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "balora"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "somebody"))
    assert cache_folder() == tmp_path / "somebody" / ".cache" / "balora"
    assert list(tmp_path.iterdir()) == [], "asking makes nothing"
