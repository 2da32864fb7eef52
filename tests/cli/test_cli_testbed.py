"""`balora testbed`: what it prints, what it refuses."""

import json
from pathlib import Path

import pytest
from running import Balora

from balora.tasks.testbed import probes

SMALL = ("--set", "decoder_steps=2", "--set", "batch_size=4", "--set", "people=16")


def test_text_shows_documents_and_marks_the_corrupted_ones(balora: Balora) -> None:
    ended = balora("testbed", "text", "--only", "decoder", "--count", 40, "--set", "noise=0.5")
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert len(lines) == 40
    assert any("[corrupted: consistent]" in line for line in lines)
    assert balora("testbed", "text", "--count", 3).out.count("\n") == 6


@pytest.mark.parametrize(
    ("assignment", "line"),
    [
        ("noise=1.5", "noise: must be between 0 (no flaw) and 1, got 1.5"),
        ("people=7", "people: must be an even number from 16 to 624 (the names there are), got 7"),
        ("noize=0.1", "noize: unknown key 'noize': did you mean 'noise'?"),
    ],
)
def test_wrong_settings_are_one_line(balora: Balora, assignment: str, line: str) -> None:
    ended = balora("testbed", "pretrain", "--set", assignment)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"balora: error: {line}")
    assert ended.err.count("\n") == 1


def test_a_model_that_fails_its_probes_is_refused_and_not_kept(
    balora: Balora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path))
    monkeypatch.setattr(probes, "DOCUMENTS", 60)
    ended = balora("testbed", "pretrain", "--only", "decoder", *SMALL)
    assert ended.code == 1
    assert "probes right" in ended.err.splitlines()[-1]
    assert list((tmp_path / "testbed").iterdir()) == []


def test_a_model_in_the_cache_is_found(balora: Balora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from balora.tasks.testbed.cache import store
    from balora.tasks.testbed.config import TestbedConfig
    from balora.tasks.testbed.pretrain import pretrain

    config = TestbedConfig(decoder_steps=2, batch_size=4, people=16)
    folder = tmp_path / "testbed" / f"decoder-{config.key()}"
    store(pretrain(config, "nlg", checked=False), config, folder)
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path))
    ended = balora("testbed", "pretrain", "--only", "decoder", *SMALL, "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["decoder"]["folder"] == str(folder)
