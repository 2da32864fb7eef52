"""The reference of a classification example is computed once, and is the live one."""

import pytest
import torch
from training_cases import adapted, answers, build, collate, examples, losses, moved, objective, trainer

from balora.adapters import frozen_copy, reference_of
from balora.training.loss import ModelLoss
from balora.training.reference_cache import IndexOnHost, ReferenceLogits

CONFIG = objective("nlu", consistency=0.5)


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


def test_every_example_once_over_several_epochs(tmp_path, passes):
    made = trainer(adapted("classifier"), CONFIG, examples(10), tmp_path, max_steps=9)  # three epochs of 4, 4, 2 rows
    made.train()
    assert len(passes) == 3
    assert len(made.model_loss.reference_logits) == 10


def test_without_numbers_it_is_computed_live(tmp_path, passes):
    rows = [{name: value for name, value in row.items() if name != "index"} for row in examples(8)]
    made = trainer(adapted("classifier"), CONFIG, rows, tmp_path, max_steps=4)
    made.data_collator = lambda chosen: {
        name: value for name, value in collate([{**row, "index": 0} for row in chosen]).items() if name != "index"
    }
    made.train()
    assert len(passes) == 4


def test_the_training_is_that_of_a_live_reference(tmp_path):
    known, live = adapted("classifier"), adapted("classifier")
    one = trainer(known, CONFIG, examples(10), tmp_path, max_steps=9)
    other = trainer(live, CONFIG, examples(10), tmp_path, max_steps=9)
    other.model_loss.reference_logits.keep = lambda index, logits: None
    one.train()
    other.train()
    assert losses(one) == pytest.approx(losses(other), rel=1e-4)
    assert one.telemetry.series()[-1]["consistency"] > 1e-3


def test_values_are_those_of_the_frozen_model_after_training(tmp_path):
    model, rows = adapted("classifier"), examples(10)
    made = trainer(model, CONFIG, rows, tmp_path, max_steps=6)
    made.train()
    batch = collate(rows)
    with reference_of(model):
        live = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    torch.testing.assert_close(made.model_loss.reference_logits.of(tuple(range(10))), live, rtol=1e-5, atol=1e-5)


def test_the_reference_of_full_fine_tuning_too(tmp_path, passes):
    model = build("classifier")
    made = trainer(model, CONFIG, examples(8), tmp_path, max_steps=4, reference=frozen_copy(model))
    made.train()
    assert len(passes) == 2
    assert made.telemetry.series()[-1]["consistency"] > 0


@pytest.mark.parametrize("name", ["classifier", "llama"])
def test_the_base_and_the_reference_are_untouched_by_training(tmp_path, name):
    family, rows = ("nlg", answers()) if name == "llama" else ("nlu", examples())
    model = adapted(name)
    frozen = {key for key, value in model.named_parameters() if not value.requires_grad}
    base = {key: value.clone() for key, value in model.named_parameters() if key in frozen}
    inputs = {key: value for key, value in collate(rows).items() if key not in ("labels", "index")}
    with reference_of(model):
        before = model(**inputs).logits.clone()
    trainer(model, objective(family, consistency=0.5), rows, tmp_path, max_steps=5).train()
    assert len(base) > 10
    after = dict(model.named_parameters())
    assert all(torch.equal(after[key], value) for key, value in base.items())
    with reference_of(model):
        assert torch.equal(model(**inputs).logits, before)
    assert not torch.allclose(model(**inputs).logits, before)


@pytest.mark.parametrize("full", [False, True])
def test_the_reference_has_no_dropout(full):
    model = build("bert") if full else adapted("bert")
    copy = frozen_copy(model).train() if full else None
    loss, batch = ModelLoss(model.train(), CONFIG, copy), collate(examples())
    batch.pop("index")
    (one, known, _), (other, again, _) = (loss.read(model, batch) for _ in range(2))
    assert torch.equal(known.logits, again.logits)
    assert not torch.equal(one.logits, other.logits)  # the student does have some


def test_logits_are_known_only_if_all_are():
    kept = ReferenceLogits()
    logits = torch.arange(6.0).reshape(3, 2)
    kept.keep((4, 7, 5), logits)
    assert kept.of((5, 4)).tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert kept.of(torch.tensor([7])).tolist() == [[2.0, 3.0]]
    assert kept.of((4, 8)) is None
    assert kept.of(()) is None
    assert kept.of(None) is None
    logits.zero_()
    assert kept.of((7,)).tolist() == [[2.0, 3.0]]  # a copy


def test_numbers_stay_on_the_host():
    batch = IndexOnHost(collate)(examples(3))
    assert batch["index"] == (0, 1, 2)
    assert batch["input_ids"].shape[0] == 3


def test_a_moved_student_is_not_its_own_reference():
    model = moved(adapted("classifier"))
    terms, _, _ = ModelLoss(model, CONFIG)(model, collate(examples()))
    assert terms.consistency > 1e-3
