"""The starts that PiSSA's is compared with: which subspaces and sizes they have, and that randomness is an argument."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from balora.errors import InputError
from balora.maths import pissa_factors
from balora.maths.pissa import Factors
from balora.maths.starts import minor_factors, random_matched_factors, random_orthonormal, rounding_of


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weight(out: int, into: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(out, into, generator=generator(seed), dtype=dtype)


def numpy_svd(W: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the singular triplets in float64, smallest first, vectors as columns."""
    U, S, Vt = np.linalg.svd(W.double().numpy(), full_matrices=False)
    return U[:, ::-1], S[::-1], Vt[::-1].T


def matched(W: Tensor, rank: int, scaling: float = 1.0, seed: int = 0) -> Factors:
    return random_matched_factors(pissa_factors(W, rank, scaling), generator(seed))


# --- minor: a closed form ---------------------------------------------------------------------------------------------


def test_the_smallest_components_of_a_literal() -> None:
    # W = 9·(1, 0, 0)ᵀ(1, 0, 0) + 4·(0, 0, 1)ᵀ(0, −1, 0) + 1·(0, 1, 0)ᵀ(0, 0, 1): the ones of σ = 1 and 4, in this order
    W = torch.tensor([[9.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -4.0, 0.0]])
    A0, B0 = minor_factors(W, 2)
    torch.testing.assert_close(A0, torch.tensor([[0.0, 0.0, 1.0], [0.0, -2.0, 0.0]]))
    torch.testing.assert_close(B0, torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]))
    A0, B0 = minor_factors(W, 1, scaling=4.0)  # 4·B0·A0 is the part with σ = 1: each factor is halved
    torch.testing.assert_close(A0, torch.tensor([[0.0, 0.0, 0.5]]))
    torch.testing.assert_close(B0, torch.tensor([[0.0], [0.5], [0.0]]))


# --- minor: numpy as an oracle, and what identifies it ----------------------------------------------------------------


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_the_product_is_numpys_smallest_part_in_every_shape(out: int, into: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, min(out, into)))
    scaling = data.draw(st.sampled_from([0.25, 1.0, 2.0]))
    W = weight(out, into, 13 * out + into)
    U, S, V = numpy_svd(W)
    A0, B0 = minor_factors(W, rank, scaling)
    expected = (U[:, :rank] * S[:rank]) @ V[:, :rank].T
    np.testing.assert_allclose((scaling * B0 @ A0).numpy(), expected, atol=1e-10)  # roundings over the smallest gap


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("shape", "rank"), [((41, 401), 7), ((401, 41), 7), ((16, 16), 5), ((30, 20), 1)])
def test_the_factors_span_numpys_bottom_subspaces(shape: tuple[int, int], rank: int, dtype: torch.dtype) -> None:
    U, _, Vt = np.linalg.svd(weight(*shape).numpy(), full_matrices=False)
    # the smallest of 41 values is 1e-4 of the largest, which squared would be lost in float32
    W = torch.from_numpy((U * 0.8 ** np.arange(len(Vt))) @ Vt).to(dtype)
    U, S, V = numpy_svd(W)
    A0, B0 = minor_factors(W, rank)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-6  # the rounding of the factors
    for columns, truth in ((B0, U[:, :rank]), (A0.T, V[:, :rank])):
        projector = (columns.double() @ torch.linalg.pinv(columns.double())).numpy()
        np.testing.assert_allclose(projector, truth @ truth.T, rtol=0, atol=tolerance)
    values = np.linalg.svd((B0.double() @ A0.double()).numpy(), compute_uv=False)[:rank][::-1]
    np.testing.assert_allclose(values, S[:rank], rtol=max(tolerance, 1e-9))


def test_both_factors_have_the_roots_of_the_values_over_the_scaling() -> None:
    W = weight(9, 14)
    A0, B0 = minor_factors(W, 5, scaling=0.5)
    expected = torch.diag(torch.linalg.svdvals(W).flip(0)[:5] / 0.5)
    torch.testing.assert_close(A0 @ A0.T, expected)
    torch.testing.assert_close(B0.T @ B0, expected)


def test_smaller_ranks_are_prefixes_and_all_ranks_are_the_weight() -> None:
    W = weight(20, 12)
    A_all, B_all = minor_factors(W, 12)
    torch.testing.assert_close(B_all @ A_all, W)
    for rank in (1, 5, 11):
        A0, B0 = minor_factors(W, rank)
        assert torch.equal(A0, A_all[:rank])
        assert torch.equal(B0, B_all[:, :rank])


