"""PiSSA's factors: a literal, scipy as an oracle, and what only the best rank-r part satisfies.

That the model's output is unchanged at step 0 holds for any factors and is no test of these.
"""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from balora.errors import InputError
from balora.maths import pissa_factors


def weight(out: int, into: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(out, into, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- (1) a closed form ------------------------------------------------------------------------------------------------


def test_factors_of_a_literal() -> None:
    # W = 4·(0, 1, 0)ᵀ(0, −1) + 1·(1, 0, 0)ᵀ(1, 0): σ = 4, 1; a root in each factor; U's largest entry is positive
    W = torch.tensor([[1.0, 0.0], [0.0, -4.0], [0.0, 0.0]])
    A0, B0 = pissa_factors(W, 2)
    torch.testing.assert_close(A0, torch.tensor([[0.0, -2.0], [1.0, 0.0]]))
    torch.testing.assert_close(B0, torch.tensor([[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]]))
    A0, B0 = pissa_factors(W, 1, scaling=4.0)  # 4·B0·A0 is the leading part: each factor is halved
    torch.testing.assert_close(A0, torch.tensor([[0.0, -1.0]]))
    torch.testing.assert_close(B0, torch.tensor([[0.0], [1.0], [0.0]]))


# --- (2) an independent oracle ----------------------------------------------------------------------------------------


def best_part(W: Tensor, rank: int) -> np.ndarray:
    U, S, Vt = scipy.linalg.svd(W.double().numpy(), full_matrices=False, lapack_driver="gesvd")
    return np.asarray(sum(S[i] * np.outer(U[:, i], Vt[i]) for i in range(rank)))


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_product_is_scipys_best_part_in_every_shape(out: int, into: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, min(out, into)))
    scaling = data.draw(st.sampled_from([0.25, 1.0, 2.0]))
    W = weight(out, into, 13 * out + into)
    A0, B0 = pissa_factors(W, rank, scaling)
    # float64 roundings over the smallest gap of singular values
    np.testing.assert_allclose((scaling * B0 @ A0).numpy(), best_part(W, rank), atol=1e-10)


# --- (3) what identifies the method -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["exact", "randomized"])
@pytest.mark.parametrize(("shape", "rank"), [((41, 401), 7), ((401, 41), 7), ((16, 16), 16), ((30, 20), 1)])
def test_factors_span_the_leading_subspaces_and_leave_the_least_residual(
    shape: tuple[int, int], rank: int, method: str
) -> None:
    # a decaying spectrum, as in trained weights; its gaps make the subspaces well defined
    W = weight(*shape)
    U, _, Vt = torch.linalg.svd(W, full_matrices=False)
    S = 0.8 ** torch.arange(len(Vt), dtype=torch.float64)
    W = (U * S) @ Vt
    A0, B0 = pissa_factors(W, rank, method=method, generator=generator())
    tolerance = 1e-10 if method == "exact" else 1e-6  # nine passes shrink what lies outside by (σ_{r+17}/σ_r)^17
    columns = B0 @ torch.linalg.pinv(B0)
    rows = torch.linalg.pinv(A0) @ A0
    torch.testing.assert_close(columns, U[:, :rank] @ U[:, :rank].T, rtol=0, atol=tolerance)
    torch.testing.assert_close(rows, Vt[:rank].T @ Vt[:rank], rtol=0, atol=tolerance)
    residual = torch.linalg.matrix_norm(W - B0 @ A0).item()
    assert residual == pytest.approx(math.sqrt(float((S[rank:] ** 2).sum())), rel=tolerance, abs=1e-12)


def test_factors_are_balanced() -> None:
    W = weight(9, 14)
    A0, B0 = pissa_factors(W, 5, scaling=0.5)
    S = torch.linalg.svdvals(W)[:5]
    torch.testing.assert_close(A0 @ A0.T, torch.diag(S / 0.5))
    torch.testing.assert_close(B0.T @ B0, torch.diag(S / 0.5))


def test_smaller_ranks_are_prefixes() -> None:
    W = weight(20, 12)
    A_all, B_all = pissa_factors(W, 12)
    for rank in (1, 5, 11):
        A0, B0 = pissa_factors(W, rank)
        assert torch.equal(A0, A_all[:rank])
        assert torch.equal(B0, B_all[:, :rank])


def test_scaling_is_divided_out() -> None:
    W = weight(9, 14)
    A1, B1 = pissa_factors(W, 4)
    A2, B2 = pissa_factors(W, 4, scaling=2.0)
    torch.testing.assert_close(2 * B2 @ A2, B1 @ A1)
    torch.testing.assert_close(A2, A1 / math.sqrt(2))


def test_the_same_weight_gives_the_same_signs() -> None:
    W = weight(9, 14)
    _, B0 = pissa_factors(W, 9)
    largest = B0.gather(0, B0.abs().argmax(dim=0, keepdim=True))
    assert (largest > 0).all()


def test_randomized_residual_is_within_its_stated_tolerance_on_a_flat_spectrum() -> None:
    W = weight(300, 200, dtype=torch.float32)  # no gap to speak of: the hardest case
    A0, B0 = pissa_factors(W, 16, method="randomized", generator=generator())
    least = torch.linalg.svdvals(W.double())[16:].square().sum().sqrt()
    residual = torch.linalg.matrix_norm(W.double() - B0.double() @ A0.double())
    assert 1.0 <= residual / least < 1 + 1e-3


# --- (4) randomness is an argument, and nothing is differentiated -----------------------------------------------------


def test_randomized_depends_on_its_generator_only() -> None:
    W = weight(40, 30)
    results = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        state = torch.get_rng_state()
        results.append(pissa_factors(W, 4, method="randomized", generator=generator(5)))
        pissa_factors(W, 4)
        assert torch.equal(torch.get_rng_state(), state)
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)  # bitwise
    other = pissa_factors(W, 4, method="randomized", generator=generator(6))
    assert not torch.equal(other[0], results[0][0])


