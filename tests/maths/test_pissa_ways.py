"""The ways to exact factors of large weights: each against singular vectors known by construction, and its checks."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from balora.maths import pissa_factors, triplets
from balora.maths.triplets import Triplets, is_accurate, krylov_triplets, leading_triplets

LARGE = 1024
"""The smallest side at which a Krylov space is tried."""


def orthonormal(rows: int, columns: int, seed: int) -> Tensor:
    """Return orthonormal columns in general position, at the price of two reflections."""
    basis = torch.eye(rows, columns, dtype=torch.float64)
    for turn in range(2):
        generator = torch.Generator().manual_seed(10 * seed + turn)
        normal = torch.randn(rows, generator=generator, dtype=torch.float64)
        basis -= 2 / normal.square().sum() * torch.outer(normal, normal @ basis)
    return basis


def matrix(out: int, into: int, S: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return W = U diag(S) Vᵀ in float64, U and V."""
    U, V = orthonormal(out, len(S), 1), orthonormal(into, len(S), 2)
    return (U * S) @ V.T, U, V


def decaying(size: int) -> Tensor:
    return torch.arange(1, size + 1, dtype=torch.float64) ** -0.5


def excess(W: Tensor, product: Tensor, rest: Tensor) -> float:
    """Return how much larger the residual is than the best one, as a share of it."""
    return torch.linalg.matrix_norm(W - product.double()).item() / rest.norm().item() - 1


