"""Label smoothing of the task loss: its value on literals, torch's as the oracle, both ways, and its gradient."""

import math

import pytest
import torch
import torch.nn.functional as F
from objective_cases import FORMULATIONS, batch_of, config_of, relative, weighted

from balora.objective import Objective, ObjectiveConfig
from balora.objective.tile import SCRATCH, RowTerms, tile_terms

EPS = 0.3
TASK = ObjectiveConfig.preset("none", family="nlg")


def test_smoothing_mixes_the_label_with_the_mean_over_classes() -> None:
    # log p of row 1: softmax of (0, ln 3) is (1/4, 3/4); row 2 is even
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, 5.0]], dtype=torch.float64)
    labels = torch.tensor([1, 0])
    even = (math.log(4) + math.log(4 / 3)) / 2  # mean over the classes of −log p
    expected = ((1 - EPS) * math.log(4 / 3) + EPS * even + math.log(2)) / 2
    found = Objective(TASK, label_smoothing=EPS).from_logits(logits, None, labels)
    assert found.task.item() == pytest.approx(expected, rel=1e-14)
    assert found.inactive.keys() == {"consistency", "diversity", "spectral"}


@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("shape", [(1, 7, 3), (41, 401, 24)], ids=str)
def test_value_and_gradient_are_those_of_torch(shape, bias) -> None:  # type: ignore[no-untyped-def]
    made = batch_of(*shape, bias=bias)
    objective = Objective(TASK, label_smoothing=EPS, chunk_bytes=17 * 2 * shape[1] * 8)
    expected = F.cross_entropy(made.logits, made.labels, label_smoothing=EPS)
    (gradient,) = torch.autograd.grad(expected, made.hidden, retain_graph=True)
    for terms in (
        objective.from_logits(made.logits, None, made.labels),
        objective.from_hidden(made.hidden, None, made.head, made.labels),
    ):
        assert relative(terms.task, expected) < 1e-13
        assert relative(torch.autograd.grad(terms.loss, made.hidden)[0], gradient) < 1e-12
    alone = objective.gradients_from_hidden(made.hidden, None, made.head, made.labels)
    assert relative(alone["task"], gradient) < 1e-12


@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_both_ways_agree_beside_every_term(edition, formulation) -> None:  # type: ignore[no-untyped-def]
    made = batch_of(41, 101, 12, bias=True)
    objective = Objective(config_of(edition, formulation), label_smoothing=EPS, chunk_bytes=17 * 2 * 101 * 8)
    by_hidden = objective.from_hidden(made.hidden, made.reference, made.head, made.labels)
    by_logits = objective.from_logits(made.logits, made.reference_logits, made.labels)
    plain = Objective(config_of(edition, formulation)).from_logits(made.logits, made.reference_logits, made.labels)
    for name, value in by_logits.values().items():
        assert relative(getattr(by_hidden, name), value) < 1e-12, name
        assert (value.item() == plain.values()[name].item()) == (name != "task"), "the terms are not smoothed"
    gradients = [torch.autograd.grad(terms.loss, made.hidden)[0] for terms in (by_hidden, by_logits)]
    assert relative(*gradients) < 1e-12


def test_the_written_gradient_is_that_of_the_value() -> None:
    made = batch_of(6, 9, 4)
    whole = weighted(config_of("arxiv-v5", "nlg"), diversity=0.5)  # the entropy of the whole vocabulary
    objective = Objective(whole, label_smoothing=EPS)
    assert torch.autograd.gradcheck(
        lambda hidden: objective.from_hidden(hidden, None, made.head, made.labels).loss, made.hidden
    )


def test_a_step_towards_the_smoothed_labels_is_no_step_at_all() -> None:
    """The minimum is at p = (1 − ε)·onehot + ε/V: the gradient by the logits vanishes there and only there."""
    V, label = 5, torch.tensor([2])
    target = torch.full((1, V), EPS / V, dtype=torch.float64)
    target[0, 2] += 1 - EPS
    for smoothing, least, most in ((EPS, 0.0, 1e-15), (0.2, 1e-2, 1.0)):
        dz = target.log()
        terms = RowTerms(1.0, 0.0, 0.0, "kl", 1.0, None, smoothing=smoothing)
        tile_terms(dz, None, label, terms, dz.new_empty(SCRATCH, 1, V))
        assert least <= float(dz.abs().max()) < most


def test_without_it_nothing_changes_to_the_last_bit() -> None:
    made = batch_of(41, 101, 12, dtype=torch.float32)
    for config in (TASK, config_of("iclr-2026", "nlg")):
        plain, zero = Objective(config), Objective(config, label_smoothing=0.0)
        for one, other in [
            (o.from_hidden(made.hidden, made.reference, made.head, made.labels) for o in (plain, zero)),
            (o.from_logits(made.logits, made.reference_logits, made.labels) for o in (plain, zero)),
        ]:
            assert torch.equal(one.loss, other.loss)
    assert torch.equal(
        plain.from_logits(made.logits, made.reference_logits, made.labels).task,
        F.cross_entropy(made.logits, made.labels),
    )


def test_regression_has_nothing_to_smooth_and_says_so() -> None:
    student, labels = torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 1.0])
    config = ObjectiveConfig.preset("none", family="nlu")
    terms = Objective(config, label_smoothing=EPS).from_logits(student, None, labels)
    assert terms.task.item() == 2.0
    assert terms.inactive["label_smoothing"] == "regression: a squared error has no classes to smooth over"
    assert "label_smoothing" not in Objective(config).from_logits(student, None, labels).inactive
