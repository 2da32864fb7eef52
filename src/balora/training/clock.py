"""Measure what a run takes: wall time in laps, and peak memory."""

import contextlib
import resource
from pathlib import Path
from typing import Any

import torch

from balora.training.turns import own_seconds


class Clock:
    """Wall time in laps, without that of runs it takes turns with, and the process's peak memory since it was made."""

    def __init__(self) -> None:
        self.laps: dict[str, Any] = {}
        """Seconds of each lap: the fields of a record's cost, `setup_seconds` and so on."""
        self._last = own_seconds()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        with contextlib.suppress(OSError):  # Linux: forget the peak of earlier work in this process
            Path("/proc/self/clear_refs").write_text("5")

    def lap(self, name: str) -> None:
        """Add the seconds since the last lap (or the start) to those under ``name``."""
        now = own_seconds()
        self.laps[name], self._last = round(self.laps.get(name, 0.0) + now - self._last, 3), now

    def peak_memory_mb(self) -> float:
        """Return the peak allocated memory of the GPU, or else resident memory of this process, in MiB."""
        if torch.cuda.is_available():
            return float(torch.cuda.max_memory_allocated() / 2**20)
        try:
            status = Path("/proc/self/status").read_text()
            return int(status.split("VmHWM:")[1].split()[0]) / 1024
        except (OSError, IndexError):
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
