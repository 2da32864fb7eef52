"""The terms that need the whole matrix of logits, without it: the spectrum and the covariance on a vocabulary."""

import torch
from torch import Tensor

from balora.objective.head import FrozenHead
from balora.objective.vocabulary import covariance_on_head, spectrum_on_head
from benchmarks.measure import interleaved, peak_memory
from benchmarks.objective import problem

N, WIDTH, K = 512, 1024, 10
SPECTRUM_V, COVARIANCE_V = 32_000, 128_256

Rows = list[tuple[str, float, float, str]]


def matrix_rows() -> Rows:
    """Return (what, figure, goal, detail): a minute."""
    return [*spectrum_rows(), *covariance_rows()]


def spectrum_rows() -> Rows:
    """Return time and error of the singular values against those of the N×V logits."""
    hidden, _, head, _ = problem(N, SPECTRUM_V, WIDTH)
    frozen = FrozenHead(head.weight, None)
    frozen.root()  # once a head, timed below

    def spectrum() -> Tensor:
        """The ratio's numerator and its gradient, as a step has them."""
        leaf = hidden.detach().requires_grad_()
        sigma = spectrum_on_head(leaf, frozen)
        sigma[:K].sum().backward()
        return sigma.detach()

    def once() -> None:
        FrozenHead(head.weight, None).root()

    logits = hidden @ head.weight.T
    calls = {"spectrum": spectrum, "svdvals": lambda: torch.linalg.svdvals(logits), "factor of the head": once}
    taken = interleaved(calls, rounds=3, warmup=1)
    exact = torch.linalg.svdvals(hidden.double() @ head.weight.double().T)
    error = ((spectrum() - exact).abs() / exact).max().item()
    times = ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in taken.items())
    shape = f"N = {N}, V = {SPECTRUM_V:,}, d = {WIDTH:,}"
    return [
        (f"singular values and gradient ÷ `svdvals` of the logits, time ({shape})",
         taken["spectrum"] / taken["svdvals"], 0.05, times),
        ("… largest relative error of a singular value, in 1/1,000,000", error * 1e6, 1.0, f"{error:.1e}"),
    ]  # fmt: skip


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
