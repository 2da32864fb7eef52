"""Find the GPUs that this process may use, so that each worker of a study gets its own; torch-free."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version

from balora.errors import ConfigError, shown

VARIABLE = "CUDA_VISIBLE_DEVICES"
HIDDEN = ""
"""Stands for no GPU at all: a worker with it computes on the CPU."""
NONE = "none"
"""What users write for it."""
SECONDS = 20.0
"""In which nvidia-smi must answer."""
DEVICE = re.compile(r"\d+|(GPU|MIG)-[\w/-]+")


def visible_devices(
    environment: Mapping[str, str] = os.environ, listing: Callable[[], str] | None = None
) -> tuple[str, ...]:
    """Return the names of the GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` takes them.

    The variable is respected where it is set: as CUDA does, its entries count up to the first that is none. Otherwise
    they are what `nvidia-smi -L` lists: the instances of a GPU that is divided (MIG) in its place, else its number.
    A torch that is built for the CPU uses none.
    """
    if _is_for_the_cpu():
        return ()
    if (named := environment.get(VARIABLE)) is not None:
        entries = [entry.strip() for entry in named.split(",")]
        end = next((place for place, entry in enumerate(entries) if not DEVICE.fullmatch(entry)), len(entries))
        return tuple(dict.fromkeys(entries[:end]))
    return read_listing((listing or _nvidia_smi)())


def read_listing(text: str) -> tuple[str, ...]:
    """Return the devices in the text of `nvidia-smi -L`."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if gpu := re.match(r"GPU (\d+):", line):
            found[gpu[1]] = []
        elif found and (instance := re.search(r"^\s+MIG .*\(UUID: (MIG-[\w/-]+)\)", line)):
            found[next(reversed(found))].append(instance[1])
    return tuple(device for number, instances in found.items() for device in instances or [number])


def choose_devices(text: str | None, visible: tuple[str, ...]) -> tuple[str, ...]:
    """Return the GPUs that workers get: all that are ``visible``, or those that ``text`` names with commas between.

    `none` hides them all, so that workers compute on the CPU.

    Raises:
        ConfigError: one is not visible, or is named twice.
    """
    if text is None:
        return visible
    if text == NONE:
        return (HIDDEN,)
    chosen = tuple(part.strip() for part in text.split(","))
    there = f"this process sees {', '.join(visible)}" if visible else "this process sees no GPU"
    for device in chosen:
        if device not in visible:
            raise ConfigError(f"--devices {shown(text)}: {there}, not {shown(device)}: name some of them, or none")
    if len(set(chosen)) < len(chosen):
        raise ConfigError(f"--devices {shown(text)}: names a GPU twice: for several workers on it, give --workers")
    return chosen


def _is_for_the_cpu() -> bool:
    try:
        return version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return True


def _nvidia_smi() -> str:
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
