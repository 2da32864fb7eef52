"""The objective from logits: the sum of the formulas with λ, regression, no rows, micro-batches, errors, nan."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from objective_cases import FORMULATIONS, TERMS, config_of, weighted
from torch import Tensor

from balora.errors import InputError
from balora.maths import (
    consistency_kl,
    consistency_mse,
    diversity_covariance,
    diversity_entropy,
    spectral_ratio,
)
from balora.objective import Objective, ObjectiveConfig


def data(rows: int, outputs: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    student, reference = torch.randn(2, rows, outputs, dtype=dtype).unbind()
    return student.clone().requires_grad_(), reference.clone(), torch.randint(outputs, (rows,))


def test_loss_of_a_literal() -> None:
    # N = 2, D = 2, only the divergence: CE of (0, 0) is ln 2 twice; KL((¾, ¼)‖(½, ½)) = 0.130812, T = 2 and equal
    # logits (2·ln 3, 0): 4·0.130812; loss = ln 2 + 0.5·0.523248
    config = weighted(ObjectiveConfig.preset("ba-lora", family="nlu"), consistency=0.5)
    reference = torch.tensor([[2 * math.log(3), 0.0]] * 2)
    terms = Objective(config).from_logits(torch.zeros(2, 2), reference, torch.tensor([0, 1]))
    assert terms.task.item() == pytest.approx(math.log(2))
    assert terms.consistency is not None
    assert terms.consistency.item() == pytest.approx(0.52324814)
    assert terms.loss.item() == pytest.approx(math.log(2) + 0.5 * 0.52324814)
    assert terms.weights == {"consistency": 0.5}
    assert terms.inactive == {"diversity": "λ = 0", "spectral": "λ = 0"}


def expected_parts(edition: str, formulation: str, z: Tensor, reference: Tensor) -> dict[str, Tensor]:
    """Method.md §2 once more, row by row, in the functions' own words."""
    return {
        ("arxiv-v5", "nlu"): lambda: (consistency_mse(z, reference), diversity_covariance(z), spectral_ratio(z, 3)),
        ("arxiv-v5", "nlg"): lambda: (consistency_kl(z, reference), diversity_entropy(z), spectral_ratio(z, 3)),
        ("iclr-2026", "nlu"): lambda: (
            consistency_kl(z, reference, 2.0),
            diversity_covariance(z),
            spectral_ratio(z, 5),
        ),
        ("iclr-2026", "nlg"): lambda: (
            consistency_kl(z, reference, 2.0),
            diversity_entropy(z, 20),
            spectral_ratio(z, 10, "frobenius"),
        ),
    }[edition, formulation]()  # type: ignore[return-value]


@pytest.mark.parametrize("family", ["nlu", "nlg"])
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_loss_is_the_sum_of_the_formulas_with_their_weights(edition, formulation, family) -> None:  # type: ignore[no-untyped-def]
    z, reference, labels = data(41, 101)
    objective = Objective(ObjectiveConfig.preset("ba-lora", family=family, edition=edition, formulation=formulation))
    terms = objective.from_logits(z, reference, labels, progress=0.22)
    weights = objective.weights_at(0.22)
    assert terms.weights == weights
    loss = F.cross_entropy(z, labels)
    for term, value in zip(TERMS, expected_parts(edition, formulation, z, reference), strict=True):
        assert getattr(terms, term).item() == pytest.approx(value.item(), rel=1e-12)
        loss = loss + weights[term] * value
    assert terms.loss.item() == pytest.approx(loss.item(), rel=1e-12)
    for part in (terms.loss, *terms.values().values()):
        assert part.requires_grad
        assert part.shape == ()
    gradients = [torch.autograd.grad(value, z, retain_graph=True)[0] for value in (terms.loss, loss)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=1e-15)  # the same graph but for its order


@pytest.mark.parametrize("term", TERMS)
def test_one_weight_switches_on_one_term(term: str) -> None:
    z, reference, labels = data(41, 101)
    config = weighted(ObjectiveConfig.preset("ba-lora", family="nlg"), **{term: 0.25})
    terms = Objective(config).from_logits(z, reference, labels)
    assert set(terms.values()) == {"task", term}
    assert terms.loss.item() == pytest.approx((terms.task + 0.25 * getattr(terms, term)).item(), rel=1e-12)


def test_no_gradient_flows_into_the_reference() -> None:
    z, reference, labels = data(41, 101)
    reference.requires_grad_()
    Objective(config_of("iclr-2026", "nlg")).from_logits(z, reference, labels).loss.backward()
    assert reference.grad is None
    assert z.grad is not None


@pytest.mark.parametrize("form", ["kl", "mse"])
def test_regression_has_a_squared_error_and_a_plain_squared_consistency(form: str) -> None:
    config = weighted(ObjectiveConfig.preset("ba-lora", family="nlu"), consistency=0.5, diversity=1.0, spectral=1.0)
    config = config.replace(consistency=config.consistency.replace(form=form))
    z = torch.tensor([[1.0], [3.0], [-2.0]], requires_grad=True)
    terms = Objective(config).from_logits(z, torch.tensor([[0.0], [3.0], [0.0]]), torch.tensor([1.0, 1.0, 1.0]))
    assert terms.task.item() == pytest.approx((0 + 4 + 9) / 3)
    assert terms.consistency is not None
    assert terms.consistency.item() == pytest.approx((1 + 0 + 4) / 3)
    assert terms.loss.item() == pytest.approx(13 / 3 + 0.5 * 5 / 3)
    assert set(terms.inactive) == {"diversity", "spectral"}


