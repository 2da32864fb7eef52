"""Measuring side by side: what is compared runs interleaved in one process, and only ratios are reported."""

import gc
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median


def interleaved(functions: dict[str, Callable[[], object]], rounds: int = 15, warmup: int = 3) -> dict[str, float]:
    """Return the median seconds of each function; every round calls all of them, each time in the next order."""
    names = list(functions)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(warmup + rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            start = time.perf_counter()
            functions[name]()
            if turn >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(taken) for name, taken in seconds.items()}


def extra_memory(function: Callable[[], object]) -> float:
    """Return by how many MiB resident memory rises at most above its level before ``function`` (Linux).

    Call it in a process of its own (`in_process`): freed memory that the process keeps would hide the rise.
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    function()
    return _status("VmHWM") - before


def in_process(module: str, *arguments: str) -> float:
    """Run ``python -m MODULE ARGUMENTS`` in a fresh interpreter and return the number that it prints."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    return float(done.stdout.strip().splitlines()[-1])


def _status(key: str) -> float:
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{key}:")[1].split()[0]) / 1024
