"""Diversity: literals, torch.cov and scipy as oracles, what leaves each form unchanged, gradients, degenerate rows."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from scipy.special import softmax
from scipy.stats import entropy
from torch import Tensor

from balora.errors import InputError
from balora.maths import diversity_covariance, diversity_entropy


def logits(rows: int, outputs: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(rows, outputs, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- (1) closed forms -------------------------------------------------------------------------------------------------


def test_covariance_of_two_columns() -> None:
    # columns (1, 2, 3) and (2, 4, 9): centred (−1, 0, 1) and (−3, −1, 4); C_12 = (3 + 0 + 4)/(3 − 1) = 3.5;
    # (3.5² + 3.5²)/2 = 12.25. With the diagonal it would be larger, with 1/N it would be 5.44.
    z = torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 9.0]])
    assert diversity_covariance(z).item() == pytest.approx(12.25, rel=1e-6)  # float32 rounding


def test_covariance_of_more_columns_than_rows() -> None:
    # two rows, centred to ±½·(2, 4, −2) = ±(1, 2, −1): C = 2·vvᵀ; off-diagonal 4, −2, −4 twice: 2·(16 + 4 + 16)/3 = 24
    z = torch.tensor([[5.0, 0.0, 1.0], [7.0, 4.0, -1.0]])
    assert diversity_covariance(z).item() == pytest.approx(24.0, rel=1e-6)


def test_entropy_of_two_rows() -> None:
    # (½, ¼, ¼): ½·ln 2 + 2·¼·ln 4 = 1.5·ln 2; a uniform row: ln 3; minus their mean
    z = torch.tensor([[math.log(2.0), 0.0, 0.0], [7.0, 7.0, 7.0]], dtype=torch.float64)
    expected = -(1.5 * math.log(2) + math.log(3)) / 2
    assert diversity_entropy(z).item() == pytest.approx(expected, rel=1e-12)


def test_top_k_entropy_is_renormalised_inside_the_top_k() -> None:
    # (½, ¼, ⅛, ⅛): the two largest, renormalised, are (⅔, ⅓): H = ln 3 − ⅔·ln 2 = 0.636514
    z = torch.tensor([[1 / 8, 1 / 2, 1 / 8, 1 / 4]], dtype=torch.float64).log()
    assert diversity_entropy(z, 2).item() == pytest.approx(-(math.log(3) - 2 / 3 * math.log(2)), rel=1e-12)
    assert diversity_entropy(z, 1).item() == 0.0


# --- (2) independent oracles ------------------------------------------------------------------------------------------


def covariance_oracle(z: Tensor) -> float:
    C = torch.cov(z.double().T).reshape(z.shape[1], z.shape[1])
    total = sum(float(C[i, j]) ** 2 for i in range(len(C)) for j in range(len(C)) if i != j)
    return total / z.shape[1]


def entropy_oracle(z: Tensor, top_k: int | None = None) -> float:
    total = 0.0
    for row in softmax(z.double().numpy(), axis=1):
        kept = sorted(row, reverse=True)[:top_k]
        total += float(entropy(kept))  # scipy divides by the sum
    return -total / len(z)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(2, 9), st.integers(1, 9), st.data())
def test_agrees_with_oracles_in_every_shape(rows: int, outputs: int, data: st.DataObject) -> None:
    z = 2 * logits(rows, outputs, rows)
    K = data.draw(st.integers(1, outputs))
    # wide matrices take the difference of two sums of squares: some roundings of their size are lost
    assert diversity_covariance(z).item() == pytest.approx(covariance_oracle(z), rel=1e-10, abs=1e-12)
    assert diversity_entropy(z).item() == pytest.approx(entropy_oracle(z), rel=1e-10, abs=1e-14)
    assert diversity_entropy(z, K).item() == pytest.approx(entropy_oracle(z, K), rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("shape", [(41, 401), (401, 41)])
def test_agrees_with_oracles_on_strange_shapes_in_float32(shape: tuple[int, int]) -> None:
    z = logits(*shape, seed=5, dtype=torch.float32)
    # 401 float32 roundings of 6e-8 that mostly cancel, squared and subtracted
    assert diversity_covariance(z).item() == pytest.approx(covariance_oracle(z), rel=1e-5)
    assert diversity_entropy(z).item() == pytest.approx(entropy_oracle(z), rel=2e-6)
    assert diversity_entropy(z, 20).item() == pytest.approx(entropy_oracle(z, 20), rel=2e-6)


# --- (3) what identifies the method -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(9, 4), (4, 9)])
def test_covariance_is_blind_to_a_constant_per_column_and_quartic_in_scale(shape: tuple[int, int]) -> None:
    z = logits(*shape)
    value = diversity_covariance(z).item()
    assert diversity_covariance(z + logits(1, shape[1], 9)).item() == pytest.approx(value, rel=1e-10)
    assert diversity_covariance(2 * z).item() == pytest.approx(16 * value, rel=1e-12)
    assert diversity_covariance(z.flip(1)).item() == pytest.approx(value, rel=1e-10)


def test_covariance_is_zero_exactly_for_decorrelated_outputs() -> None:
    # orthogonal columns of a Hadamard matrix without its constant one: zero mean, no correlation, unequal variances
    columns = torch.tensor([[1.0, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1]]) * torch.tensor([1.0, 5.0, 0.3])
    assert diversity_covariance(columns).item() == pytest.approx(0.0, abs=1e-12)
    mixed = columns.clone()
    mixed[:, 1] += 0.5 * mixed[:, 0]
    assert diversity_covariance(mixed) > 0.1


def test_entropy_is_log_d_when_uniform_zero_when_certain_and_blind_to_a_shift() -> None:
    uniform, certain = torch.zeros(3, 8), 1e4 * torch.eye(8)[:3]
    assert diversity_entropy(uniform).item() == pytest.approx(-math.log(8), rel=1e-6)
    assert diversity_entropy(uniform, 5).item() == pytest.approx(-math.log(5), rel=1e-6)
    assert diversity_entropy(certain).item() == 0.0
    z = logits(6, 8)
    assert -math.log(8) < diversity_entropy(z) < diversity_entropy(3 * z) < 0  # sharper rows are less diverse
    assert diversity_entropy(z + logits(6, 1, 3)).item() == pytest.approx(diversity_entropy(z).item(), rel=1e-12)


def test_top_k_over_the_whole_vocabulary_is_the_whole_entropy() -> None:
    z = logits(6, 8)
    assert diversity_entropy(z, 8).item() == pytest.approx(diversity_entropy(z).item(), rel=1e-12)
    assert diversity_entropy(z, 7).item() != pytest.approx(diversity_entropy(z).item(), rel=1e-3)


# --- (4) gradients ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_the_gradients_pass_gradcheck(shape: tuple[int, int]) -> None:
    z = logits(*shape).requires_grad_()
    assert torch.autograd.gradcheck(diversity_covariance, z)
    assert torch.autograd.gradcheck(diversity_entropy, z)
    assert torch.autograd.gradcheck(lambda x: diversity_entropy(x, 2), z)


def test_top_k_passes_gradient_to_the_top_k_only() -> None:
    z = torch.tensor([[3.0, 0.0, 2.0, 1.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(diversity_entropy(z, 2), z)
    assert (gradient[0, [0, 2]] != 0).all()
    assert torch.equal(gradient[0, [1, 3]], torch.zeros(2))


# --- (5) degenerate inputs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1])
def test_a_covariance_needs_two_rows(rows: int) -> None:
    with pytest.raises(InputError, match=f"a covariance needs at least 2 rows, got {rows}: leave this term out"):
        diversity_covariance(torch.zeros(rows, 3))


def test_entropy_of_no_rows_is_an_error_and_of_one_row_is_not() -> None:
    with pytest.raises(InputError, match="a mean over no rows is undefined: got logits with 0 rows"):
        diversity_entropy(torch.zeros(0, 3))
    assert diversity_entropy(torch.zeros(1, 3)).item() == pytest.approx(-math.log(3))


@pytest.mark.parametrize("top_k", [0, -1, 6])
def test_top_k_outside_the_vocabulary_is_an_error(top_k: int) -> None:
    with pytest.raises(InputError, match=f"`top_k` must be between 1 and V = 5, got {top_k}: lower it"):
        diversity_entropy(torch.zeros(2, 5), top_k)


def test_equal_rows_and_a_single_output_have_no_diversity_to_gain() -> None:
    zeros = torch.zeros(4, 3, requires_grad=True)
    value = diversity_covariance(zeros)
    assert value.item() == 0.0
    assert torch.equal(torch.autograd.grad(value, zeros)[0], torch.zeros(4, 3))
    assert diversity_covariance(logits(4, 1)).item() == 0.0
    assert diversity_entropy(logits(4, 1)).item() == 0.0


@pytest.mark.parametrize("top_k", [None, 4, 5])
def test_masked_tokens_carry_no_entropy_and_no_nan_gradient(top_k: int | None) -> None:
    z = logits(3, 4)
    masked = torch.cat([z, torch.full((3, 2), -math.inf, dtype=z.dtype)], dim=1).requires_grad_()
    value = diversity_entropy(masked, top_k)
    assert value.item() == pytest.approx(diversity_entropy(z).item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(value, masked)
    z.requires_grad_()
    (expected,) = torch.autograd.grad(diversity_entropy(z), z)
    torch.testing.assert_close(gradient[:, :4], expected)
    assert torch.equal(gradient[:, 4:], torch.zeros(3, 2, dtype=torch.float64))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_a_bad_value_comes_out_as_nan(bad: float, shape: tuple[int, int]) -> None:
    z = logits(*shape)
    z[1, 2] = bad
    assert diversity_covariance(z).isnan()
    assert diversity_entropy(z).isnan()
    assert diversity_entropy(z, 2).isnan()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    z = logits(41, 401, dtype=torch.float32)
    for function in (diversity_covariance, diversity_entropy, lambda x: diversity_entropy(x, 20)):
        halved = function(z.to(dtype))
        assert halved.dtype == torch.float32
        assert torch.equal(halved, function(z.to(dtype).float()))
        # inputs rounded to 8 bits (bfloat16: 4e-3), averaged over 16,000 entries
        assert halved.item() == pytest.approx(function(z).item(), rel=2e-3)


@pytest.mark.parametrize("shape", [(41, 7), (7, 41)])
def test_autocast_does_not_lower_the_covariance_to_half_precision(shape: tuple[int, int]) -> None:
    z = logits(*shape, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = diversity_covariance(z)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, diversity_covariance(z))


def test_a_vector_is_no_matrix() -> None:
    for function in (diversity_covariance, diversity_entropy):
        with pytest.raises(TypeCheckError):
            function(torch.zeros(3))
