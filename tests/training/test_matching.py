"""A swapped term starts with the gradient that its family's own formula would have had."""

import pytest
import torch
from training_cases import adapted, answers, collate, examples, real_spec

from balora.errors import ConfigError
from balora.maths import (
    consistency_kl,
    consistency_mse,
    diversity_covariance,
    diversity_entropy,
)
from balora.objective import ObjectiveConfig
from balora.training import matching
from balora.training.loss import ModelLoss
from balora.training.matching import matched_config
from balora.training.rows import next_token_rows
from balora.training.run import run

EDITION = "arxiv-v5"  # whose two families differ in every formula but the spectral one


def swapped(family, edition=EDITION, **changes):
    other = "nlg" if family == "nlu" else "nlu"
    config = ObjectiveConfig.preset("ba-lora", family=family, edition=edition, formulation=other)
    return config.replace(matching="gradient", **changes)


def batches(rows, size=3):
    return [collate(rows[start : start + size]) for start in range(0, len(rows), size)]


def start_rows(name, batch):
    """The hidden states (or logits) and the map to logits, of the model at its start."""
    model = adapted(name, dtype=torch.float64)
    fed = {key: batch[key] for key in ("input_ids", "attention_mask")}
    with torch.no_grad():
        if name != "llama":
            return model(**fed).logits, lambda logits: logits
        base = model.get_base_model()
        counted, _ = next_token_rows(batch["labels"])
        return base.model(**fed).last_hidden_state[:, :-1][counted], base.lm_head


def sizes(name, rows, formula, nudge=None):
    """Σ over batches of ‖∂formula/∂rows‖ by plain autograd."""
    generator = torch.Generator().manual_seed(8)
    total = 0.0
    for batch in batches(rows):
        outputs, head = start_rows(name, batch)
        student = outputs.clone()
        if nudge is not None:
            student += nudge * outputs.std() * torch.randn(outputs.shape, generator=generator, dtype=torch.float64)
        student.requires_grad_()
        value = formula(head(student), head(outputs).detach())
        total += torch.autograd.grad(value, student)[0].norm().item()
    return total


def test_a_vocabulary_with_the_understanding_formulas():
    rows, config = answers(6), swapped("nlg")
    found, notes = matched_config(ModelLoss(adapted("llama"), config), batches(rows), seed=0)
    own = sizes("llama", rows, lambda z, _: diversity_entropy(z))
    other = sizes("llama", rows, lambda z, _: diversity_covariance(z))
    assert found.diversity.weight * other == pytest.approx(config.diversity.weight * own, rel=1e-4)
    assert found.diversity.form == "covariance"
    assert found.spectral.weight == pytest.approx(config.spectral.weight)  # the same formula in both families
    assert notes[1] == f"matching: λ of the swapped diversity term is {found.diversity.weight:.3g} instead of 0.0003"
    own = sizes("llama", rows, lambda z, r: consistency_kl(z, r), nudge=1e-2)
    other = sizes("llama", rows, lambda z, r: consistency_mse(z, r), nudge=1e-2)
    # another draw of the noise: the ratio is that of two quadratic forms, close but not equal
    assert found.consistency.weight / config.consistency.weight == pytest.approx(own / other, rel=0.2)
    assert abs(own / other - 1) > 1


def test_classes_with_the_generation_formulas():
    rows, config = examples(9), swapped("nlu", "iclr-2026", spectral={"weight": 0.03, "k": 2, "norm": "frobenius"})
    found, notes = matched_config(ModelLoss(adapted("classifier"), config), batches(rows), seed=0)
    own = sizes("classifier", rows, lambda z, _: diversity_covariance(z))
    other = sizes("classifier", rows, lambda z, _: diversity_entropy(z, 3))  # K = 20 is cut to three classes
    assert found.diversity.weight * other == pytest.approx(0.03 * own, rel=1e-4)
    # three rows of three classes: the own form, k = 5, cannot act, so neither may its stand-in
    assert found.spectral.weight == 0
    assert notes[2] == "matching: the family's own spectral term has no gradient here, so the swapped one gets λ = 0"
    assert len(notes) == 3


