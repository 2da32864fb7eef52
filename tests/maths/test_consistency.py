"""Consistency: literals, scipy as an oracle, what identifies the divergence, gradients, degenerate rows."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from scipy.special import rel_entr, softmax
from torch import Tensor

from balora.errors import InputError
from balora.maths import consistency_kl, consistency_mse

LN3 = math.log(3.0)
FUNCTIONS = [consistency_kl, consistency_mse]


def logits(rows: int, outputs: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(rows, outputs, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- (1) closed forms -------------------------------------------------------------------------------------------------


def test_kl_of_two_coins_is_reference_against_student_and_a_mean_over_rows() -> None:
    # P = (3/4, 1/4), F = (1/2, 1/2): 3/4·ln(3/2) + 1/4·ln(1/2) = 0.130812; the other way round it would be 0.143841.
    student = torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
    reference = torch.tensor([[LN3, 0.0], [1.0, 2.0]], dtype=torch.float64)  # the second row agrees
    one = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert one == pytest.approx(0.130812, abs=1e-6)
    assert consistency_kl(student[:1], reference[:1]).item() == pytest.approx(one, rel=1e-12)  # float64 rounding
    assert consistency_kl(student, reference).item() == pytest.approx(one / 2, rel=1e-12)
    assert consistency_kl(reference[:1], student[:1]).item() == pytest.approx(0.143841, abs=1e-6)


def test_temperature_divides_the_logits_and_multiplies_by_its_square() -> None:
    student, reference = torch.zeros(1, 2), torch.tensor([[2 * LN3, 0.0]])
    # at T = 2 the reference is (3/4, 1/4) again; 2² stands before the divergence
    assert consistency_kl(student, reference, 2.0).item() == pytest.approx(4 * 0.13081203594, rel=1e-6)  # float32


def test_mse_of_two_unit_rows() -> None:
    # (3, 4)/5 = (0.6, 0.8) against (0, 2)/2 = (0, 1): (0.36 + 0.04)/2 = 0.2; the second row agrees after scaling
    student, reference = torch.tensor([[3.0, 4.0], [1.0, 1.0]]), torch.tensor([[0.0, 2.0], [5.0, 5.0]])
    assert consistency_mse(student[:1], reference[:1]).item() == pytest.approx(0.2, rel=1e-6)  # float32 rounding
    assert consistency_mse(student, reference).item() == pytest.approx(0.1, rel=1e-6)
    assert consistency_mse(student[:1], reference[:1], normalize=False).item() == pytest.approx(6.5, rel=1e-6)


# --- (2) an independent oracle ----------------------------------------------------------------------------------------


def kl_oracle(student: Tensor, reference: Tensor, temperature: float) -> float:
    P, F = (softmax(z.double().numpy() / temperature, axis=1) for z in (reference, student))
    return float(temperature**2 * rel_entr(P, F).sum() / len(P))


def mse_oracle(student: Tensor, reference: Tensor) -> float:
    total = 0.0
    for f, p in zip(student.double().numpy(), reference.double().numpy(), strict=True):
        total += float(np.sum((f / math.sqrt(f @ f) - p / math.sqrt(p @ p)) ** 2))
    return total / student.numel()


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(1, 7), st.integers(1, 9), st.floats(0.25, 8.0))
def test_agrees_with_scipy_in_every_shape(rows: int, outputs: int, temperature: float) -> None:
    student, reference = logits(rows, outputs, 1), logits(rows, outputs, 2)
    # The divergence loses digits where it is near 0 (terms of both signs cancel): absolute tolerance of some roundings.
    expected = kl_oracle(student, reference, temperature)
    assert consistency_kl(student, reference, temperature).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert consistency_mse(student, reference).item() == pytest.approx(mse_oracle(student, reference), rel=1e-12)


def test_agrees_with_scipy_on_a_strange_shape_in_float32() -> None:
    student, reference = logits(41, 401, 3, torch.float32), logits(41, 401, 4, torch.float32)
    # 401 roundings of 6e-8 that mostly cancel
    assert consistency_kl(student, reference, 2.0).item() == pytest.approx(kl_oracle(student, reference, 2.0), rel=2e-6)
    assert consistency_mse(student, reference).item() == pytest.approx(mse_oracle(student, reference), rel=2e-6)


# --- (3) what identifies the method -----------------------------------------------------------------------------------


def test_kl_is_zero_only_at_equality_and_blind_to_a_constant_per_row() -> None:
    student, reference = logits(5, 7, 1), logits(5, 7, 2)
    constant = logits(5, 1, 3)
    assert consistency_kl(reference + constant, reference).item() == pytest.approx(0.0, abs=1e-14)  # roundings of e-16
    assert consistency_kl(student, reference) > 0.01
    shifted = consistency_kl(student + constant, reference - 2 * constant)
    assert shifted.item() == pytest.approx(consistency_kl(student, reference).item(), rel=1e-12)


def test_kl_at_high_temperature_is_half_the_variance_of_the_difference() -> None:
    # T²·KL → 1/(2D)·Σ(Δ − mean Δ)² as T grows: what T² is there for. The error falls as 1/T.
    student, reference = logits(6, 9, 1), logits(6, 9, 2)
    half_variance = (student - reference).var(dim=1, unbiased=False).mean().item() / 2
    assert consistency_kl(student, reference, 1e4).item() == pytest.approx(half_variance, rel=1e-3)


def test_mse_sees_directions_only() -> None:
    student, reference = logits(5, 7, 1), logits(5, 7, 2)
    scale = logits(5, 1, 3).exp()
    assert consistency_mse(student * scale, reference / scale).item() == pytest.approx(
        consistency_mse(student, reference).item(), rel=1e-12
    )
    assert consistency_mse(3 * reference, reference).item() == pytest.approx(0.0, abs=1e-30)
    assert consistency_mse(-reference, reference).item() == pytest.approx(4 / 7, rel=1e-12)  # ‖u − (−u)‖² = 4 a row
    assert consistency_mse(3 * reference, reference, normalize=False) > 0.1


# --- (4) gradients ----------------------------------------------------------------------------------------------------


def test_the_gradients_pass_gradcheck() -> None:
    student, reference = logits(4, 6, 1).requires_grad_(), logits(4, 6, 2)
    assert torch.autograd.gradcheck(lambda z: consistency_kl(z, reference, 2.0), student)
    assert torch.autograd.gradcheck(lambda z: consistency_mse(z, reference), student)
    assert torch.autograd.gradcheck(lambda z: consistency_mse(z, reference, normalize=False), student)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_gradient_flows_into_the_reference(function) -> None:  # type: ignore[no-untyped-def]
    student, reference = logits(4, 6, 1).requires_grad_(), logits(4, 6, 2).requires_grad_()
    function(student, reference).backward()
    assert reference.grad is None
    assert student.grad is not None
    assert student.grad.abs().max() > 0
    assert not function(student.detach(), reference).requires_grad


# --- (5) degenerate inputs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_rows_is_an_error(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match="a mean over no rows is undefined: got logits with 0 rows"):
        function(torch.zeros(0, 3), torch.zeros(0, 3))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_no_positive_number_is_an_error(temperature: float) -> None:
    with pytest.raises(InputError, match=f"`temperature` must be > 0 and finite, got {temperature}"):
        consistency_kl(torch.zeros(1, 2), torch.zeros(1, 2), temperature)


def test_a_row_of_zeros_has_no_direction_and_passes_no_gradient() -> None:
    zeros = torch.zeros(2, 3, requires_grad=True)
    reference = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert consistency_kl(zeros, torch.zeros(2, 3)).item() == 0.0
    value = consistency_mse(zeros, reference)
    assert value.item() == pytest.approx(1 / 6)  # one unit vector against nothing, six entries
    assert torch.equal(torch.autograd.grad(value, zeros)[0], torch.zeros(2, 3))  # a row of zeros passes no gradient


def test_a_row_too_small_to_square_counts_as_zero() -> None:
    tiny = torch.full((1, 3), 1e-30, requires_grad=True)  # squares underflow in float32
    value = consistency_mse(tiny, torch.ones(1, 3))
    assert value.item() == pytest.approx(1 / 3)
    assert torch.autograd.grad(value, tiny)[0].isfinite().all()


def test_tokens_masked_in_both_models_count_for_nothing() -> None:
    student, reference = logits(3, 5, 1), logits(3, 5, 2)
    masked = [torch.cat([z, torch.full((3, 2), -math.inf, dtype=z.dtype)], dim=1) for z in (student, reference)]
    masked[0].requires_grad_()
    value = consistency_kl(*masked, 2.0)
    assert value.item() == pytest.approx(consistency_kl(student, reference, 2.0).item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(value, masked[0])
    assert gradient.isfinite().all()
    assert torch.equal(gradient[:, 5:], torch.zeros(3, 2, dtype=torch.float64))


def test_a_token_that_only_the_student_rules_out_costs_infinitely_much() -> None:
    student = torch.tensor([[0.0, -math.inf]])
    assert consistency_kl(student, torch.zeros(1, 2)).item() == math.inf
    assert consistency_kl(torch.zeros(1, 2), student).item() == pytest.approx(math.log(2))  # P = (1, 0), F = (½, ½)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_a_bad_value_comes_out_as_nan(function, bad: float, side: int) -> None:  # type: ignore[no-untyped-def]
    pair = [logits(3, 4, 1), logits(3, 4, 2)]
    pair[side][1, 2] = bad
    assert function(*pair).isnan()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(function, dtype: torch.dtype) -> None:  # type: ignore[no-untyped-def]
    student, reference = logits(41, 401, 1, torch.float32), logits(41, 401, 2, torch.float32)
    halved = function(student.to(dtype), reference.to(dtype))
    assert halved.dtype == torch.float32
    assert torch.equal(halved, function(student.to(dtype).float(), reference.to(dtype).float()))
    # inputs rounded to 8 bits (bfloat16: 4e-3), averaged over 16,000 entries
    assert halved.item() == pytest.approx(function(student, reference).item(), rel=2e-3)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_vector_is_no_matrix(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeCheckError):
        function(torch.zeros(3), torch.zeros(3))
    with pytest.raises(TypeCheckError):
        function(torch.zeros(2, 3), torch.zeros(2, 4))
