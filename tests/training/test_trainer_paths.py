"""Hidden states in place of logits, in every way of training that changes the forward pass: the same training."""

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from sft_cases import CONFIG, PAIRS, sft
from sft_cases import model as model
from sft_cases import tokenizer as tokenizer
from training_cases import adapted, answers, losses, trained_weights, trainer
from trl import SFTTrainer

from balora.training.loss import ModelLoss
from balora.training.reference.reference_cache import ReferenceFolder

pytestmark = [
    pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*padding-free.*:UserWarning"),
]

WAYS = {
    "plain": {},
    "gradient checkpointing": {"activation_checkpointing": True},
    "bfloat16": {"bf16": True},
    "accumulation": {"gradient_accumulation_steps": 2},
    "all three": {"activation_checkpointing": True, "bf16": True, "gradient_accumulation_steps": 2},
}


def materialised(made):
    """Have the trainer compute all logits."""
    made.model_loss.causal_rows().fallback = "the two ways are compared"
    return made


def assert_alike(one, other, tolerance):
    assert losses(one) == pytest.approx(losses(other), rel=tolerance)
    weights = trained_weights(other.model)
    for name, weight in trained_weights(one.model).items():
        atol = 20 * tolerance * float(weights[name].abs().max())
        assert torch.allclose(weight, weights[name], rtol=0, atol=atol), name
    terms, others = (made.telemetry.series()[-1] for made in (one, other))
    for term in ("task", "consistency", "diversity", "spectral"):
        assert terms[term] == pytest.approx(others[term], rel=10 * tolerance, abs=tolerance), term
    assert others["consistency"] > 1e-5


@pytest.mark.parametrize("way", WAYS)
def test_hidden_states_train_as_logits_do(tmp_path, way):
    made = [trainer(adapted("llama"), CONFIG, answers(), tmp_path, every=2, **WAYS[way]) for _ in range(2)]
    materialised(made[1])
    for one in made:
        one.train()
    assert not made[0].model_loss.notes()
    assert_alike(*made, tolerance=5e-3 if "bf16" in WAYS[way] else 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning")  # torch's own use
def test_a_compiled_model_trains_as_a_plain_one(tmp_path, backend):
    plain, compiled = (
        trainer(adapted("llama"), CONFIG, answers(), tmp_path, every=2, max_steps=3, torch_compile_backend=chosen)
        for chosen in (None, backend)
    )
    for one in (plain, compiled):
        one.train()
    assert not compiled.model_loss.notes()
    assert_alike(compiled, plain, tolerance=1e-4)


@pytest.mark.parametrize("packing", [{"packing": True, "max_length": 48}, {"padding_free": True}])
def test_packed_rows_give_every_answer_its_own_loss(model, tokenizer, tmp_path, packing):
    """The task loss of a packed batch is the mean over the tokens of its answers, each read alone."""
    made = sft(model, tokenizer, tmp_path, max_steps=1, per_device_train_batch_size=4, **packing)
    batch = next(iter(made.get_train_dataloader()))
    assert batch["input_ids"].shape[0] == 1
    starts = [*(batch["position_ids"][0] == 0).nonzero()[:, 0].tolist(), batch["input_ids"].shape[1]]
    assert len(starts) == len(PAIRS) + 1
    summed, distance, tokens = 0.0, 0.0, 0
    for start, end in pairwise(starts):
        ids, labels = batch["input_ids"][:, start:end], batch["labels"][0, start + 1 : end]
        logits = model(input_ids=ids).logits[0, :-1].detach()
        with model.disable_adapter():
            frozen = model(input_ids=ids).logits[0, :-1]
        rows = labels != -100
        summed += float(F.cross_entropy(logits[rows], labels[rows], reduction="sum"))
        student, target = (one[rows].div(2.0).log_softmax(-1) for one in (logits, frozen))
        distance += 4.0 * float(F.kl_div(student, target, log_target=True, reduction="sum"))
        tokens += int(rows.sum())
    terms, rows, _ = made.model_loss(model, batch)
    assert rows == tokens
    assert float(terms.task) == pytest.approx(summed / tokens, rel=1e-4)
    assert float(terms.consistency) == pytest.approx(distance / tokens, rel=1e-3)


@pytest.mark.parametrize("packing", [{"packing": True, "max_length": 48}, {"padding_free": True}])
def test_packed_rows_train_as_with_logits(model, tokenizer, tmp_path, packing):
    one = sft(deepcopy(model), tokenizer, tmp_path, max_steps=2, **packing)
    other = materialised(sft(model, tokenizer, tmp_path, max_steps=2, **packing))
    for made in (one, other):
        made.train()
    assert_alike(one, other, tolerance=1e-4)


def test_trls_rows_are_known_to_the_cache_and_not_to_its_evaluation(model, tokenizer, tmp_path, monkeypatch):
    folder = ReferenceFolder(tmp_path / "cache")
    assert sft(model, tokenizer, tmp_path).model_loss.reference_cache is None
    first = sft(model, tokenizer, tmp_path, max_steps=1, reference_cache=folder, per_device_train_batch_size=4)
    first.train()
    fed, true = [], SFTTrainer.compute_loss

    def compute_loss(self, model, inputs, *args):
        fed.append(set(inputs))
        return true(self, model, inputs, *args)

    monkeypatch.setattr(SFTTrainer, "compute_loss", compute_loss)
    assert first.evaluate()["eval_loss"] > 0
    assert fed == [{"input_ids", "attention_mask", "labels"}]
    again = sft(model, tokenizer, tmp_path, max_steps=1, reference_cache=folder, per_device_train_batch_size=4)
    monkeypatch.setattr(ModelLoss, "frozen", None)
    again.train()
    assert again.telemetry.series()[0]["consistency"] > 1e-5
