"""Measure the objective on a vocabulary against its floor and against the published way.

The floor is the three products with the head that any exact way needs (student logits, reference logits, gradient),
each over all rows, as one would write them. The detail also gives their time into memory that an earlier call has
allocated, for which the system needs no new pages. The published way materialises all logits of both models in float32
and takes softmaxes over the full vocabulary, `svd_lowrank` of the logits (q = k + 5, niter = 2) and gradients by
autograd.

python -m benchmarks objective     the figures
python -m benchmarks.objective     one shape, type and device
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from balora.objective import Objective, ObjectiveConfig
from benchmarks.measure import interleaved, peak_memory

N, V, WIDTH = 2048, 128_256, 1024
CONFIG = ObjectiveConfig.preset("ba-lora", family="nlg")
PROGRESS = 0.5
"""Progress of training at which the schedules give every term a weight."""

PUBLISHED_MATRICES = 11
"""N×V matrices in float32 that the published way holds at its peak: 9.03 measured in float32, and its bf16 logits."""

Problem = tuple[Tensor, Tensor, nn.Linear, Tensor]
Rows = list[tuple[str, float, float | None, str]]


class Size(NamedTuple):
    """The shape, precision and device on which an objective is measured."""

    N: int
    V: int
    d: int
    dtype: torch.dtype = torch.float32
    device: str = "cpu"

    def words(self) -> str:
        """Return the text that names the shape in the tables."""
        name = "" if self.dtype == torch.float32 else f", {str(self.dtype).removeprefix('torch.')}"
        return f"N = {self.N:,}, V = {self.V:,}, d = {self.d:,}{name}"


SIZE = Size(N, V, WIDTH)


def problem(N: int, V: int, d: int, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Problem:
    """Return hidden states, reference hidden states, head and labels of the given shape."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(N, d, generator=generator)
    reference = hidden + 0.1 * torch.randn(N, d, generator=generator)
    head = nn.Linear(d, V, bias=False, device=device, dtype=dtype).requires_grad_(False)
    head.weight.normal_(std=d**-0.5)
    labels = torch.randint(V, (N,), generator=generator)
    return hidden.to(device, dtype), reference.to(device, dtype), head, labels.to(device)


def floor(hidden: Tensor, reference: Tensor, head: nn.Linear, *_: Tensor) -> Callable[[], object]:
    """Return a call of the three products."""
    W = head.weight

    def call() -> Tensor:
        z, z_ref = hidden @ W.T, reference @ W.T  # noqa: F841
        return z @ W

    return call


def held_floor(hidden: Tensor, reference: Tensor, head: nn.Linear, *_: Tensor) -> Callable[[], object]:
    """Return a call of the three products that write into memory allocated before."""
    W = head.weight
    z, gradient = hidden.new_empty(len(hidden), len(W)), torch.empty_like(hidden)

    def call() -> Tensor:
        torch.mm(reference, W.T, out=z)
        torch.mm(hidden, W.T, out=z)
        return torch.mm(z, W, out=gradient)

    return call


def ours(
    config: ObjectiveConfig,
    hidden: Tensor,
    reference: Tensor | None,
    head: nn.Linear,
    labels: Tensor,
    chunk_bytes: int | None = None,
) -> Callable[[], object]:
    """Return a call of `Objective.from_hidden` with its gradient."""
    objective = Objective(config, chunk_bytes=chunk_bytes)

    def call() -> Tensor:
        leaf = hidden.detach().requires_grad_()
        objective.from_hidden(leaf, reference, head, labels, PROGRESS).loss.backward()
        assert leaf.grad is not None
        return leaf.grad

    return call


def published(
    config: ObjectiveConfig, hidden: Tensor, reference: Tensor, head: nn.Linear, labels: Tensor
) -> Callable[[], object]:
    """Return a call of the objective and its gradient, computed as in the authors' code."""

    def call() -> Tensor:
        leaf = hidden.detach().requires_grad_()
        published_loss(config, head(leaf).float(), head(reference).float(), labels).backward()
        assert leaf.grad is not None
        return leaf.grad

    return call


