"""Measure functions side by side, interleaved in one process, so that their times and peaks can be compared."""

import time
from collections.abc import Callable
from statistics import median

from torch.profiler import ProfilerActivity, profile


def interleaved(functions: dict[str, Callable[[], object]], rounds: int = 9, warmup: int = 2) -> dict[str, float]:
    """Return the median seconds of each function; every round calls all of them, starting with the next one."""
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


def peak_memory(function: Callable[[], object]) -> float:
    """Return the peak MiB of the tensors that ``function`` allocates, without those that existed before it.

    They are counted from the allocator's own events (torch.profiler), so that memory which Python or malloc do not
    release does not matter.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        function()
    held, peak = 0, 0
    events = recorded.profiler.kineto_results.events()  # type: ignore[union-attr]
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak / 2**20
