"""Kept answers: what is taken from the file, what is not, and that they are those of a model that was never stopped."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from spelt_numbers import Numbers
from transformers import LlamaConfig, LlamaForCausalLM

from balora.tasks.generation import generate
from balora.tasks.kept_answers import KeptAnswers
from balora.tasks.sampling import generate_samples

PROMPTS = [[5], [7, 8, 9, 10, 11], [3, 4], [6, 2]]
GIVEN: dict[str, Any] = {"batch_size": 2, "max_new_tokens": 5}


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(11)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=41, max_position_embeddings=32, **sizes))


def batches_generated(model: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with the rows of every batch that ``model`` generates."""
    found: list[int] = []
    own = model.generate

    def counted(input_ids: Any, **given: Any) -> Any:
        found.append(len(input_ids))
        return own(input_ids=input_ids, **given)

    monkeypatch.setattr(model, "generate", counted)
    return found


@pytest.mark.parametrize("samples", [1, 3])
def test_kept_answers_are_not_generated_again(
    samples: int, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = generate_samples(model, Numbers(), PROMPTS, **GIVEN, samples=samples)
    done = batches_generated(model, monkeypatch)
    first = generate_samples(model, Numbers(), PROMPTS, **GIVEN, samples=samples, kept=KeptAnswers(tmp_path / "a", "w"))
    count = len(done)
    kept = KeptAnswers(tmp_path / "a", "w")
    again = generate_samples(model, Numbers(), PROMPTS, **GIVEN, samples=samples, kept=kept)
    assert first == again == whole
    assert count == len(done) == 2 * samples
    assert kept.seconds > 0


def test_what_was_not_kept_is_generated_and_added(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = generate(model, Numbers(), PROMPTS, **GIVEN, kept=KeptAnswers(tmp_path / "a", "w"))
    lines = (tmp_path / "a").read_text().splitlines(keepends=True)
    assert len(lines) == 2
    done = batches_generated(model, monkeypatch)
    for damage in (lines[:1], [lines[0], lines[1][:-9]], [lines[0], lines[1].replace('", "', '", "9 '), "and more\n"]):
        (tmp_path / "a").write_text("".join(damage))
        assert generate(model, Numbers(), PROMPTS, **GIVEN, kept=KeptAnswers(tmp_path / "a", "w")) == whole
        found = [line.split('"')[1] for line in (tmp_path / "a").read_text().splitlines()]
        assert found == [line.split('"')[1] for line in lines]
    assert done == [2, 2, 2]


def test_a_line_behind_a_torn_one_is_not_lost_for_good(tmp_path: Path) -> None:
    KeptAnswers(tmp_path / "a", "w").keep("one", ["1"], 0.5)
    (tmp_path / "a").write_text((tmp_path / "a").read_text() + "torn in the mid")
    KeptAnswers(tmp_path / "a", "w").keep("two", ["2"], 0.25)
    kept = KeptAnswers(tmp_path / "a", "w")
    assert (kept.take("one"), kept.take("two"), kept.take("three")) == (["1"], ["2"], None)
    assert kept.seconds == 0.75


@pytest.mark.parametrize(
    "change",
    [{"prompts": [[6], [7, 8, 9, 10, 12]]}, {"max_new_tokens": 4}, {"closing": "9"}, {"model": "other weights"}],
)
def test_answers_to_anything_else_are_not_taken(
    change: dict[str, Any], model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(model, Numbers(), PROMPTS[:2], **GIVEN, kept=KeptAnswers(tmp_path / "a", "w"))
    prompts, weights = change.pop("prompts", PROMPTS[:2]), change.pop("model", "w")
    if "closing" in change:
        monkeypatch.setattr(model, "generate", lambda input_ids, **given: input_ids.repeat(1, 2))
    done = batches_generated(model, monkeypatch)
    generate(model, Numbers(), prompts, **{**GIVEN, **change}, kept=KeptAnswers(tmp_path / "a", weights))
    assert done == [2]


def test_a_file_that_cannot_be_written_costs_nothing_else(
    model: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    whole = generate(model, Numbers(), PROMPTS, **GIVEN)
    with caplog.at_level(logging.WARNING):
        kept = KeptAnswers(tmp_path / "file" / "a", "w")
        assert generate(model, Numbers(), PROMPTS, **GIVEN, kept=kept) == whole
    (said,) = caplog.messages
    assert "cannot be written" in said
    assert said.endswith("a run killed while scoring would generate again")


@pytest.mark.parametrize("content", ["", "\n", "0 []\n", "[" * 100_000, json.dumps({})])
def test_a_file_of_anything_else_is_empty(content: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(content)
    assert KeptAnswers(tmp_path / "a", "w").take("") is None
    assert (tmp_path / "a").read_text() == ""


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    KeptAnswers(tmp_path / "elsewhere", "w").keep("one", ["1"], 0.5)
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    assert KeptAnswers(tmp_path / "a", "w").take("one") is None