def published_loss(config: ObjectiveConfig, z: Tensor, z_ref: Tensor, labels: Tensor) -> Tensor:
    """Return the objective of both models' logits (N×V, float32), computed as in the authors' code."""
    T, K, k = config.consistency.temperature, config.diversity.top_k, config.spectral.k
    kl = T**2 * F.kl_div(F.log_softmax(z / T, -1), F.log_softmax(z_ref / T, -1), reduction="batchmean", log_target=True)
    p = F.softmax(z, dim=-1)
    top = p.topk(K or z.shape[-1], dim=-1).values
    top = top / top.sum(-1, keepdim=True)
    entropy = (top * top.log()).sum(-1).mean()
    _, sigma, _ = torch.svd_lowrank(z, q=k + 5, niter=2)
    ratio = -sigma[:k].sum() / torch.linalg.matrix_norm(z)
    w = [getattr(config, term).weight for term in ("consistency", "diversity", "spectral")]
    return F.cross_entropy(z, labels) + w[0] * kl + w[1] * entropy + w[2] * ratio


def rows_that_fit(N: int, V: int, free: int) -> int:
    """Return how many of N rows the published way has memory for, halving them until its matrices fit into ``free``."""
    while N > 1 and free < PUBLISHED_MATRICES * N * V * 4:
        N //= 2
    return N


def objective_rows(size: Size = SIZE, goal: float = 1.25, memory_goal: float | None = 1.0) -> Rows:
    """Return (what, ratio, goal, detail) of time and memory (on a CPU at the shape of the figures some five minutes).

    Where the device has no memory for the published way, both ways are compared on fewer rows.
    """
    given = problem(*size)
    fitting = rows_that_fit(size.N, size.V, free_memory(size.device))
    fewer = given if fitting == size.N else (given[0][:fitting], given[1][:fitting], given[2], given[3][:fitting])
    calls = {
        "products": floor(*given),
        "products into held memory": held_floor(*given),
        "objective": ours(CONFIG, *given),
        "published": published(CONFIG, *fewer),
    }
    beside, same = "objective", "same"
    if fewer is not given:
        beside, same = f"objective of {fitting:,} rows", f"{fitting:,} rows, for which there is memory"
        calls[beside] = ours(CONFIG, *fewer)
    taken = interleaved(calls, rounds=3, warmup=1)
    held = {name: peak_memory(calls[name], size.device) for name in dict.fromkeys(("objective", beside, "published"))}
    first = peak_memory(ours(CONFIG, *given), size.device)  # computes the factors of the head, once
    extra = max(first, held["objective"])
    times = ", ".join(f"{name} {seconds:.3g} s" for name, seconds in taken.items())
    peaks = f"objective {extra:.0f} MiB, published {held['published']:.0f} MiB"
    ratio = (extra if beside == "objective" else held[beside]) / held["published"]
    return [
        (
            f"objective, all terms ÷ three products ({size.words()})",
            taken["objective"] / taken["products"],
            goal,
            times,
        ),
        (f"objective ÷ published way, time ({same})", taken[beside] / taken["published"], 0.5, times),
        ("objective's peak memory, in 400 MB (all rows)", extra * 2**20 / 400e6, memory_goal, peaks),
        (f"objective ÷ published way, peak memory ({same})", ratio, 0.125, peaks),
    ]


def free_memory(device: str) -> int:
    """Return the bytes that are free on the GPU; a CPU's memory is taken to suffice."""
    return torch.cuda.mem_get_info()[0] if device == "cuda" else sys.maxsize


def main() -> None:
    """Print the figures of one shape as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=[N, V, WIDTH], metavar=("N", "V", "d"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunk-mib", type=int, help="memory of a chunk's logits (default: what the device allows)")
    parser.add_argument("--without-published", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(2)
    given = problem(*chosen.shape, getattr(torch, chosen.dtype), chosen.device)
    chunk = None if chosen.chunk_mib is None else chosen.chunk_mib * 2**20
    calls = {"floor": floor(*given), "ours": ours(CONFIG, *given, chunk_bytes=chunk)}
    if not chosen.without_published:
        calls["published"] = published(CONFIG, *given)
    result: dict[str, object] = {"shape": chosen.shape, "dtype": chosen.dtype, "device": chosen.device}
    for name, seconds in interleaved(calls, chosen.rounds).items():
        result[name] = round(seconds, 5)
        if chosen.device == "cuda":
            result[f"{name}_mib"] = round(peak_memory(calls[name], "cuda"))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