def ways_taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that names every way tried from now on."""
    taken: list[str] = []

    def noted(name: str, way: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            taken.append(name)
            return way(*arguments, **named)

        return call

    monkeypatch.setattr(triplets, "krylov_triplets", noted("krylov", triplets.krylov_triplets))
    monkeypatch.setattr(triplets, "gram_triplets", noted("gram", triplets.gram_triplets))
    monkeypatch.setattr(torch.linalg, "svd", noted("svd", torch.linalg.svd))
    return taken


# --- each way is the best approximation -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(LARGE, LARGE), (1500, LARGE), (LARGE, 1100), (290, 270), (270, 400), (90, 110)])
def test_residual_and_subspaces_are_the_best_ones(shape: tuple[int, int]) -> None:
    rank, S = 20, decaying(min(shape))
    W, U, V = matrix(*shape, S)
    A0, B0 = pissa_factors(W.float(), rank)
    assert excess(W, B0 @ A0, S[rank:]) < 1e-6  # goal: 1e-4
    for columns, truth in ((B0, U[:, :rank]), (A0.T, V[:, :rank])):
        Q = torch.linalg.qr(columns.double()).Q
        sine = torch.linalg.matrix_norm(truth - Q @ (Q.T @ truth), ord=2).item()
        assert sine < 1e-4  # goal: 1e-2; W's own rounding to float32 over the gap σ20 − σ21


def test_each_size_goes_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = ways_taken(monkeypatch)
    for out, into, rank, double, expected in [
        (LARGE, LARGE, 8, False, ["krylov"]),
        (LARGE, LARGE, 8, True, ["krylov"]),
        (LARGE - 1, LARGE, 8, False, ["gram"]),
        (300, LARGE, 8, False, ["gram"]),  # the smaller side counts, whichever it is
        (LARGE, 300, 8, False, ["gram"]),
        (LARGE, LARGE, 65, False, ["gram"]),
        (270, 270, 8, True, []),
        (255, 255, 8, False, []),
    ]:
        taken.clear()
        weight = matrix(out, into, decaying(min(out, into)))[0]
        pissa_factors(weight if double else weight.float(), rank)
        assert [way for way in taken if way != "svd"] == expected, (out, into, rank, double)


@pytest.mark.parametrize("size", [LARGE, 300])
def test_smaller_ranks_are_prefixes_within_rounding(size: int) -> None:
    W = matrix(size, size, decaying(size))[0].float()
    A_all, B_all = pissa_factors(W, 24)
    for rank in (1, 9):
        A0, B0 = pissa_factors(W, rank)
        # two computations, each with residual 1e-10 over gaps of 1e-2, rounded to float32
        torch.testing.assert_close(A0, A_all[:rank], rtol=0, atol=1e-6)
        torch.testing.assert_close(B0, B_all[:, :rank], rtol=0, atol=1e-6)


def test_the_large_way_has_no_memory_and_leaves_the_global_state_alone() -> None:
    W = matrix(LARGE, LARGE, decaying(LARGE))[0].float()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = pissa_factors(W, 3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    for one, other in zip(first, pissa_factors(W, 3), strict=True):
        assert torch.equal(one, other)  # bitwise


# --- the checks -------------------------------------------------------------------------------------------------------


def test_copies_that_a_krylov_space_misses_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the 20 ones a block of 16 sees 16; they and what lies below them converge before rounding brings the other 4
    S = torch.cat([torch.ones(20), torch.linspace(0.99, 0.9, 10), torch.linspace(0.25, 0.125, LARGE - 30)]).double()
    W, verdicts = torch.diag(S), list[tuple[bool, float]]()

    def noted(W: Tensor, found: Triplets) -> bool:
        verdicts.append((is_accurate(W, found), (S[:24] - found[1]).max().item()))
        return verdicts[-1][0]

    monkeypatch.setattr(triplets, "is_accurate", noted)
    assert krylov_triplets(W, 24) is None
    assert verdicts[-1][0], "the case is none: the residual alone tells"
    assert verdicts[-1][1] > 0.01  # with the smallest residuals, the values are 1 % off
    U, values, V = leading_triplets(W, 24)
    torch.testing.assert_close(values, S[:24], rtol=0, atol=1e-12)
    assert excess(W, (U * values) @ V.T, S[24:]) < 1e-9


def test_a_flat_spectrum_ends_the_krylov_space_and_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = ways_taken(monkeypatch)
    S = torch.linspace(1.0, 0.99, LARGE, dtype=torch.float64)
    W, _, _ = matrix(LARGE, LARGE, S)
    A0, B0 = pissa_factors(W.float(), 30)
    assert [way for way in taken if way != "svd"] == ["krylov", "gram"]
    assert excess(W, B0 @ A0, S[30:]) < 1e-6


def test_digits_lost_by_squaring_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    S = torch.logspace(0, -12, 300, dtype=torch.float64)  # beyond 200, σ < 1e-8: squares are below rounding
    W, _, _ = matrix(300, 300, S)
    taken = ways_taken(monkeypatch)
    U, values, V = leading_triplets(W, 220)
    assert taken[0] == "gram"
    assert taken[-1] == "svd"
    torch.testing.assert_close(values, S[:220], rtol=1e-4, atol=0)
    assert excess(W, (U * values) @ V.T, S[220:]) < 1e-4


# --- degenerate weights -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [LARGE, 300, 40])
def test_zeros_equal_values_and_deficient_rank(size: int) -> None:
    A0, B0 = pissa_factors(torch.zeros(size, size), 20)
    assert not A0.any()
    assert not B0.any()
    A0, B0 = pissa_factors(torch.eye(size), 20)
    torch.testing.assert_close(torch.linalg.svdvals(B0 @ A0)[:21], (torch.arange(21) < 20).float(), atol=1e-5, rtol=0)
    torch.testing.assert_close((torch.eye(size) - B0 @ A0).square().sum(), torch.tensor(size - 20.0))
    deficient, _, _ = matrix(size, size, torch.linspace(1.0, 0.1, 18, dtype=torch.float64))
    A0, B0 = pissa_factors(deficient.float(), 20)  # 18 is no multiple of the block
    torch.testing.assert_close(B0 @ A0, deficient.float(), atol=1e-6, rtol=0)
    assert A0[18:].abs().max() < 1e-3  # float32's rounding of W leaves values of 1e-8


@pytest.mark.parametrize("method", ["exact", "randomized"])
@pytest.mark.parametrize("size", [300, 40])
@pytest.mark.parametrize("exponent", [-100, -66, 66, 100])
def test_a_weights_scale_changes_nothing_but_the_scale(size: int, exponent: int, method: str) -> None:
    W = matrix(size, size, decaying(size))[0].float()
    plain, scaled = (
        pissa_factors(weight, 5, method=method, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
        for weight in (W, W * 2.0**exponent)
    )
    for factor, other in zip(plain, scaled, strict=True):
        assert torch.equal(other, factor * 2.0 ** (exponent // 2))  # powers of two are exact


def test_float64_beyond_the_range_of_squares() -> None:
    W, _, _ = matrix(12, 9, decaying(9))
    A0, B0 = pissa_factors(W, 9)
    for exponent in (-1000, 900):
        A, B = pissa_factors(torch.ldexp(W, torch.tensor(float(exponent))), 9)
        assert torch.equal(A, A0 * math.ldexp(1.0, exponent // 2))
        assert torch.equal(B, B0 * math.ldexp(1.0, exponent // 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_half_precision_weights_are_taken_as_they_are(dtype: torch.dtype) -> None:
    W = matrix(LARGE, LARGE, decaying(LARGE))[0].to(dtype)
    A0, B0 = pissa_factors(W, 4)
    least = (W.double().square().sum() - torch.linalg.eigvalsh(W.double().T @ W.double())[-4:].sum()).sqrt()
    assert torch.linalg.matrix_norm(W.double() - B0.double() @ A0.double()) < (1 + 1e-6) * least
    assert A0.dtype == B0.dtype == torch.float32
