"""The reference's logits of classification examples, computed once and used again in later epochs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Index = Sequence[int] | Tensor | None
"""The numbers of a batch's examples; a tensor on a GPU has to be waited for, a sequence has not."""


class ReferenceLogits:
    """Logits by example number, kept on the device where they were computed.

    An example's reference logits do not depend on the step: its input is fixed, and the reference has no dropout.
    (The padding of its batch changes them by rounding alone.)
    """

    def __init__(self) -> None:
        self._rows: dict[int, Tensor] = {}

    def of(self, index: Index) -> Tensor | None:
        """Return the logits (N×D) of the examples numbered ``index``, or None unless all are known."""
        numbers = _numbers(index)
        if not numbers or any(number not in self._rows for number in numbers):
            return None
        return torch.stack([self._rows[number] for number in numbers])

    def keep(self, index: Index, logits: Tensor) -> None:
        """Remember the logits of the examples numbered ``index``; without numbers nothing is kept."""
        if index is not None:
            self._rows.update(zip(_numbers(index), logits.detach().clone().unbind(), strict=True))

    def __len__(self) -> int:
        return len(self._rows)


class IndexOnHost:
    """A collator that leaves `index` on the host, so that looking examples up does not wait for the device."""

    def __init__(self, collate: Callable[[Any], Any]) -> None:
        self.collate = collate

    def __call__(self, rows: Any) -> Any:
        """Return the batch of ``rows`` with its `index`, if any, as a tuple of numbers."""
        batch = self.collate(rows)
        if "index" in batch:
            batch["index"] = tuple(_numbers(batch["index"]))
        return batch


def _numbers(index: Index) -> list[int]:
    if index is None:
        return []
    return index.tolist() if isinstance(index, Tensor) else list(index)
