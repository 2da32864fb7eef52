"""Cache the reference's outputs per row, for later epochs in memory and for other runs on disk."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from balora.folders import remove_stale
from balora.training.reference.keys import RowKey
from balora.training.reference.shards import Entry

logger = logging.getLogger(__name__)

MIB = 2**20
BUDGET_MIB = 4096
SHARD = 64 * MIB
"""Bytes that are gathered in memory before they are written; fewer at the end of training."""


class ReferenceFolder(NamedTuple):
    """Where a trainer caches the outputs of its reference on disk."""

    path: Path
    """May be shared by any number of runs, models and processes."""
    budget_mib: int = BUDGET_MIB
    """Most that all files below it may take; what was used longest ago makes way."""
    scope: str = ""
    """Runs of another scope share nothing, whatever they have in common."""


class ReferenceCache:
    """Outputs by row: N×D logits of a classifier, N×d hidden states at the counted positions of a language model.

    A row's outputs do not depend on the step: its input is fixed, and the reference has no dropout. (The padding of its
    batch changes them by rounding alone.) Nothing is computed for the cache alone: rows are cached as they are seen.
    So a run never does more forward passes than without it, and a run on the same rows, even one beside it, needs none
    or as many.

    Args (of the constructor):
        entry: where on disk; None: in memory, on the device where they were computed.
        budget: most bytes of all of ``entry``'s cache, or in memory.
        examples: how many different rows will be seen, for the size that is announced.
        recent: how many of the last rows are held in memory whatever the budget is, for models that see the same batch
            one after another.
    """

    def __init__(
        self, entry: Entry | None = None, *, budget: int = BUDGET_MIB * MIB, examples: int = 0, recent: int = 0
    ) -> None:
        self.entry, self.budget, self.examples, self.recent = entry, budget, examples, recent
        self._last: dict[bytes, Tensor] = {}
        self._rows: dict[bytes, Tensor] = {}
        self._unwritten: dict[bytes, Tensor] = {}
        self._unwritten_bytes = 0
        self._room: int | None = None
        self._is_open = budget > 0 or not recent
        if entry is not None:
            remove_stale(entry.folder)
            self._rows.update(entry.new_rows())

    def __len__(self) -> int:
        return len(self._rows)

    def of(self, keys: Sequence[RowKey] | None, device: torch.device) -> Tensor | None:
        """Return the outputs of the rows, one below the other, or None unless all are known."""
        found = [self._rows.get(key, self._last.get(key)) for key, _ in keys or ()]
        known = [rows for rows in found if rows is not None]
        return torch.cat(known).to(device, non_blocking=True) if known and len(known) == len(found) else None

    def keep(self, keys: Sequence[RowKey] | None, outputs: Tensor) -> None:
        """Cache the outputs of rows; those without keys, and those beyond the budget, are not cached."""
        if not keys:
            return
        is_open = self._is_open and self._fits(outputs.nbytes, len(keys))
        if not is_open and not self.recent:
            return
        parts = torch.split(outputs.detach().clone(), [count for _, count in keys])
        if self.recent:
            self._remember({key: part for (key, _), part in zip(keys, parts, strict=True)})
        if not is_open:
            return
        for (key, _), part in zip(keys, parts, strict=True):
            if key not in self._rows:
                self._rows[key] = self._unwritten[key] = part
                self._unwritten_bytes += part.nbytes
        if self._unwritten_bytes >= SHARD:
            self.flush()

    def _remember(self, rows: dict[bytes, Tensor]) -> None:
        older = [(key, part) for key, part in self._last.items() if key not in rows]
        self._last = dict([*older, *rows.items()][-self.recent :])

    def flush(self) -> None:
        """Write to disk what is not there yet; if the disk fills, caching stops with a warning."""
        if self.entry is None or not self._unwritten:
            return
        self._rows.update(self.entry.new_rows())  # others may have written them meanwhile
        rows = {key: part for key, part in self._unwritten.items() if self._rows[key] is part}
        self._unwritten, self._unwritten_bytes = {}, 0
        try:
            if rows:
                self.entry.write(rows)
                self._rows.update(self.entry.new_rows())  # mapped into memory from now on, and not held there
        except OSError as error:
            self._close(f"{self.entry.folder} cannot be written ({error.strerror or error})")

    def _fits(self, size: int, rows: int) -> bool:
        """Take room for ``size`` bytes of ``rows`` rows if there is some; before the first row, announce the size."""
        if self._room is None:
            expected = size // rows * max(self.examples - len(self._rows), rows)
            self._room = self.budget if self.entry is None else self.entry.room(expected, self.budget)
            if expected > self._room:
                self._close(f"about {expected / MIB:,.1f} MiB of outputs, over the budget of {self._allowed()}")
                return False
            self._announce(expected)
        if size > self._room:
            self._close(f"the budget of {self._allowed()} is used up")
            return False
        self._room -= size
        return True

    def _announce(self, size: int) -> None:
        if self.entry is not None:
            level = logging.WARNING if size >= SHARD else logging.INFO
            words = "balora: reference cache: about %.1f MiB of outputs of %d rows go to %s"
            logger.log(level, words, size / MIB, self.examples, self.entry.folder)

    def _allowed(self) -> str:
        return f"{self.budget / MIB:,.0f} MiB"

    def _close(self, why: str) -> None:
        self._is_open = False
        logger.warning("balora: reference cache: %s: the reference of further rows is computed at each step", why)