@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_no_valid_row_gives_a_zero_loss_with_a_graph(edition, formulation) -> None:  # type: ignore[no-untyped-def]
    z = torch.zeros(0, 30, requires_grad=True)
    terms = Objective(config_of(edition, formulation)).from_logits(z, None, torch.zeros(0, dtype=torch.long))
    assert terms.loss.item() == 0.0
    assert terms.inactive == dict.fromkeys(TERMS, "no rows")
    terms.loss.backward()
    assert z.grad is not None


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (1, 3, 4)])
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_micro_batches_by_their_share_of_rows_make_up_the_batch(edition, formulation, sizes) -> None:  # type: ignore[no-untyped-def]
    z, reference, labels = data(8, 30)
    config = config_of(edition, formulation)
    token_means = {"consistency": 0.7} | ({"diversity": 0.3} if config.diversity.form == "entropy" else {})
    objective = Objective(weighted(config, **token_means))
    whole = objective.from_logits(z, reference, labels)
    parts = [t.split(sizes) for t in (z, reference, labels)]
    loss = sum(objective.from_logits(*part).loss * len(part[0]) / 8 for part in zip(*parts, strict=True))
    assert isinstance(loss, Tensor)
    assert loss.item() == pytest.approx(whole.loss.item(), rel=1e-14)  # float64: a few roundings
    torch.testing.assert_close(*(torch.autograd.grad(x, z)[0] for x in (loss, whole.loss)), rtol=1e-13, atol=1e-16)


def test_half_precision_logits_are_summed_in_float32() -> None:
    z, reference, labels = data(41, 101, torch.float32)
    objective = Objective(config_of("iclr-2026", "nlg"))
    rounded = [t.detach().to(torch.bfloat16) for t in (z, reference)]
    terms = objective.from_logits(*rounded, labels)
    assert terms.loss.dtype == torch.float32
    expected = objective.from_logits(*(t.float() for t in rounded), labels)
    assert torch.equal(terms.loss, expected.loss)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_a_bad_value_comes_out_as_nan_in_exactly_the_terms_it_touches(edition, formulation, bad) -> None:  # type: ignore[no-untyped-def]
    z, reference, labels = data(41, 101)
    objective = Objective(config_of(edition, formulation))
    poisoned = reference.clone()
    poisoned[3, 4] = bad
    terms = objective.from_logits(z, poisoned, labels)
    assert {name for name, value in terms.values().items() if value.isnan()} == {"consistency"}
    assert terms.loss.isnan()
    poisoned = z.detach().clone()
    poisoned[3, 4] = bad
    terms = objective.from_logits(poisoned, reference, labels)
    assert {name for name, value in terms.values().items() if value.isnan()} == {"task", *TERMS}
    assert terms.loss.isnan()


Z = torch.zeros(4, 3)
LABELS = torch.zeros(4, dtype=torch.long)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 2, 3), None, LABELS), "expected one row a position or example (N×D), got shape (2, 2, 3)"),
        ((Z, torch.zeros(4, 2), LABELS), "reference has shape (4, 2), student (4, 3): must be equal"),
        ((Z, torch.zeros(3, 3), LABELS), "reference has shape (3, 3), student (4, 3): must be equal"),
        ((Z, Z, LABELS[:3]), "labels of shape (3,) for 4 rows: give one a row, without masked positions"),
        ((Z, Z, LABELS[:, None]), "labels of shape (4, 1) for 4 rows: give one a row"),
        ((Z, None, LABELS), "consistency has a weight, but no reference was given: pass the frozen model's outputs"),
        ((Z, Z, LABELS + 3), "labels must be between 0 and 2 (rows already valid), got 3"),
        ((Z, Z, LABELS - 100), "labels must be between 0 and 2 (rows already valid), got -100"),
        ((Z, Z, torch.zeros(4)), "float labels mean regression on one output, got 3 outputs"),
    ],
)
def test_inputs_that_do_not_fit_each_other_are_refused(
    arguments: tuple[Tensor, Tensor | None, Tensor], message: str
) -> None:
    objective = Objective(ObjectiveConfig.preset("ba-lora", family="nlu"))
    with pytest.raises(InputError, match=re.escape(message)):
        objective.from_logits(*arguments)


def test_no_reference_is_needed_without_a_consistency_weight() -> None:
    config = weighted(ObjectiveConfig.preset("ba-lora", family="nlg", edition="arxiv-v5"), diversity=1.0, spectral=1.0)
    terms = Objective(config).from_logits(torch.randn(5, 9), None, LABELS.new_zeros(5))
    assert terms.consistency is None
    assert set(terms.weights) == {"diversity", "spectral"}
