"""The objective on a vocabulary against its floor and against the published way; `python -m benchmarks.objective`.

Floor: the three products with the head that any exact way needs (student logits, reference logits, gradient), in the
same row chunks. Published way: all logits of both models in float32, full-vocabulary softmaxes, `svd_lowrank` of the
logits (q = k + 5, niter = 2), gradients by autograd.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from balora.objective import Objective, ObjectiveConfig


def problem(N: int, V: int, d: int, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor, nn.Linear, Tensor]:
    """Return hidden states, reference hidden states, head and labels of the given shape."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(N, d, generator=generator)
    reference = hidden + 0.1 * torch.randn(N, d, generator=generator)
    head = nn.Linear(d, V, bias=False, device=device, dtype=dtype).requires_grad_(False)
    head.weight.normal_(std=d**-0.5)
    labels = torch.randint(V, (N,), generator=generator)
    return hidden.to(device, dtype), reference.to(device, dtype), head, labels.to(device)


def floor(hidden: Tensor, reference: Tensor, head: nn.Linear, rows: int) -> Callable[[], object]:
    """Return the three products, chunk by chunk."""

    def call() -> Tensor:
        gradient = torch.empty_like(hidden)
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            z = hidden[part] @ head.weight.T
            z = reference[part] @ head.weight.T
            gradient[part] = z @ head.weight
        return gradient

    return call


def ours(config: ObjectiveConfig, *problem: object, chunk_bytes: int) -> Callable[[], object]:
    """Return value and gradient by `Objective.from_hidden`."""
    objective = Objective(config, chunk_bytes=chunk_bytes)
    hidden, reference, head, labels = problem

    def call() -> Tensor:
        leaf = hidden.detach().requires_grad_()  # type: ignore[attr-defined]
        objective.from_hidden(leaf, reference, head, labels, 0.5).loss.backward()  # type: ignore[arg-type]
        return leaf.grad  # type: ignore[no-any-return]

    return call


def published(
    config: ObjectiveConfig, hidden: Tensor, reference: Tensor, head: nn.Linear, labels: Tensor
) -> Callable[[], object]:
    """Return value and gradient the way the authors' code does it."""
    T, K, k = config.consistency.temperature, config.diversity.top_k, config.spectral.k

    def call() -> Tensor:
        leaf = hidden.detach().requires_grad_()
        z, z_ref = head(leaf).float(), head(reference).float()
        kl = T**2 * F.kl_div(
            F.log_softmax(z / T, -1), F.log_softmax(z_ref / T, -1), reduction="batchmean", log_target=True
        )
        p = F.softmax(z, dim=-1)
        top = p.topk(K or z.shape[-1], dim=-1).values
        top = top / top.sum(-1, keepdim=True)
        entropy = (top * top.log()).sum(-1).mean()
        _, sigma, _ = torch.svd_lowrank(z, q=k + 5, niter=2)
        ratio = -sigma[:k].sum() / torch.linalg.matrix_norm(z)
        w = [getattr(config, term).weight for term in ("consistency", "diversity", "spectral")]
        (F.cross_entropy(z, labels) + w[0] * kl + w[1] * entropy + w[2] * ratio).backward()
        return leaf.grad  # type: ignore[return-value]

    return call


def seconds(function: Callable[[], object], device: str, rounds: int) -> float:
    """Return the median seconds of ``function`` after two calls to warm up."""
    taken = []
    for turn in range(rounds + 2):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        function()
        if device == "cuda":
            torch.cuda.synchronize()
        taken += [time.perf_counter() - start] if turn >= 2 else []
    return sorted(taken)[len(taken) // 2]


def main() -> None:
    """Print one JSON line a shape."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=[2048, 128_256, 1024], metavar=("N", "V", "d"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunk-mib", type=int, default=256)
    parser.add_argument("--without-published", action="store_true")
    chosen = parser.parse_args()
    N, V, d = chosen.shape
    torch.set_num_threads(2)
    given = problem(N, V, d, getattr(torch, chosen.dtype), chosen.device)
    config = ObjectiveConfig.preset("ba-lora", family="nlg")
    rows = max(1, chosen.chunk_mib * 2**20 // (5 * 4 * V))
    calls = {
        "floor": floor(*given[:3], rows),
        "floor_unchunked": floor(*given[:3], N),
        "ours": ours(config, *given, chunk_bytes=chosen.chunk_mib * 2**20),
    }
    if not chosen.without_published:
        calls["published"] = published(config, *given)
    result: dict[str, object] = {"N": N, "V": V, "d": d, "dtype": chosen.dtype, "device": chosen.device, "rows": rows}
    for name, call in calls.items():
        if chosen.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        result[name] = round(seconds(call, chosen.device, chosen.rounds), 5)
        if chosen.device == "cuda":
            result[f"{name}_mib"] = round((torch.cuda.max_memory_allocated() - before) / 2**20)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
