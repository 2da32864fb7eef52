"""Spectrum: literals, LAPACK as an oracle, what descending a ratio does, gradients, repeated and vanishing values."""

import math
from typing import Literal

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from balora.errors import InputError
from balora.maths import spectral_ratio
from balora.maths.spectrum import singular_values

Norm = Literal["nuclear", "frobenius"]
NORMS: list[Norm] = ["nuclear", "frobenius"]


def matrix(rows: int, columns: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- (1) closed forms -------------------------------------------------------------------------------------------------


def test_ratios_of_a_diagonal_matrix() -> None:
    # singular values 4, 3, 1 (the sign is not theirs): the two largest make 7 of 8, and 7 of √26
    z = torch.diag(torch.tensor([1.0, -4.0, 3.0]))
    assert spectral_ratio(z, 2).item() == pytest.approx(-7 / 8, rel=1e-6)  # float32 rounding
    assert spectral_ratio(z, 1).item() == pytest.approx(-4 / 8, rel=1e-6)
    assert spectral_ratio(z, 2, "frobenius").item() == pytest.approx(-7 / math.sqrt(26), rel=1e-6)


def test_singular_values_of_a_literal() -> None:
    # [[3, 0], [4, 5]]: MᵀM = [[25, 20], [20, 25]] has eigenvalues 45 and 5
    z = torch.tensor([[3.0, 0.0], [4.0, 5.0]], dtype=torch.float64)
    assert singular_values(z).tolist() == pytest.approx([math.sqrt(45), math.sqrt(5)], rel=1e-14)
    assert spectral_ratio(z, 1).item() == pytest.approx(-3 / 4, rel=1e-14)  # √45 : √5 = 3 : 1


# --- (2) an independent oracle ----------------------------------------------------------------------------------------


def ratio_oracle(z: Tensor, k: int, norm: str) -> float:
    sigma = np.sort(scipy.linalg.svdvals(z.double().numpy()))[::-1]
    whole = sigma.sum() if norm == "nuclear" else math.sqrt(float((z.double() ** 2).sum()))
    return float(-sigma[:k].sum() / whole)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 11), st.sampled_from(NORMS))
def test_agrees_with_lapack_in_every_shape(rows: int, columns: int, k: int, norm: Norm) -> None:
    z = matrix(rows, columns, rows * columns)
    # a square root of a Gram eigenvalue keeps half the digits of the smallest singular value; these are benign
    assert spectral_ratio(z, k, norm).item() == pytest.approx(ratio_oracle(z, k, norm), rel=1e-9)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(41, 401), (401, 41)])
def test_agrees_with_lapack_on_strange_shapes_in_float32(shape: tuple[int, int], norm: Norm) -> None:
    z = matrix(*shape, dtype=torch.float32)
    assert spectral_ratio(z, 10, norm).item() == pytest.approx(ratio_oracle(z, 10, norm), rel=1e-6)  # float32 result


def test_a_flat_spectrum_is_exact_in_float32() -> None:
    # 8,192 columns and more are taken in blocks; a randomized decomposition is several percent off on flat spectra
    z = matrix(32, 20_000, dtype=torch.float32)
    assert spectral_ratio(z, 5).item() == pytest.approx(ratio_oracle(z, 5, "nuclear"), rel=1e-6)


# --- (3) what identifies the method -----------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_ratios_know_neither_scale_nor_rotation(norm: Norm) -> None:
    z = matrix(6, 9)
    value = spectral_ratio(z, 2, norm).item()
    left, right = (torch.linalg.qr(matrix(n, n, n)).Q for n in (6, 9))
    assert spectral_ratio(left @ z @ right, 2, norm).item() == pytest.approx(value, rel=1e-12)
    assert spectral_ratio(-7 * z, 2, norm).item() == pytest.approx(value, rel=1e-12)
    assert spectral_ratio(z.T, 2, norm).item() == pytest.approx(value, rel=1e-12)


def test_the_ratio_is_least_for_k_equal_values_and_minus_one_for_rank_one() -> None:
    rank_one = matrix(6, 1) @ matrix(1, 9)
    for k in (1, 3):
        assert spectral_ratio(rank_one, k).item() == pytest.approx(-1.0, rel=1e-6)
        assert spectral_ratio(rank_one, k, "frobenius").item() == pytest.approx(-1.0, rel=1e-6)
    assert spectral_ratio(torch.eye(6), 4, "frobenius").item() == pytest.approx(-4 / math.sqrt(6))
    equal = torch.diag(torch.tensor([2.0, 2, 2, 2, 0, 0]))
    assert spectral_ratio(equal, 4, "frobenius").item() == pytest.approx(-math.sqrt(4))  # the least there is
    assert spectral_ratio(equal, 3).item() == pytest.approx(-3 / 4)


def test_the_nuclear_ratio_is_constant_for_k_from_min_n_d_on() -> None:
    for shape in [(3, 8), (8, 3)]:
        z = matrix(*shape).requires_grad_()
        value = spectral_ratio(z, 3)
        assert value.item() == pytest.approx(-1.0, rel=1e-12)
        assert torch.autograd.grad(value, z)[0].abs().max() < 1e-14  # roundings
        assert spectral_ratio(z, 2) > -0.999


def descend(norm: Norm, steps: int = 300, rate: float = 0.5) -> Tensor:
    """The singular values of diag(3, 1, ½) after descending the ratio with k = 2."""
    z = torch.diag(torch.tensor([3.0, 1.0, 0.5], dtype=torch.float64))
    for _ in range(steps):
        z.requires_grad_()
        (gradient,) = torch.autograd.grad(spectral_ratio(z, 2, norm), z)
        z = (z - rate * gradient).detach()
    return torch.linalg.svdvals(z)


