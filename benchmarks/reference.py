"""Measure what the reference costs: whole steps of a Llama shape with a vocabulary of 32,000, against PiSSA's.

PiSSA's step uses transformers' own loss on materialised logits. Every BA-LoRA step has all three terms on; its
reference runs live, or its outputs are read from a warm cache on disk.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.measure import interleaved, peak_memory
from benchmarks.steps import Shape, causal_batch, causal_step, llama

LARGE = Shape(vocabulary=32_000, width=1024, layers=12, rank=16, rows=4, length=128)
"""The head takes 18 % of the products of a forward pass (6 % in a Llama of 1.1 billion with the same vocabulary)."""

Rows = list[tuple[str, float, float, str]]


def reference_rows(shape: Shape = LARGE, rounds: int = 5) -> Rows:
    """Return (what, ratio, goal, detail) of the step's time and peak memory."""
    with TemporaryDirectory() as folder:
        steps = {name: causal_step(name, shape, Path(folder)) for name in ("pissa", "ba-lora", "ba-lora-warm")}
        taken = interleaved(steps, rounds=rounds, warmup=1)
        held = {name: peak_memory(step) for name, step in steps.items()}
    times = ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in taken.items())
    peaks = ", ".join(f"{name} {peak:.0f} MiB" for name, peak in held.items())
    return [
        (f"step with warm cache ÷ PiSSA step ({shape.words()})", taken["ba-lora-warm"] / taken["pissa"], 1.08, times),
        ("step with live reference ÷ PiSSA step (same)", taken["ba-lora"] / taken["pissa"], 1.55, times),
        ("peak memory of the step with warm cache ÷ PiSSA step", held["ba-lora-warm"] / held["pissa"], 0.8, peaks),
        ("peak memory of the step with live reference ÷ PiSSA step", held["ba-lora"] / held["pissa"], 0.8, peaks),
    ]


def batched_ratio(shape: Shape = LARGE, rounds: int = 5) -> dict[str, float]:
    """Return the seconds of two forward passes over a batch, and of one over the batch twice."""
    model = llama(shape).eval()
    batch = causal_batch(shape)
    batch.pop("labels")
    twice = {name: torch.cat([value, value]) for name, value in batch.items()}

    @torch.no_grad()
    def two() -> None:
        for _ in range(2):
            model.model(**batch, use_cache=False)

    @torch.no_grad()
    def one() -> None:
        model.model(**twice, use_cache=False)

    return interleaved({"two passes": two, "one batched pass": one}, rounds=rounds)


def main() -> None:
    """Print the rows for the shape that the command line gives."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in LARGE._asdict().items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = vars(parser.parse_args())
    rounds = chosen.pop("rounds")
    torch.set_num_threads(2)
    for row in reference_rows(Shape(**chosen), rounds):
        print(json.dumps(row, ensure_ascii=False))
    print(json.dumps(batched_ratio(Shape(**chosen), rounds)))


if __name__ == "__main__":
    main()
