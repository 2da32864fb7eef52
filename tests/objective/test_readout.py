"""Scaled and soft-capped logits from hidden states: what materialised ones give, or a refusal with its reason."""

import math
import re

import pytest
import torch
from objective_cases import FORMULATIONS, TERMS, batch_of, config_of, in_float64, relative, weighted

from balora.errors import InputError
from balora.objective import Objective, Readout

ROWS = weighted(config_of("iclr-2026", "nlg"), consistency=0.7, diversity=0.3)
WHOLE = weighted(config_of("arxiv-v5", "nlg"), consistency=0.7, diversity=0.3)
SQUARES = weighted(config_of("arxiv-v5", "nlg"), consistency=0.7, diversity=0.3).replace(
    consistency=config_of("arxiv-v5", "nlu").consistency
)


def test_the_scale_is_applied_before_the_cap() -> None:
    output = torch.tensor([0.0, 1.0, -50.0])
    assert Readout(scale=2.0)(output).tolist() == [0.0, 2.0, -100.0]
    assert Readout(soft_cap=30.0)(output).tolist() == pytest.approx([0.0, 30 * math.tanh(1 / 30), -27.9333], rel=1e-5)
    assert Readout(0.5, 2.0)(output)[1].item() == pytest.approx(2 * math.tanh(0.25))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("readout", [Readout(0.25), Readout(-3.0), Readout(1.0, 4.0), Readout(2.0, 4.0)], ids=str)
@pytest.mark.parametrize("config", [ROWS, WHOLE, SQUARES], ids=["top K", "whole vocabulary", "squares"])
def test_hidden_states_give_the_loss_and_gradients_of_the_logits(config, readout, dtype) -> None:  # type: ignore[no-untyped-def]
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5}[dtype]
    made = batch_of(41, 401, 24, bias=True, dtype=dtype)
    exact = in_float64(made)
    objective = Objective(config, chunk_bytes=17 * 2 * 401 * made.hidden.element_size(), label_smoothing=0.1)
    by_hidden = objective.from_hidden(*made, readout=readout)
    by_logits = objective.from_logits(readout(exact.logits), readout(exact.reference_logits), exact.labels)
    assert set(by_hidden.values()) == {"task", "consistency", "diversity"}
    for name, value in by_logits.values().items():
        assert relative(getattr(by_hidden, name), value) < tolerance, name
    (expected,) = torch.autograd.grad(by_logits.loss, exact.hidden, retain_graph=True)
    assert relative(torch.autograd.grad(by_hidden.loss, made.hidden)[0], expected) < tolerance
    for name, gradient in objective.gradients_from_hidden(*made, readout=readout).items():
        value = by_logits.weights.get(name, 1.0) * by_logits.values()[name]
        (expected,) = torch.autograd.grad(value, exact.hidden, retain_graph=True)
        assert relative(gradient, expected) < tolerance, name


@pytest.mark.parametrize("readout", [Readout(0.25), Readout(1.0, 4.0)], ids=str)
def test_half_precision_stays_close(readout: Readout) -> None:
    made = batch_of(41, 401, 24, bias=True, dtype=torch.bfloat16)
    exact = in_float64(made)
    by_hidden = Objective(WHOLE).from_hidden(*made, readout=readout)
    by_logits = Objective(WHOLE).from_logits(readout(exact.logits), readout(exact.reference_logits), exact.labels)
    for name, value in by_logits.values().items():
        assert relative(getattr(by_hidden, name), value) < 1e-2, name
    pair = torch.autograd.grad(by_hidden.loss, made.hidden)[0], torch.autograd.grad(by_logits.loss, exact.hidden)[0]
    assert relative(*pair) < 2e-2  # logits and gradient are rounded to 8 bits


@pytest.mark.parametrize("scale", [0.25, -3.0])
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_a_scale_is_exact_in_every_term(edition, formulation, scale) -> None:  # type: ignore[no-untyped-def]
    made, readout = batch_of(41, 101, 12, bias=True), Readout(scale)
    objective = Objective(config_of(edition, formulation, outputs=9))
    by_hidden = objective.from_hidden(*made, readout=readout)
    by_logits = objective.from_logits(readout(made.logits), readout(made.reference_logits), made.labels)
    assert set(by_hidden.values()) == {"task", *TERMS}
    for name, value in by_logits.values().items():
        assert relative(getattr(by_hidden, name), value) < 1e-12, name
    gradients = [torch.autograd.grad(terms.loss, made.hidden)[0] for terms in (by_hidden, by_logits)]
    assert relative(*gradients) < 1e-11


def test_the_gradient_under_a_cap_passes_gradcheck() -> None:
    made = batch_of(6, 9, 4, bias=True)
    config = WHOLE.replace(consistency=WHOLE.consistency.replace(temperature=1.7))
    objective = Objective(config, chunk_bytes=1)
    assert torch.autograd.gradcheck(
        lambda hidden: objective.from_hidden(hidden, *made[1:], readout=Readout(2.0, 1.5)).loss, made.hidden
    )


@pytest.mark.parametrize(("edition", "formulation", "terms"), [
    ("iclr-2026", "nlg", "spectral term"), ("iclr-2026", "nlu", "covariance and the spectral term"),
])  # fmt: skip
def test_a_cap_is_refused_where_a_term_needs_the_whole_matrix(edition, formulation, terms) -> None:  # type: ignore[no-untyped-def]
    objective = Objective(config_of(edition, formulation, outputs=9))
    for call in (objective.from_hidden, objective.gradients_from_hidden):
        with pytest.raises(InputError, match=f"soft-capped logits are no product .* which the {terms} on a vocabulary"):
            call(*batch_of(6, 9, 4), readout=Readout(soft_cap=30.0))


@pytest.mark.parametrize(
    ("readout", "message"),
    [
        (Readout(0.0), "`readout.scale` must be finite and not 0, got 0.0"),
        (Readout(math.inf), "`readout.scale` must be finite and not 0, got inf"),
        (Readout(soft_cap=0.0), "`readout.soft_cap` must be finite and above 0, got 0.0: none means no cap"),
        (Readout(soft_cap=math.nan), "`readout.soft_cap` must be finite and above 0, got nan"),
    ],
)
def test_what_makes_no_logits_is_refused(readout: Readout, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        Objective(WHOLE).from_hidden(*batch_of(6, 9, 4), readout=readout)
