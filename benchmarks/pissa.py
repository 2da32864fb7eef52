"""Measure exact PiSSA factors against the full decomposition, and a sweep over ranks with and without the cache.

The matrix is 4096×4096 with singular values 1/√i, in float32; its leading singular vectors are known up to rounding.
`torch.linalg.svd` decomposes the same matrix in the same run, in turns with the factors.

python -m benchmarks pissa      the figures
python -m benchmarks.pissa      the ways that were tried, on a decaying and on a flat spectrum (CPU seconds, one thread)
"""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor

from balora.adapters.factor_cache import SWITCH, FactorCache
from balora.adapters.ranks import ranks_up_to
from balora.folders import CACHE_VARIABLE
from balora.maths import pissa_factors, triplets
from balora.maths.triplets import gram_triplets, krylov_triplets
from benchmarks.measure import interleaved

SIZE, RANK, ROUNDS = 4096, 128, 2
SWEEP = (1, 2, 4, 8, 16, 32, 64, 128)
WEIGHT = 2048
"""Size of the square weight in the sweep."""

BenchmarkRow = tuple[str, float, float, str]
"""What was measured, its figure, its goal, and the measured parts."""


def spectral_matrix(out: int, into: int, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Return W = U diag(1/√i) Vᵀ (out ≥ in) in float32, and U and V in float64."""
    generator = Generator().manual_seed(0)
    U, V = (
        torch.linalg.qr(torch.randn(rows, into, generator=generator, dtype=torch.float64).to(device)).Q
        for rows in (out, into)
    )
    S = torch.arange(1, into + 1, dtype=torch.float64, device=device) ** -0.5
    return ((U * S) @ V.mT).float(), U, V


def exact_rows(
    out: int = SIZE, into: int = SIZE, rank: int = RANK, device: str = "cpu", warmup: int = 0
) -> list[BenchmarkRow]:
    """Return time, residual and subspaces of exact factors against the full decomposition (on a CPU two minutes)."""
    W, U, V = spectral_matrix(out, into, device)
    calls = {"factors": lambda: pissa_factors(W, rank), "svd": lambda: torch.linalg.svd(W, full_matrices=False)}
    seconds = interleaved(calls, rounds=ROUNDS, warmup=warmup)
    A0, B0 = (factor.double() for factor in pissa_factors(W, rank))
    rest = torch.arange(rank + 1, into + 1, dtype=torch.float64).reciprocal().sum().sqrt()
    excess = torch.linalg.matrix_norm(W.double() - B0 @ A0).cpu() / rest - 1
    left, right = _distance(U[:, :rank], B0), _distance(V[:, :rank], A0.mT)
    shape = f"{out}×{into}, σᵢ = 1/√i, r = {rank}"
    return [
        (f"exact PiSSA factors ÷ `torch.linalg.svd`, time ({shape})", seconds["factors"] / seconds["svd"], 0.25,
         ", ".join(f"{name} {taken:.3g} s" for name, taken in seconds.items())),
        ("… residual above the best one, in 1/10,000", excess.abs().item() * 1e4, 1.0, f"{excess.item():.1e}"),
        ("… projector distance to the leading subspaces, in 1/100", max(left, right) * 100, 1.0,
         f"left {left:.1e}, right {right:.1e}"),
    ]  # fmt: skip


def sweep_rows() -> list[BenchmarkRow]:
    """Return the time of the factors of all ranks of a sweep with the cache against computing each."""
    W, _, _ = spectral_matrix(WEIGHT, WEIGHT)
    seconds = {"computed each": _seconds(lambda: _sweep(W, "off")), "one for all": _seconds(lambda: _sweep(W, "on"))}
    detail = ", ".join(f"{name} {taken:.2f} s" for name, taken in seconds.items())
    what = f"factors for {len(SWEEP)} ranks up to {max(SWEEP)}, cached ÷ computed each ({WEIGHT}×{WEIGHT})"
    return [(what, seconds["one for all"] / seconds["computed each"], 0.5, detail)]


def _sweep(W: Tensor, switch: str) -> None:
    """Compute or read the factors of all ranks, as the runs of a study would, in a cache of their own."""
    before = {name: os.environ.get(name) for name in (SWITCH, CACHE_VARIABLE)}
    with tempfile.TemporaryDirectory() as folder, ranks_up_to(max(SWEEP)):
        os.environ.update({SWITCH: switch, CACHE_VARIABLE: folder})
        try:
            for rank in SWEEP:
                FactorCache().factors(W, rank, 1.0, "exact", Generator())
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def _distance(truth: Tensor, columns: Tensor) -> float:
    """Return ‖P − P'‖₂ of the projectors onto two spaces of one dimension: the sine of their largest angle."""
    Q = torch.linalg.qr(columns).Q
    return torch.linalg.matrix_norm(truth - Q @ (Q.mT @ truth), ord=2).item()


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Print the CPU seconds of each way to compute the leading 128 triplets of a 2048×2048 matrix."""
    torch.set_num_threads(1)
    flat = torch.randn(WEIGHT, WEIGHT, generator=Generator().manual_seed(0))
    for name, W in (("1/√i", spectral_matrix(WEIGHT, WEIGHT)[0]), ("Gaussian", flat)):
        calls = {f"Krylov, blocks of {width}": partial(_krylov, W.double(), width) for width in (8, 16, 32, 144)}
        calls["Gram matrix"] = partial(gram_triplets, W.double(), RANK)
        calls["svd, float32"] = partial(torch.linalg.svd, W, full_matrices=False)
        calls["svd, float64"] = partial(torch.linalg.svd, W.double(), full_matrices=False)
        for way, call in calls.items():
            start = time.process_time()
            found = call()
            given_up = " (given up)" if found is None else ""
            print(f"{name:10} {way:22} {time.process_time() - start:6.2f}{given_up}", flush=True)


def _krylov(W: Tensor, width: int) -> object:
    """Return what the Krylov way finds with blocks of another width; wide ones need a larger space."""
    before = triplets.BLOCK, triplets.LIMIT
    triplets.BLOCK, triplets.LIMIT = width, 0.95
    try:
        return krylov_triplets(W, RANK)
    finally:
        triplets.BLOCK, triplets.LIMIT = before


if __name__ == "__main__":
    main()