def test_the_same_weight_gives_the_same_signs() -> None:
    _, B0 = minor_factors(weight(9, 14), 9)
    assert (B0.gather(0, B0.abs().argmax(dim=0, keepdim=True)) > 0).all()


# --- minor: degenerate input ------------------------------------------------------------------------------------------


def test_what_is_zero_to_rounding_is_zero_and_the_rest_is_not() -> None:
    product = (weight(40, 5) @ weight(5, 30, 1)).float()  # rank 5; rounding to float32 makes 25 tiny values of zeros
    A0, B0 = minor_factors(product, 27)
    assert torch.equal(A0[:25], torch.zeros(25, 30))
    assert torch.equal(B0[:, :25], torch.zeros(40, 25))
    S = torch.linalg.svdvals(product.double())
    torch.testing.assert_close(A0[25:].double().square().sum(dim=1), S[[4, 3]], rtol=1e-5, atol=0)
    assert S[5] > 0
    small = torch.diag(torch.tensor([1.0, 0.5, 1e-5]))  # what float32 resolves counts
    torch.testing.assert_close(minor_factors(small, 1)[0], torch.tensor([[0.0, 0.0, 1e-5**0.5]]))


def test_a_weight_in_half_precision_keeps_its_smallest_components() -> None:
    W = weight(64, 64, dtype=torch.float32).to(torch.bfloat16)
    A0, _ = minor_factors(W, 8)
    assert A0.dtype == torch.float32
    torch.testing.assert_close(A0.double().square().sum(dim=1), torch.linalg.svdvals(W.double()).flip(0)[:8])


def test_the_rounding_of_a_literal() -> None:
    assert rounding_of(2.0, 15, torch.float32) == 2.0**-23 * 4  # ½ · 2⁻²³ · √16 · 2
    assert rounding_of(1.0, 8, torch.float64) == 2.0**-52 * 1.5


def test_zeros_give_zeros() -> None:
    A0, B0 = minor_factors(torch.zeros(6, 4), 3)
    assert torch.equal(A0, torch.zeros(3, 4))
    assert torch.equal(B0, torch.zeros(6, 3))


@pytest.mark.parametrize("exponent", [-130, 120])
def test_very_small_and_very_large_weights(exponent: int) -> None:
    A0, B0 = minor_factors(weight(9, 7, dtype=torch.float32), 3)
    scale = torch.tensor(float(exponent))
    A, B = minor_factors(torch.ldexp(weight(9, 7, dtype=torch.float32), scale), 3)
    torch.testing.assert_close(A, torch.ldexp(A0, scale / 2), rtol=1e-4, atol=0)
    torch.testing.assert_close(B, torch.ldexp(B0, scale / 2), rtol=1e-4, atol=0)


def test_what_does_not_fit_is_refused() -> None:
    for rank in (0, 5):
        with pytest.raises(InputError, match=rf"`rank` must be between 1 and min\(out, in\) = 4, got {rank}: lower it"):
            minor_factors(weight(4, 9), rank)
    with pytest.raises(InputError, match="`scaling` must be > 0 and finite, got 0"):
        minor_factors(weight(4, 9), 2, 0.0)
    with pytest.raises(InputError, match="the weight holds nan or inf"):
        minor_factors(torch.full((4, 9), math.nan), 2)


def test_nothing_is_differentiated_and_the_weight_is_not_written() -> None:
    W = weight(8, 5).requires_grad_()
    before = W.detach().clone()
    assert not any(factor.requires_grad for factor in minor_factors(W, 2))
    assert not any(factor.requires_grad for factor in matched(W, 2))
    assert torch.equal(W, before)


# --- random-matched: PiSSA's sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", [0.5, 1.0, 4.0])
def test_random_factors_are_orthogonal_and_as_large_as_pissas(scaling: float) -> None:
    W = weight(14, 9)
    A0, B0 = matched(W, 5, scaling)
    S = torch.from_numpy(numpy_svd(W)[1][::-1][:5].copy())
    torch.testing.assert_close(A0 @ A0.T, torch.diag(S / scaling))
    torch.testing.assert_close(B0.T @ B0, torch.diag(S / scaling))
    torch.testing.assert_close(torch.linalg.svdvals(scaling * B0 @ A0)[:5], S)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_random_factors_have_the_precision_of_pissas(dtype: torch.dtype) -> None:
    W = weight(9, 14, dtype=torch.float64).to(dtype)
    for found, expected in zip(matched(W, 3), pissa_factors(W, 3), strict=True):
        assert (found.dtype, found.shape, found.is_contiguous()) == (expected.dtype, expected.shape, True)