def test_no_gradient_flows_into_the_weight() -> None:
    A0, B0 = pissa_factors(weight(4, 5).requires_grad_(), 2)
    assert not A0.requires_grad
    assert not B0.requires_grad


def test_the_weight_is_not_written() -> None:
    W = weight(8, 5)
    before = W.clone()
    pissa_factors(W, 2)
    pissa_factors(W, 2, method="randomized", generator=generator())
    assert torch.equal(W, before)


# --- (5) degenerate inputs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, -1, 5])
def test_rank_outside_the_shape_is_an_error(rank: int) -> None:
    with pytest.raises(InputError, match=rf"`rank` must be between 1 and min\(out, in\) = 4, got {rank}: lower it"):
        pissa_factors(weight(4, 9), rank)


@pytest.mark.parametrize("scaling", [0.0, -1.0, math.nan, math.inf])
def test_scaling_that_is_no_positive_number_is_an_error(scaling: float) -> None:
    with pytest.raises(InputError, match=f"`scaling` must be > 0 and finite, got {scaling}"):
        pissa_factors(weight(4, 9), 2, scaling)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_bad_weight_is_an_error(bad: float) -> None:
    W = weight(4, 9)
    W[2, 3] = bad
    with pytest.raises(InputError, match="the weight holds nan or inf: its singular vectors are undefined"):
        pissa_factors(W, 2)


def test_a_missing_generator_or_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match="'randomized' draws random numbers: pass a seeded `generator`"):
        pissa_factors(weight(4, 9), 2, method="randomized")
    with pytest.raises(InputError, match="`method` must be 'exact' or 'randomized', got 'niter_16'"):
        pissa_factors.__wrapped__(weight(4, 9), 2, method="niter_16")  # type: ignore[attr-defined]  # unchecked
    with pytest.raises(TypeCheckError):
        pissa_factors(torch.zeros(3), 1)


@pytest.mark.parametrize("method", ["exact", "randomized"])
def test_zeros_give_zeros(method: str) -> None:
    A0, B0 = pissa_factors(torch.zeros(6, 4), 3, method=method, generator=generator())
    assert torch.equal(A0, torch.zeros(3, 4))
    assert torch.equal(B0, torch.zeros(6, 3))


@pytest.mark.parametrize("method", ["exact", "randomized"])
def test_repeated_singular_values_and_deficient_rank(method: str) -> None:
    A0, B0 = pissa_factors(torch.eye(6), 3, method=method, generator=generator())
    torch.testing.assert_close(torch.linalg.svdvals(B0 @ A0), torch.tensor([1.0, 1, 1, 0, 0, 0]), atol=1e-5, rtol=0)
    deficient = weight(8, 2) @ weight(2, 6)
    A0, B0 = pissa_factors(deficient, 4, method=method, generator=generator())
    torch.testing.assert_close(B0 @ A0, deficient)  # nothing is left beyond rank 2
    assert A0[2:].abs().max() < 1e-6


@pytest.mark.parametrize("method", ["exact", "randomized"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_weights_give_float32_factors(dtype: torch.dtype, method: str) -> None:
    W = weight(41, 30, dtype=torch.float32).to(dtype)
    A0, B0 = pissa_factors(W, 4, method=method, generator=generator())
    assert A0.dtype == B0.dtype == torch.float32
    expected = best_part(W, 4)  # of the rounded weight: the factors themselves are not rounded to half precision
    tolerance = 1e-5 if method == "exact" else 0.1  # a flat spectrum has hardly a gap at 4
    np.testing.assert_allclose((B0 @ A0).numpy(), expected, atol=tolerance)


def test_float64_stays_float64_and_one_row_works() -> None:
    A0, B0 = pissa_factors(weight(1, 5), 1)
    assert A0.dtype == B0.dtype == torch.float64
    torch.testing.assert_close(B0 @ A0, weight(1, 5))
