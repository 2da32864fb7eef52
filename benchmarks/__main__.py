"""Measure what balora costs, as ratios within one run; write them as JSON and as the table in docs/performance.md.

python -m benchmarks [NAME …] [--output FILE.json]

Without names this measures everything, in half an hour. With names it leaves the other rows of the file as they are.
The table is made from benchmarks/results/cpu.json only. `--page` writes it, and the tables of the GPUs that
`scripts/on_gpu` measured, from the files at hand.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.engine import engine_rows
from benchmarks.grading import grading_rows
from benchmarks.growth import growth_rows
from benchmarks.instrument import instrument_rows
from benchmarks.matrix import matrix_rows
from benchmarks.measure import interleaved, peak_memory
from benchmarks.objective import objective_rows
from benchmarks.others import others_rows
from benchmarks.pissa import exact_rows, sweep_rows
from benchmarks.reference import reference_rows
from benchmarks.results import FILE, Row, update, update_page
from benchmarks.steps import Shape, causal_step, classification_step


def step_time() -> list[Row]:
    """Measure the time of a step with live reference against PiSSA's (V = 512)."""
    taken = interleaved({name: causal_step(name, Shape(512)) for name in ("peft-pissa", "pissa", "ba-lora")})
    return [
        _ratio("BA-LoRA step, live reference ÷ PiSSA step (V = 512)", taken, "ba-lora", "pissa", 1.7),
        _ratio("BA-LoRA step, live reference ÷ PEFT's PiSSA step (V = 512)", taken, "ba-lora", "peft-pissa", 1.7),
    ]


def classification_time() -> list[Row]:
    """Measure the time of a step on examples whose reference logits are cached against PiSSA's."""
    taken = interleaved({name: classification_step(name) for name in ("pissa", "ba-lora")})
    return [_ratio("classification, reference reused ÷ PiSSA step", taken, "ba-lora", "pissa", 1.1)]


def offset_time() -> list[Row]:
    """Measure the offset form against PEFT's in-place PiSSA at r/d = 1/32, both with transformers' own loss."""
    taken = interleaved({name: causal_step(name, Shape(512, width=512, rank=16)) for name in ("peft-pissa", "pissa")})
    return [_ratio("offset form ÷ PEFT's in-place PiSSA, student step (r/d = 1/32)", taken, "pissa", "peft-pissa", 1.1)]


def step_memory() -> list[Row]:
    """Measure the peak memory of one step's tensors against PiSSA's with transformers' own loss (hidden size 64)."""
    rows = []
    for vocabulary in (512, 32_000):
        steps = {name: causal_step(name, Shape(vocabulary, width=64, rank=2)) for name in ("pissa", "ba-lora")}
        peaks = {}
        for name, step in steps.items():
            step()  # the first step creates the optimizer state and caches the factors of the head
            peaks[name] = peak_memory(step)
        detail = ", ".join(f"{name} {peak:.1f} MiB" for name, peak in peaks.items())
        what = f"peak memory of a BA-LoRA step ÷ PiSSA step (V = {vocabulary:,})"
        rows.append(Row(what, peaks["ba-lora"] / peaks["pissa"], 1.15, detail))
    return rows


def start_up() -> list[Row]:
    """Measure the seconds that `import balora` adds to starting Python, and the seconds of `balora --help`."""
    commands = {
        "nothing": [sys.executable, "-c", "pass"],
        "import": [sys.executable, "-c", "import balora"],
        "help": [str(Path(sys.executable).with_name("balora")), "--help"],
    }
    calls = {name: (lambda command=command: subprocess.run(command, capture_output=True, check=True))
             for name, command in commands.items()}  # fmt: skip
    taken = interleaved(calls, rounds=7)
    added = taken["import"] - taken["nothing"]
    return [
        Row("`import balora`, seconds more than nothing", added, 0.3, f"nothing {taken['nothing']:.3f} s"),
        Row("`balora --help`, seconds", taken["help"], 1.0, ""),
    ]


def objective() -> list[Row]:
    """Measure all terms (V = 128,256) against three products and the published way (five minutes)."""
    return [Row(*row) for row in objective_rows()]


def others() -> list[Row]:
    """Measure KL, and cross-entropy with KL, against TRL's and Liger's code (a minute)."""
    return [Row(*row) for row in others_rows()]


def matrix() -> list[Row]:
    """Measure the spectrum and the covariance on a vocabulary (a minute)."""
    return [Row(*row) for row in matrix_rows()]


def growth() -> list[Row]:
    """Fit how time grows with N, V, d, k and the rank (minutes)."""
    return [Row(*row) for row in growth_rows()]


def reference() -> list[Row]:
    """Measure the step with a warm cache and with a live reference against PiSSA's, V = 32,000 (minutes)."""
    return [Row(*row) for row in reference_rows()]


def engine() -> list[Row]:
    """Measure two workers against one, and the engine's share of the workers' time (about four minutes)."""
    return [Row(*row) for row in engine_rows()]


def instrument() -> list[Row]:
    """Measure the seconds of planning 100,000 runs and of reporting on 1,000 and 10,000 (a few minutes)."""
    return [Row(*row) for row in instrument_rows()]


def grading() -> list[Row]:
    """Measure the computing time of grading all of GSM8K's test set, and MATH-500 (half a minute)."""
    return [Row(*row) for row in grading_rows()]


def pissa() -> list[Row]:
    """Measure exact PiSSA factors against the full decomposition, and a sweep over ranks from the cache (minutes)."""
    return [Row(*row) for row in (*exact_rows(), *sweep_rows())]


def _ratio(what: str, seconds: dict[str, float], name: str, base: str, goal: float) -> Row:
    detail = ", ".join(f"{key} {1000 * taken:.1f} ms" for key, taken in seconds.items())
    return Row(what, seconds[name] / seconds[base], goal, detail)


BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    function.__name__: function
    for function in (
        step_time, classification_time, offset_time, step_memory, start_up,
        objective, others, matrix, growth, reference, pissa, engine, instrument, grading,
    )
}  # fmt: skip


def main() -> None:
    """Run the named benchmarks (all by default); print and write their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--output", type=Path, default=FILE)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--page", action="store_true", help="measure nothing: write the tables of the results at hand")
    chosen = parser.parse_args()
    if chosen.page:
        return update_page()
    unknown = set(chosen.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"there is no benchmark {min(unknown)!r}: choose from {', '.join(BENCHMARKS)}")
    torch.set_num_threads(chosen.threads)
    for name in chosen.names or BENCHMARKS:
        rows = BENCHMARKS[name]()
        update(chosen.output, name, rows, chosen.threads)
        for row in rows:
            print(
                f"{row.ratio:6.2f} ≤ {row.goal:g}{' (missed)' if row.missed else ''}  {row.what}  ({row.detail})",
                flush=True,
            )
    if chosen.output == FILE:
        update_page()


if __name__ == "__main__":
    main()
