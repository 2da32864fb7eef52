"""Measure the objective's KL beside TRL's and Liger's: time and peak memory of the same value and gradient.

TRL's `ChunkedDivergenceFunction` at beta = 0 is the rows' KL(reference‖student). Liger's fused JSD loss at beta = 0 is
cross-entropy and KL; it also trains the head, which costs it a fourth product and a V×d gradient. Both run as they do
without Triton. `make test` and `make bench` install Liger without its GPU dependencies.
"""

from collections.abc import Callable

from torch import Tensor, nn

from balora.objective import ObjectiveConfig
from balora.objective.head import FrozenHead
from balora.objective.vocabulary import parts_from_hidden
from benchmarks.measure import interleaved, peak_memory
from benchmarks.objective import problem

N, V, WIDTH, T = 512, 128_256, 1024, 2.0
KL = ObjectiveConfig.preset("none", family="nlg").replace(consistency={"form": "kl", "temperature": T})

Rows = list[tuple[str, float, float, str]]
Call = Callable[[], tuple[Tensor, Tensor]]
"""Returns a value and its gradient with respect to the student's hidden states."""


def ours(weights: dict[str, float], hidden: Tensor, reference: Tensor, head: nn.Linear, labels: Tensor) -> Call:
    """Return a call of Σ weight·term over task and consistency."""
    frozen = FrozenHead(head.weight, head.bias)
    return _with_gradient(hidden, lambda leaf: parts_from_hidden(KL, frozen, leaf, reference, labels, weights)[0])


def trl(hidden: Tensor, reference: Tensor, head: nn.Linear, labels: Tensor) -> Call:
    """Return a call of TRL's mean KL."""
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    def value(leaf: Tensor) -> Tensor:
        rows, _ = ChunkedDivergenceFunction.apply(
            leaf, head.weight, head.bias, reference, head.weight, head.bias, 0.0, T
        )
        mean: Tensor = rows.mean()
        return mean

    return _with_gradient(hidden, value)


def liger(hidden: Tensor, reference: Tensor, head: nn.Linear, labels: Tensor) -> Call:
    """Return a call of Liger's ½ mean cross-entropy + ½ mean KL, in chunks of 128 rows as in ours."""
    from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDFunction

    def value(leaf: Tensor) -> Tensor:
        student, teacher = (leaf, head.weight), (reference, head.weight)
        weights, beta, ignored, compiled, rows = (0.5, 0.5), 0.0, -100, False, 128
        settings = (*weights, beta, ignored, T, compiled, rows)
        loss: Tensor = LigerFusedLinearJSDFunction.apply(*student, *teacher, labels, None, None, *settings)
        return loss

    return _with_gradient(hidden, value)


def _with_gradient(hidden: Tensor, value_of: Callable[[Tensor], Tensor]) -> Call:
    def call() -> tuple[Tensor, Tensor]:
        leaf = hidden.detach().requires_grad_()
        value = value_of(leaf)
        value.backward()
        assert leaf.grad is not None
        return value.detach(), leaf.grad

    return call


def others_rows() -> Rows:
    """Return (what, ratio, goal, detail) against TRL and Liger; a ratio above 1 means that theirs is better."""
    given = problem(N, V, WIDTH)
    calls = {
        "TRL": trl(*given),
        "KL": ours({"consistency": 1 / T**2}, *given),
        "Liger": liger(*given),
        "cross-entropy and KL": ours({"task": 0.5, "consistency": 0.5 / T**2}, *given),
    }
    taken = interleaved(calls, rounds=3, warmup=1)
    held = {name: peak_memory(call) for name, call in calls.items()}
    rows = []
    for ours_name, theirs in (("KL", "TRL"), ("cross-entropy and KL", "Liger")):
        shape = f"{ours_name}, N = {N}, V = {V:,}, d = {WIDTH:,}"
        times = f"{taken[ours_name]:.2f} s and {taken[theirs]:.2f} s"
        peaks = f"{held[ours_name]:.0f} MiB and {held[theirs]:.0f} MiB"
        rows += [
            (f"ours ÷ {theirs}'s, time ({shape})", taken[ours_name] / taken[theirs], 1.0, times),
            (f"ours ÷ {theirs}'s, peak memory (same)", held[ours_name] / held[theirs], 1.0, peaks),
        ]
    return rows
