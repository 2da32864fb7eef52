"""Measure the terms defined on the whole matrix of logits, computed without it: spectrum and covariance."""

import torch
from torch import Tensor

from balora.objective.head import FrozenHead, covariance_on_head, spectrum_on_head
from benchmarks.measure import interleaved, peak_memory
from benchmarks.objective import problem

N, WIDTH, K = 512, 1024, 10
SPECTRUM_V, COVARIANCE_V = 32_000, 128_256

Rows = list[tuple[str, float, float, str]]


def matrix_rows() -> Rows:
    """Return (what, figure, goal, detail) of both terms, in a minute."""
    return [*spectrum_rows(), *covariance_rows()]


def spectrum_rows() -> Rows:
    """Return time and error of the singular values against those of the N×V logits, without and with gradient."""
    hidden, _, head, _ = problem(N, SPECTRUM_V, WIDTH)
    frozen = FrozenHead(head.weight, None)
    frozen.root()  # computed once for each head; the detail reports its time
    logits = hidden @ head.weight.T

    def ours() -> Tensor:
        return spectrum_on_head(hidden, frozen)

    def ours_learning() -> None:
        leaf = hidden.detach().requires_grad_()
        spectrum_on_head(leaf, frozen)[:K].sum().backward()

    def svdvals_learning() -> None:
        leaf = hidden.detach().requires_grad_()
        torch.linalg.svdvals(leaf @ head.weight.T)[:K].sum().backward()

    calls = {
        "ours": ours,
        "svdvals": lambda: torch.linalg.svdvals(logits),
        "ours with gradient": ours_learning,
        "svdvals from hidden states with gradient": svdvals_learning,
        "factor of the head": lambda: FrozenHead(head.weight, None).root(),
    }
    taken = interleaved(calls, rounds=5, warmup=1)
    exact = torch.linalg.svdvals(hidden.double() @ head.weight.double().T)
    error = ((ours() - exact).abs() / exact).max().item()
    times = ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in taken.items())
    shape = f"N = {N}, V = {SPECTRUM_V:,}, d = {WIDTH:,}"
    learning = taken["ours with gradient"] / taken["svdvals from hidden states with gradient"]
    return [
        (f"spectral term as a step has it ÷ `svdvals` in its place, time ({shape})", learning, 0.05, times),
        ("… values alone ÷ `svdvals` of given logits, time", taken["ours"] / taken["svdvals"], 0.05, times),
        ("… largest relative error of a singular value, in 1/1,000,000", error * 1e6, 1.0, f"{error:.1e}"),
    ]


def covariance_rows() -> Rows:
    """Return the peak memory of the covariance form and its gradient, the factors of the head included."""
    hidden, _, head, _ = problem(N, COVARIANCE_V, WIDTH)

    def covariance() -> None:
        leaf = hidden.detach().requires_grad_()
        covariance_on_head(leaf, FrozenHead(head.weight, None)).backward()

    seconds = interleaved({"covariance": covariance}, rounds=1, warmup=0)["covariance"]
    held = peak_memory(covariance) * 2**20
    detail = f"{held / 1e6:.0f} MB, {seconds:.1f} s with WᵀW; V×V would be {COVARIANCE_V**2 * 4 / 1e9:.0f} GB"
    return [(f"covariance form and gradient, peak memory in GB (V = {COVARIANCE_V:,})", held / 1e9, 1.0, detail)]