# --- random-matched: directions that know nothing of the weight -------------------------------------------------------


def test_random_directions_overlap_with_the_leading_subspaces_as_chance_has_it() -> None:
    """The share of a random unit vector that lies in a subspace of r of n dimensions is r/n on average."""
    rank, rows, columns, draws = 4, 16, 40, 400
    W = weight(rows, columns) * 0.7 ** torch.arange(columns)
    A, B = pissa_factors(W, rank)
    right, left = torch.linalg.pinv(A) @ A, B @ torch.linalg.pinv(B)
    shares = []
    for seed in range(draws):
        A0, B0 = random_matched_factors((A, B), generator(seed))
        P, Q = A0 / A0.norm(dim=1, keepdim=True), B0 / B0.norm(dim=0)
        shares.append([(P @ right @ P.T).trace().item() / rank, (Q.T @ left @ Q).trace().item() / rank])
    found_right, found_left = np.mean(shares, axis=0)
    assert abs(found_right - 4 / 40) < 0.01  # of PiSSA's own: 1; the standard error is 0.002
    assert abs(found_left - 4 / 16) < 0.01


def test_both_sides_are_drawn_independently() -> None:
    """Of one draw for both sides, the entries of B0 and A0ᵀ would be the same but for their norms."""
    products = []
    for seed in range(300):
        A0, B0 = random_matched_factors((torch.eye(3, 8), torch.eye(8, 3)), generator(seed))
        products.append((A0.T * B0).sum().item())
    assert abs(np.mean(products)) < 0.2  # of one draw: 3, the squares of three unit vectors


# --- random orthonormal columns ---------------------------------------------------------------------------------------


def gram_schmidt(normal: Tensor) -> Tensor:
    """Return the columns made orthonormal one by one: the only Q whose R has a positive diagonal."""
    columns: list[Tensor] = []
    for column in normal.T:
        rest = column - sum((q * (q @ column) for q in columns), torch.zeros_like(column))
        columns.append(rest / rest.norm())
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (7, 7), (41, 5)])
def test_the_columns_are_those_of_gram_and_schmidt(rows: int, columns: int) -> None:
    normal = torch.randn(rows, columns, generator=generator(3), dtype=torch.float64)
    torch.testing.assert_close(random_orthonormal(rows, columns, generator(3)), gram_schmidt(normal))


def test_orthonormal_columns_have_the_moments_of_the_haar_distribution() -> None:
    """Every entry has mean 0 and variance 1/n; the trace of a Haar matrix has variance 1 (Diaconis, Evans 2001)."""
    n, draws = 5, 4000
    draw = generator(1)
    Q = torch.stack([random_orthonormal(n, n, draw) for _ in range(draws)])
    torch.testing.assert_close(Q.mT @ Q, torch.eye(n, dtype=torch.float64).expand(draws, n, n))
    assert Q.mean(dim=0).abs().max() < 4 / math.sqrt(n * draws)
    assert (Q.square().mean(dim=0) - 1 / n).abs().max() < 0.015  # the standard error is 0.004
    traces = Q.diagonal(dim1=1, dim2=2).sum(dim=1)
    assert abs(traces.mean()) < 4 / math.sqrt(draws)
    assert abs(traces.var() - 1) < 0.1


def test_the_distribution_is_the_same_after_a_rotation() -> None:
    """Of Householder's own signs, the diagonal would be negative, and no rotation would be as likely as its inverse."""
    draw = generator(2)
    Q = torch.stack([random_orthonormal(4, 2, draw) for _ in range(4000)])
    rotation = random_orthonormal(4, 4, generator(9))
    for one, other in ((Q, rotation @ Q), (Q, -Q)):
        for power in (1, 2, 3, 4):
            torch.testing.assert_close(one.pow(power).mean(dim=0), other.pow(power).mean(dim=0), rtol=0, atol=0.04)


# --- random-matched: randomness is an argument ------------------------------------------------------------------------


def test_the_generator_alone_decides_the_directions() -> None:
    W = weight(12, 8)
    results = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        state = torch.get_rng_state()
        results.append(matched(W, 3, seed=5))
        assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
    for one, other in zip(results[0], matched(W, 3, seed=6), strict=True):
        assert not torch.allclose(one, other, atol=0.1)


def test_zeros_stay_zeros() -> None:
    A0, B0 = matched(torch.zeros(6, 4), 3)
    assert not A0.any()
    assert not B0.any()
