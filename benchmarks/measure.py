"""Measure functions side by side, interleaved in one process, so that their times and peaks can be compared."""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile


def interleaved(functions: dict[str, Callable[[], object]], rounds: int = 9, warmup: int = 2) -> dict[str, float]:
    """Return the median seconds of each function; every round calls all of them, starting with the next one.

    A clock starts and stops when the GPU, if one is in use, has nothing left to do.
    """
    names = list(functions)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(warmup + rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            wait_for_device()
            start = time.perf_counter()
            functions[name]()
            wait_for_device()
            if turn >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return {name: median(taken) for name, taken in seconds.items()}


def wait_for_device() -> None:
    """Wait until the GPU has done all that it was given; without one in use, return at once."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def peak_memory(function: Callable[[], object], device: str = "cpu") -> float:
    """Return the peak MiB of the tensors that ``function`` allocates on a device, without those that existed before it.

    On a CPU they are counted from the allocator's own events (torch.profiler), so that memory which Python or malloc do
    not release does not matter; on a GPU the allocator counts them.
    """
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        return whole_peak(function) - before / 2**20
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        function()
    held, peak = 0, 0
    events = recorded.profiler.kineto_results.events()  # type: ignore[union-attr]
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak / 2**20


def whole_peak(function: Callable[[], object]) -> float:
    """Return the peak MiB of all tensors on the GPU while ``function`` runs, those that existed before it included."""
    wait_for_device()
    torch.cuda.reset_peak_memory_stats()
    function()
    wait_for_device()
    return torch.cuda.max_memory_allocated() / 2**20
