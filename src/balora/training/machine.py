"""Name the library versions, the processor and the threads that a run computes with, and set the threads."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch

from balora.training.spec import RunSpec

PACKAGES = ("balora", "torch", "transformers", "peft", "accelerate", "math-verify")


def versions(spec: RunSpec | None = None) -> dict[str, str]:
    """Return the versions of what a run computes with, and the processor's name as `processor`.

    That of bitsandbytes is among them where the run of ``spec`` uses it.
    """
    if spec is None:
        return _versions(PACKAGES)
    quantises = spec.loading.quantization is not None or not spec.training.optimizer.startswith("adamw_torch")
    return _versions((*PACKAGES, "bitsandbytes") if quantises else PACKAGES)


@cache
def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    return {name: version(name) for name in packages} | {"processor": processor()}


class Threads(NamedTuple):
    """Of torch, on the CPU."""

    inside: int
    """How many share one operation: some operations round differently with another number."""
    between: int
    """How many operations may run at the same time."""


@contextmanager
def using_threads(count: int | None) -> Iterator[Threads]:
    """Let ``count`` threads share each operation inside, or as many as before where none is given; give the numbers."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield Threads(torch.get_num_threads(), torch.get_num_interop_threads())
    finally:
        if count is not None:
            torch.set_num_threads(before)


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


def less_memory(spec: RunSpec) -> str:
    """Return which settings of a run would make it need less memory, with what they are now."""
    training = spec.training
    ways = [f"lower training.batch_size (now {training.batch_size}) and raise training.accumulation"]
    ways += [] if training.gradient_checkpointing else ["set training.gradient_checkpointing"]
    ways += [] if training.optimizer.startswith("paged") else ["set training.optimizer to paged_adamw_8bit"]
    ways += [] if spec.loading.quantization or spec.adapter is None else ["set model.quantization to nf4"]
    ways += [f"lower data.max_length (now {spec.data.max_length}) or training.eval_batch_size"]
    return ", ".join(ways)
