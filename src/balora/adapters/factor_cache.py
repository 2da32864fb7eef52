"""Cache starting factors on disk: a weight is decomposed once, for the largest rank needed, and cut for smaller ones.

An entry is a safetensors file with A and B at scaling 1, named by a digest of all that they depend on, whole from the
moment it has its name. Its header repeats what it was computed from and has a checksum: an entry that does not agree is
computed again.
"""

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Generator, Tensor, get_num_threads, uint8

from balora.adapters.ranks import largest_rank
from balora.errors import ConfigError, shown
from balora.folders import cache_folder, remove_stale, write_atomic
from balora.maths.pissa import VERSION, Factors, part_of, pissa_factors
from balora.maths.starts import MINOR_VERSION, minor_factors
from balora.regular_files import is_regular

logger = logging.getLogger(__name__)

SWITCH = "BALORA_PISSA_CACHE"
CACHED_FROM = 256
"""Smaller side from which a weight's factors are cached: below, computing them is as fast as reading them."""

Method = Literal["exact", "randomized", "minor"]
"""PiSSA's factors by either decomposition, or those of the smallest components."""
Identity = dict[str, str | int]
"""What factors were computed from, and how."""


class FactorCache:
    """Factors from the folder `pissa` of the user's cache, or computed and stored there; one object for each `attach`.

    Raises:
        ConfigError: `BALORA_PISSA_CACHE` is neither `on` (the default) nor `off`.
    """

    def __init__(self) -> None:
        switch = os.environ.get(SWITCH) or "on"
        if switch not in ("on", "off"):
            raise ConfigError(f"{SWITCH} must be 'on' or 'off', got {shown(switch)}")
        self.is_on, self.folder = switch == "on", cache_folder() / "pissa"
        self._is_writable = True

    def factors(
        self,
        weight: Tensor,
        rank: int,
        scaling: float,
        method: Method,
        generator: Generator,
    ) -> Factors:
        """Return what `pissa_factors` or `minor_factors` would, for a large weight from the cache if it is there.

        ``randomized`` factors of another rank are others, so these are cached for each rank; ``generator`` is not used
        where they are read.
        """
        if not self.is_on or min(weight.shape) < CACHED_FROM:
            return _computed(weight, rank, scaling, method, generator)
        whole = rank if method == "randomized" else max(rank, min(largest_rank(), *weight.shape))
        identity = _identity_of(weight, whole, method, generator)
        path = self.folder / f"{hashlib.sha256(_as_text(identity).encode()).hexdigest()[:32]}.safetensors"
        cached = _read(path, identity)
        if cached is None:
            cached = _computed(weight, whole, 1.0, method, generator)
            self._store(path, cached, identity)
        A, B = part_of(cached, rank, scaling)
        return A.to(weight.device), B.to(weight.device)

    def _store(self, path: Path, factors: Factors, identity: Identity) -> None:
        """Write an entry; if the disk is full or cannot be written, warn once and cache no more."""
        if not self._is_writable:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_stale(self.folder)
            A, B = (factor.cpu() for factor in factors)
            write_atomic(path, save({"A": A, "B": B}, {"marks": _as_text(identity), "sha256": _digest(A, B)}))
        except OSError as error:
            self._is_writable = False
            logger.warning(
                "balora: factors cannot be cached in %s (%s): each run computes them; %s=off disables the cache",
                self.folder, error.strerror or error, SWITCH,
            )  # fmt: skip


def _computed(weight: Tensor, rank: int, scaling: float, method: Method, generator: Generator) -> Factors:
    if method == "minor":
        return minor_factors(weight, rank, scaling)
    return pissa_factors(weight, rank, scaling, method, generator)


def _identity_of(weight: Tensor, rank: int, method: str, generator: Generator) -> Identity:
    """Return all that decides the factors, down to rounding: that of a GPU is another than a CPU's.

    On the CPU a decomposition also rounds differently with another number of threads.
    """
    return {
        "version": MINOR_VERSION if method == "minor" else VERSION,
        "method": method,
        "random state": _digest(generator.get_state()) if method == "randomized" else "",
        "rank": rank,
        "weight": _digest(weight),
        "shape": "×".join(map(str, weight.shape)),
        "dtype": str(weight.dtype),
        "device": weight.device.type,
        "threads": get_num_threads() if weight.device.type == "cpu" else 0,
    }


def _as_text(identity: Identity) -> str:
    return json.dumps(identity, sort_keys=True)


def _digest(*tensors: Tensor) -> str:
    """Return the SHA-256 of the tensors' bytes."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().view(uint8).numpy().data)
    return digest.hexdigest()


def _read(path: Path, identity: Identity) -> Factors | None:
    """Return the factors in ``path``; none if there are none, or with a warning, if they are damaged."""
    if not os.path.lexists(path):
        return None
    try:
        if not is_regular(path):
            raise ValueError("it is no regular file")
        with safe_open(path, framework="pt") as file:
            header, A, B = file.metadata() or {}, file.get_tensor("A"), file.get_tensor("B")
        if header.get("marks") != _as_text(identity):
            raise ValueError("it was computed from other input")
        if header.get("sha256") != _digest(A, B):
            raise ValueError("its checksum is wrong")
        if (len(A), f"{len(B)}×{A.shape[-1]}", B.shape[-1]) != (identity["rank"], identity["shape"], len(A)):
            raise ValueError("its factors have other shapes")
    except (OSError, SafetensorError, ValueError) as error:
        logger.warning(
            "balora: factor cache: %s cannot be used (%s): computed again", path, " ".join(str(error).split())
        )
        return None
    return A, B
