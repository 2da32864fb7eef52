"""Name the library versions and the processor that a run computes with."""

import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("balora", "torch", "transformers", "peft", "accelerate")


@cache
def versions() -> dict[str, str]:
    """Return the versions of what a run computes with, and the processor's name as `processor`."""
    return {name: version(name) for name in PACKAGES} | {"processor": processor()}


def processor() -> str:
    """Return the GPU's name, or the CPU's with the vector instructions that torch uses of it.

    Two of them may round differently, and with that decide a test item differently.
    """
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{_cpu()} ({torch.backends.cpu.get_cpu_capability()})"


def _cpu() -> str:
    linux = Path("/proc/cpuinfo")  # elsewhere Python knows more
    for line in linux.read_text(encoding="utf-8").splitlines() if linux.is_file() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return " ".join(value.split())
    return platform.processor() or platform.machine() or "unknown processor"