def test_a_swapped_term_without_gradient_keeps_its_weight():
    config = swapped("nlg")  # one row a batch: no covariance
    rows = [row for row in answers() if len([label for label in row["labels"] if label >= 0]) == 1]
    found, notes = matched_config(ModelLoss(adapted("llama"), config), batches(rows, 1), seed=0)
    assert found.diversity.weight == config.diversity.weight
    assert "matching: the swapped diversity term has no gradient here, its λ stays 0.0003" in notes


def test_a_term_without_weight_stays_off_and_unmentioned():
    config = swapped("nlg")
    config = config.replace(diversity={**config.diversity.model_dump(), "weight": 0.0})
    found, notes = matched_config(ModelLoss(adapted("llama"), config), batches(answers(6)), seed=0)
    assert found.diversity.weight == 0
    assert len(notes) == 2


def test_a_gradient_that_is_not_finite_changes_nothing():
    model = adapted("classifier")
    model.get_base_model().score.modules_to_save["default"].weight.data.fill_(float("nan"))
    config = swapped("nlu")
    found, notes = matched_config(ModelLoss(model, config), batches(examples(6)), seed=0)
    assert found == config
    assert notes[0] == "matching: the consistency term's gradient is not finite, its λ stays 0.0001"


@pytest.mark.parametrize("name", ["llama", "classifier"])
def test_the_ratio_does_not_depend_on_the_size_of_a_small_nudge(name, monkeypatch):
    family, rows = ("nlg", answers(6)) if name == "llama" else ("nlu", examples(9))
    weights = []
    for nudge in (0.01, 0.005, 0.02):
        monkeypatch.setattr(matching, "NUDGE", nudge)
        found, _ = matched_config(ModelLoss(adapted(name), swapped(family)), batches(rows), seed=0)
        weights.append(found.consistency.weight)
    assert weights == pytest.approx([weights[0]] * 3, rel=0.03)
    assert weights[0] != pytest.approx(1e-4, rel=0.1)


def test_one_seed_one_answer_and_no_draw_from_the_global_state():
    config = swapped("nlg")
    torch.manual_seed(1)
    one = matched_config(ModelLoss(adapted("llama"), config), batches(answers(6)), seed=0)
    state = torch.get_rng_state()
    two = matched_config(ModelLoss(adapted("llama"), config), batches(answers(6)), seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    other = matched_config(ModelLoss(adapted("llama"), config), batches(answers(6)), seed=1)
    assert one == two
    assert one[0].consistency.weight != other[0].consistency.weight


def test_schedules_do_not_hide_a_term_from_the_comparison():
    config = swapped("nlg", "iclr-2026")  # diversity waits for 20 % of the steps
    found, _ = matched_config(ModelLoss(adapted("llama"), config), batches(answers(6)), seed=0)
    assert found.consistency.weight == pytest.approx(config.consistency.weight)  # one formula, one noise: ratio 1
    assert found.diversity.schedule == "two-phase"
    assert found.diversity.weight not in (0.0, config.diversity.weight)


def test_a_run_says_what_was_matched(tmp_path, checkpoint, data):
    settings = {"objective.formulation": "nlu", "objective.matching": "gradient", "objective.edition": "arxiv-v5"}
    record = run(real_spec(checkpoint, data, task="gsm8k", **settings), tmp_path / "run")
    notes = [note for note in record.notes if note.startswith("matching: ")]
    assert len(notes) == 3
    assert record.spec.objective.diversity.weight == 3e-4  # as asked for
    assert record.terms["diversity"].weight < 1e-6  # as used
    assert f"{record.terms['diversity'].weight:.3g} instead of 0.0003" in notes[1]


def test_nothing_to_match_is_refused():
    with pytest.raises(ConfigError, match="formulation is the family's own"):
        ObjectiveConfig.preset("ba-lora", family="nlg").replace(matching="gradient")
