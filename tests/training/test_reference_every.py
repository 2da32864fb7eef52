"""`objective.consistency.every: n`: the reference runs on every n-th step only, and the sum over steps is the same."""

import pytest
import torch
from training_cases import adapted, answers, collate, examples, moved, objective, trainer

from balora.errors import ConfigError
from balora.training.identity import run_id
from balora.training.loss import ModelLoss
from balora.training.spec import resolve


def every(config, n):
    return config.replace(consistency=config.consistency.replace(every=n).model_dump())


@pytest.fixture
def passes(monkeypatch):
    """Gets longer by one with every forward pass of the reference."""
    made = []
    true = ModelLoss.frozen

    def frozen(self):
        made.append(self)
        return true(self)

    monkeypatch.setattr(ModelLoss, "frozen", frozen)
    return made


def gradients(loss, batch, step):
    loss.model.zero_grad()
    terms, _, _ = loss(loss.model, batch, 0.5, step=step)
    terms.loss.backward()
    return {name: p.grad.clone() for name, p in loss.model.named_parameters() if p.requires_grad}, terms


@pytest.mark.parametrize("name", ["llama", "gemma2", "classifier"])
def test_over_n_steps_the_gradient_is_that_of_every_step(name, passes):
    """With hidden states, with materialised logits, and of a classifier."""
    family, rows = ("nlu", examples()) if name == "classifier" else ("nlg", answers())
    config = objective(family, consistency=0.7, diversity=0.2, spectral=0.1)
    model, batch = moved(adapted(name)), collate(rows)
    sums = []
    for n in (1, 3):
        loss = ModelLoss(model, every(config, n))
        passes.clear()
        parts = [gradients(loss, batch, step) for step in range(3)]
        sums.append({key: sum(grads[key] for grads, _ in parts) for key in parts[0][0]})
        assert len(passes) == 3 // n
        assert [terms.consistency is None for _, terms in parts] == [n > 1 and step > 0 for step in range(3)]
        assert all(terms.diversity is not None and "consistency" not in terms.inactive for _, terms in parts)
        assert parts[0][1].weights["consistency"] == pytest.approx(0.7 * n)
    for key, whole in sums[0].items():
        assert torch.allclose(sums[1][key], whole, rtol=1e-4, atol=1e-5 * float(whole.abs().max())), key
    plain = ModelLoss(model, objective(family, diversity=0.2, spectral=0.1))
    assert not all(torch.allclose(gradients(plain, batch, 0)[0][key], whole / 3) for key, whole in sums[0].items())


def test_steps_count_and_not_micro_batches(tmp_path, passes):
    config = every(objective("nlg", consistency=0.5), 2)
    made = trainer(adapted("llama"), config, answers(8), tmp_path, max_steps=5, gradient_accumulation_steps=2)
    made.train()
    assert len(passes) == 3 * 2, "steps 1, 3 and 5, of two micro-batches"
    assert [row.get("consistency_weight") for row in made.telemetry.series()] == [1.0, None, 1.0, None, 1.0]
    assert "consistency" not in made.telemetry.inactive()
    assert not made.telemetry.notes()


def test_it_is_a_whole_number_from_one_and_part_of_a_runs_identity():
    settings = {"task": "gsm8k", "model": "m"}
    with pytest.raises(ConfigError, match=r"objective\.consistency\.every: .*greater than or equal to 1, got 0"):
        resolve({**settings, "objective.consistency.every": 0})
    marks = {"model": "a", "data": "b", "code": "c"}
    ids = {n: run_id(resolve({**settings, "objective.consistency.every": n}), marks) for n in (1, 2)}
    assert ids[1] != ids[2]
    assert ids[1] == run_id(resolve(settings), marks)


def test_the_cache_is_no_part_of_a_runs_identity():
    settings = {"task": "gsm8k", "model": "m"}
    marks = {"model": "a", "data": "b", "code": "c"}
    off = resolve({**settings, "training.reference_cache_mib": 0})
    assert off.training.reference_cache_mib == 0
    assert run_id(off, marks) == run_id(resolve(settings), marks)
    with pytest.raises(ConfigError, match=r"training\.reference_cache_mib: .*greater than or equal to 0, got -1"):
        resolve({**settings, "training.reference_cache_mib": -1})
