"""Measure how the objective's time grows: vary one size, fix the others, and fit an exponent."""

from collections.abc import Iterable

import numpy as np

from balora.objective import ObjectiveConfig
from benchmarks.measure import interleaved
from benchmarks.objective import CONFIG, ours, problem
from benchmarks.steps import Shape, causal_step

BASE = {"N": 1024, "V": 16_384, "d": 256, "k": 10}
SWEPT: dict[str, tuple[int, ...]] = {
    "N": (512, 1024, 2048, 4096),
    "V": (8192, 16_384, 32_768, 65_536),
    "d": (128, 256, 512, 1024),
    "k": (1, 4, 16, 64),
}
RANKS = (4, 8, 16, 32, 64)
LIMITS = {"N": 1.15, "V": 1.15, "d": 1.15, "k": 0.1}
"""Products grow with N·V·d, and the spectrum with N·d·min(N, d), which is small at these sizes."""

Rows = list[tuple[str, float, float, str]]


def growth_rows() -> Rows:
    """Return (what, exponent, limit, detail) of the objective for N, V, d and k, and of a step for the rank."""
    rows = [_row(name, {size: _seconds(name, size) for size in sizes}, LIMITS[name]) for name, sizes in SWEPT.items()]
    steps = {rank: causal_step("ba-lora", Shape(512, rank=rank)) for rank in RANKS}
    taken = interleaved({str(rank): step for rank, step in steps.items()}, rounds=5)
    what = "exponent of a BA-LoRA step's time in the rank r"
    return [*rows, _line(what, {rank: taken[str(rank)] for rank in RANKS}, 0.5)]


def _seconds(name: str, size: int) -> float:
    sizes = {**BASE, name: size}
    config: ObjectiveConfig = CONFIG.replace(spectral=CONFIG.spectral.replace(k=sizes["k"]))
    call = ours(config, *problem(sizes["N"], sizes["V"], sizes["d"]))
    return interleaved({"objective": call}, rounds=3, warmup=1)["objective"]


def _row(name: str, seconds: dict[int, float], limit: float) -> tuple[str, float, float, str]:
    others = ", ".join(f"{other} = {size:,}" for other, size in BASE.items() if other != name)
    return _line(f"exponent of the objective's time in {name} ({others})", seconds, limit)


def _line(what: str, seconds: dict[int, float], limit: float) -> tuple[str, float, float, str]:
    detail = ", ".join(f"{size:,}: {taken:.2f} s" for size, taken in seconds.items())
    return what, exponent(seconds, seconds.values()), limit, detail


def exponent(sizes: Iterable[int], seconds: Iterable[float]) -> float:
    """Return e of the least-squares fit seconds = c·size^e on logarithms."""
    return float(np.polyfit(np.log(list(sizes)), np.log(list(seconds)), 1)[0])