def test_descending_the_nuclear_ratio_concentrates() -> None:
    first, second, third = descend("nuclear").tolist()
    assert third / (first + second + third) < 0.03  # it was 1/9
    assert first - second == pytest.approx(2.0, abs=1e-6)  # nothing draws the two leading values together


def test_descending_the_frobenius_ratio_spreads_the_leading_values() -> None:
    first, second, third = descend("frobenius").tolist()
    assert first / second < 1.01  # it was 3
    assert third / first < 0.01


# --- (4) gradients ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 3)])
def test_the_gradients_pass_gradcheck(shape: tuple[int, int], norm: Norm) -> None:
    z = matrix(*shape).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: spectral_ratio(x, 2, norm), z)


@pytest.mark.parametrize("norm", NORMS)
def test_gradient_agrees_with_torch_svd(norm: Norm) -> None:
    z = matrix(7, 12).requires_grad_()
    sigma = torch.linalg.svdvals(z)
    whole = sigma.sum() if norm == "nuclear" else torch.linalg.matrix_norm(z)
    (expected,) = torch.autograd.grad(-sigma[:3].sum() / whole, z)
    (gradient,) = torch.autograd.grad(spectral_ratio(z, 3, norm), z)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)  # float64, well conditioned


# --- (5) degenerate inputs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_repeated_singular_values_have_finite_gradients(norm: Norm) -> None:
    z = torch.eye(4, 6, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(spectral_ratio(z, 4, norm), z)
    assert gradient.abs().max() < 1e-14  # σ = (1, 1, 1, 1) is where both ratios with k = 4 are least
    (gradient,) = torch.autograd.grad(spectral_ratio(z, 2, norm), z)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(6, 9), (9, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_deficient_rank_passes_gradient_in_its_own_directions_only(
    dtype: torch.dtype, shape: tuple[int, int], norm: Norm
) -> None:
    # small whole numbers: of rank 2 exactly, in float32 too, where one over a rounding error would be felt
    z = ((3 * matrix(shape[0], 2, 1)).round() @ (3 * matrix(2, shape[1], 2)).round()).requires_grad_()
    converted = z.detach().to(dtype).requires_grad_()
    value = spectral_ratio(converted, 1, norm)
    gradient = torch.autograd.grad(value, converted)[0].double()
    assert value.item() == pytest.approx(ratio_oracle(z.detach(), 1, norm), rel=1e-7)  # zeros to half of float64
    # d(−σ_1/s) = −u_1v_1ᵀ/s + σ_1/s²·∂s; ∂s is UVᵀ of the two real directions, or Z/‖Z‖_F: nothing over roundings
    U, S, Vt = (factor.detach() for factor in torch.linalg.svd(z, full_matrices=False))
    whole, slope = (S.sum(), U[:, :2] @ Vt[:2]) if norm == "nuclear" else (S.norm(), z.detach() / S.norm())
    expected = -torch.outer(U[:, 0], Vt[0]) / whole + S[0] / whole**2 * slope
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("norm", NORMS)
def test_zeros_give_zero(norm: Norm) -> None:
    z = torch.zeros(3, 4, requires_grad=True)
    value = spectral_ratio(z, 2, norm)
    assert value.item() == 0.0
    assert torch.equal(torch.autograd.grad(value, z)[0], torch.zeros(3, 4))


@pytest.mark.parametrize("norm", NORMS)
def test_one_row_is_constant(norm: Norm) -> None:
    z = matrix(1, 5).requires_grad_()
    value = spectral_ratio(z, 3, norm)
    assert value.item() == pytest.approx(-1.0, rel=1e-12)
    assert torch.autograd.grad(value, z)[0].abs().max() < 1e-14


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (2, 3), (5, 5), (9, 4)])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_value_comes_out_as_nan(bad: float, shape: tuple[int, int], norm: Norm) -> None:
    # LAPACK refuses some of these matrices and returns numbers for others
    z = matrix(*shape)
    z[-1, -1] = bad
    assert spectral_ratio(z, 1, norm).isnan()


def test_a_wrong_k_norm_or_shape_is_refused() -> None:
    with pytest.raises(InputError, match="`k` must be at least 1, got 0"):
        spectral_ratio(torch.eye(2), 0)
    with pytest.raises(InputError, match="singular values of no rows are undefined: got logits with 0 rows"):
        spectral_ratio(torch.zeros(0, 2), 1)
    with pytest.raises(TypeCheckError):  # under pytest; without type checks the function says it itself:
        spectral_ratio(torch.eye(2), 1, "ky-fan")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="`norm` must be 'nuclear' or 'frobenius', got 'ky-fan'"):
        spectral_ratio.__wrapped__(torch.eye(2), 1, "ky-fan")  # type: ignore[attr-defined]
    with pytest.raises(TypeCheckError):
        spectral_ratio(torch.zeros(3), 1)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype, norm: Norm) -> None:
    z = matrix(41, 401, dtype=torch.float32)
    halved = spectral_ratio(z.to(dtype), 5, norm)
    assert halved.dtype == torch.float32
    assert torch.equal(halved, spectral_ratio(z.to(dtype).float(), 5, norm))
    assert halved.item() == pytest.approx(spectral_ratio(z, 5, norm).item(), rel=1e-3)  # bfloat16 rounds by 4e-3


def test_float16_gradients_do_not_overflow() -> None:
    z = (200 * matrix(9, 300, dtype=torch.float32)).half().requires_grad_()  # squares and sums leave float16
    (gradient,) = torch.autograd.grad(spectral_ratio(z, 2), z)
    assert gradient.dtype == torch.float16
    assert gradient.isfinite().all()
