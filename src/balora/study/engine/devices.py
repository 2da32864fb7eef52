"""Find the GPUs that this process may use, so that each worker of a study gets its own; torch-free."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from balora.errors import ConfigError, shown

VARIABLE = "CUDA_VISIBLE_DEVICES"
HIDDEN = ""
"""Stands for no GPU at all: a worker with it computes on the CPU."""
NONE = "none"
"""What users write for it."""
SECONDS = 20.0
"""In which nvidia-smi must answer."""
DEVICE = re.compile(r"\d+|(GPU|MIG)-[\w/-]+")


class Device(NamedTuple):
    """A GPU, or an instance of one that is divided."""

    names: tuple[str, ...]
    """What users may call it: its number, its UUID."""
    handle: str
    """What `CUDA_VISIBLE_DEVICES` gets: the UUID where it is known, as CUDA may count in another order."""


def visible_devices(
    environment: Mapping[str, str] = os.environ, listing: Callable[[], str] | None = None
) -> tuple[Device, ...]:
    """Return the GPUs that this process may use.

    `CUDA_VISIBLE_DEVICES` is respected where it is set: as CUDA does, its entries count up to the first that is none.
    Otherwise they are what `nvidia-smi -L` lists: of a GPU that is divided (MIG) its instances. A torch that is built
    for the CPU uses none.
    """
    if _is_for_the_cpu():
        return ()
    if (named := environment.get(VARIABLE)) is not None:
        entries = [entry.strip() for entry in named.split(",")]
        end = next((place for place, entry in enumerate(entries) if not DEVICE.fullmatch(entry)), len(entries))
        return tuple(Device((entry,), entry) for entry in dict.fromkeys(entries[:end]))
    return read_listing((listing or _nvidia_smi)())


def read_listing(text: str) -> tuple[Device, ...]:
    """Return the devices in the text of `nvidia-smi -L`."""
    found: list[tuple[Device, list[Device]]] = []
    for line in text.splitlines():
        if gpu := re.match(r"GPU (\d+): .*\(UUID: (GPU-[\w-]+)\)", line):
            found.append((Device((gpu[1], gpu[2]), gpu[2]), []))
        elif found and (instance := re.search(r"^\s+MIG .*\(UUID: (MIG-[\w/-]+)\)", line)):
            found[-1][1].append(Device((instance[1],), instance[1]))
    return tuple(device for gpu, instances in found for device in instances or [gpu])


def choose_devices(text: str | None, visible: tuple[Device, ...]) -> tuple[str, ...]:
    """Return the GPUs that workers get: all that are ``visible``, or those that ``text`` names with commas between.

    `none` hides them all, so that workers compute on the CPU.

    Raises:
        ConfigError: one is not visible, or is named twice.
    """
    if text is None:
        return tuple(device.handle for device in visible)
    if text == NONE:
        return (HIDDEN,)
    by_name = {name: device.handle for device in visible for name in device.names}
    there = f"this process sees {', '.join(device.names[0] for device in visible) or 'no GPU'}"
    chosen = []
    for name in (part.strip() for part in text.split(",")):
        if name not in by_name:
            raise ConfigError(f"--devices {shown(text)}: {there}, not {shown(name)}: name some of them, or none")
        chosen.append(by_name[name])
    if len(set(chosen)) < len(chosen):
        raise ConfigError(f"--devices {shown(text)}: names a GPU twice: for several workers on it, give --workers")
    return tuple(chosen)


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
