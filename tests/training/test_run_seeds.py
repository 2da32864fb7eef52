"""A seed decides rows, order, initial head and dropout, whatever happened before in the process."""

import json
from pathlib import Path

import pytest
import torch
from training_cases import real_spec

from balora.training import probe
from balora.training import run as run_module
from balora.training.run import run


def series(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "series.jsonl").read_text().splitlines()]


def outcome(folder, record):
    items = (folder / "items.jsonl").read_text()
    adapter = (folder / "adapter" / "adapter_model.safetensors").read_bytes()
    return record.metrics, {k: v.model_dump() for k, v in record.terms.items()}, series(folder), items, adapter


@pytest.mark.slow
@pytest.mark.parametrize("task", ["cola", "gsm8k"])
def test_the_same_seed_gives_the_same_bits_in_a_warm_process(tmp_path, checkpoint, data, task):
    # a standard start with dropout draws the most random numbers
    settings = {"method": "lora+reg", "adapter.dropout": 0.2}
    spec = real_spec(checkpoint, data, task=task, **settings)
    torch.manual_seed(1)
    first = outcome(tmp_path / "a", run(spec, tmp_path / "a"))
    torch.manual_seed(2)
    torch.randn(1000)
    other_spec = real_spec(checkpoint, data, task=task, **settings, **{"training.seed": 43})
    other = outcome(tmp_path / "b", run(other_spec, tmp_path / "b"))
    again = outcome(tmp_path / "c", run(spec, tmp_path / "c"))
    assert again == first
    assert other[2] != first[2]
    assert other[4] != first[4]


@pytest.fixture
def seen(monkeypatch):
    """What each run's trainer is fed and starts with: rows in order, the head, and torch's random state."""
    kept = []
    true = run_module.BALoraTrainer

    class Watched(true):
        def train(self):
            head = {
                name: parameter.detach().clone()
                for name, parameter in self.model.named_parameters()
                if "score" in name and "original" not in name
            }
            kept.append({"rows": [], "head": head})
            return super().train()

        def training_step(self, model, inputs, num_items_in_batch=None):
            entry = kept[-1]
            entry["rows"].append((inputs["index"].tolist(), inputs["input_ids"].clone()))
            loss = super().training_step(model, inputs, num_items_in_batch)
            entry.setdefault("state", []).append(torch.get_rng_state())
            return loss

    monkeypatch.setattr(run_module, "BALoraTrainer", Watched)
    return kept


ARMS = [
    {"method": "ba-lora"},
    {"method": "pissa"},
    {"method": "lora"},
    {"method": "full"},
    {"method": "ba-lora", "objective.formulation": "nlg", "objective.matching": "gradient"},
    {"method": "ba-lora", "adapter.rank": 4},
]


@pytest.mark.slow
def test_every_arm_of_a_seed_starts_alike(tmp_path, checkpoint, data, seen):
    for number, arm in enumerate(ARMS):
        run(real_spec(checkpoint, data, **arm, **{"training.steps": 2}), tmp_path / str(number))
    first, *others = seen
    assert len(first["rows"]) == 2
    assert len(first["head"]) == 1
    (head,) = first["head"].values()
    for arm, other in zip(ARMS[1:], others, strict=True):
        assert [index for index, _ in other["rows"]] == [index for index, _ in first["rows"]], arm
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(other["rows"], first["rows"], strict=True)), arm
        assert torch.equal(next(iter(other["head"].values())), head), arm
        # the state from which dropout draws: the same after every step, so the same masks in every arm
        assert all(torch.equal(a, b) for a, b in zip(other["state"], first["state"], strict=True)), arm


@pytest.mark.slow
def test_a_probe_starts_every_arm_from_the_same_head(tmp_path, checkpoint, data, seen, monkeypatch):
    monkeypatch.setattr(probe, "STEPS", 10)
    for number, method in enumerate(("ba-lora", "lora")):
        settings = {"method": method, "objective.reference_head": "probe"}
        run(real_spec(checkpoint, data, **settings), tmp_path / str(number))
    run(real_spec(checkpoint, data, method="lora"), tmp_path / "initial")
    one, two, initial = (next(iter(entry["head"].values())) for entry in seen)
    assert torch.equal(one, two)
    assert not torch.equal(one, initial)
