"""`balora testbed`: what it prints, and what it refuses."""

import json
import re
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
def test_wrong_testbed_settings_are_refused_in_one_line(balora: Balora, assignment: str, line: str) -> None:
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
    from balora.tasks.testbed.config import TestbedConfig
    from balora.tasks.testbed.model_cache import store
    from balora.tasks.testbed.pretrain import pretrain

    config = TestbedConfig(decoder_steps=2, batch_size=4, people=16)
    folder = tmp_path / "testbed" / f"decoder-{config.key()}"
    store(pretrain(config, "nlg", checked=False), config, folder)
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path))
    ended = balora("testbed", "pretrain", "--only", "decoder", *SMALL, "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["decoder"]["folder"] == str(folder)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("testbed", "facts", "--data", "/tmp"),
            "data.folder '/tmp': model 'testbed' draws its own rows: leave --data",
        ),
        (("testbed", "cola"), "model 'testbed' has no task 'cola': choose one of its own"),
        (("m", "facts"), "task 'facts' exists for model 'testbed' only, got model 'm'"),
        (
            ("m", "cola", "--set", "testbed.noise=0.1"),
            "testbed: these settings are for model 'testbed' only, got model 'm'",
        ),
        (("testbed", "facts", "--set", "testbed.bias=-1"), "testbed.bias: must be between 0 (no flaw) and 1, got -1"),
    ],
)
def test_runs_that_do_not_fit_the_testbed_are_refused_in_one_line(
    balora: Balora, tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    model, task, *rest = words
    ended = balora("train", "--model", model, "--task", task, *rest, "--output", tmp_path / "out")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"balora: error: {line}")
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_run_on_the_testbed_is_trained_scored_and_exported(
    balora: Balora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    from balora.tasks.testbed.config import TestbedConfig
    from balora.tasks.testbed.model_cache import store
    from balora.tasks.testbed.pretrain import pretrain

    config = TestbedConfig(decoder_steps=2, batch_size=4, people=16)
    monkeypatch.setenv("BALORA_CACHE", str(tmp_path))
    store(pretrain(config, "nlg", checked=False), config, tmp_path / "testbed" / f"decoder-{config.key()}")
    sizes = ("testbed.decoder_steps=2", "testbed.batch_size=4", "testbed.people=16", "data.eval_rows=4")
    given = [word for one in (*sizes, "training.steps=1", "data.train_rows=16") for word in ("--set", one)]
    run = tmp_path / "run"
    assert balora("train", "--model", "testbed", "--task", "facts", *given, "--output", run).code == 0
    adapter = ("--adapter", run / "adapter")
    scored = balora("evaluate", "--model", "testbed", "--task", "facts", *given, *adapter, "--json")
    found = json.loads(scored.out)["tasks"]["facts"]["metrics"]["answer_loss"]
    trained = json.loads((run / "run.json").read_text())["metrics"]["answer_loss"]
    assert found == pytest.approx(trained, rel=1e-5)
    refused = balora("export", run, "--merged", "--model", tmp_path, "--output", tmp_path / "merged")
    assert "the testbed's models are found or pre-trained automatically" in refused.err
    assert balora("export", run, "--merged", "--output", tmp_path / "merged").code == 0
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "merged").config.model_type == "llama"
    lower = balora("export", run, "--rank", 4, "--output", tmp_path / "low")
    assert lower.code == 0
    assert re.search(r"balora: rank 32 became 4, which loses \d+\.\d % of the change of the weights", lower.err)
    assert json.loads((tmp_path / "low" / "adapter_config.json").read_text())["r"] == 4
    for words in (("--rank", 4, "--merged"), ("--rank", 32)):
        refused = balora("export", run, *words, "--output", tmp_path / "other")
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert f"--rank {words[1]}: " in refused.err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("task", "size", "line"),
    [
        (
            "entailment",
            "data.train_rows=2",
            "data.train_rows = 2 leaves class 'neutral' of task 'entailment' without a",
        ),
        ("similarity", "data.eval_rows=1", "data.eval_rows = 1 leaves task 'similarity' one value to predict"),
    ],
)
def test_sizes_that_leave_a_class_empty_are_refused(task: str, size: str, line: str) -> None:
    from balora.cli.assignments import parse_assignments
    from balora.errors import ConfigError
    from balora.tasks.catalogue import find_task
    from balora.tasks.config import DataConfig
    from balora.tasks.prepared import read_both
    from balora.tasks.testbed.config import TestbedConfig

    data = DataConfig(**parse_assignments([size])["data"])
    with pytest.raises(ConfigError) as caught:
        read_both(find_task(task), data, seed=42, testbed=TestbedConfig())
    assert str(caught.value).startswith(line)
