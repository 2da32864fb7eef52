"""The reference's logits of classification examples, computed once and used again in later epochs."""

import torch
from torch import Tensor


class ReferenceLogits:
    """Logits by example number, kept on the device where they were computed.

    An example's reference logits do not depend on the step: its input is fixed, and the reference has no dropout.
    (The padding of its batch changes them by rounding alone.)
    """

    def __init__(self) -> None:
        self._rows: dict[int, Tensor] = {}

    def of(self, index: Tensor | None) -> Tensor | None:
        """Return the logits (N×D) of the examples numbered ``index``, or None unless all are known."""
        numbers = [] if index is None else index.tolist()
        if not numbers or any(number not in self._rows for number in numbers):
            return None
        return torch.stack([self._rows[number] for number in numbers])

    def keep(self, index: Tensor | None, logits: Tensor) -> None:
        """Remember the logits of the examples numbered ``index``; without numbers nothing is kept."""
        if index is not None:
            self._rows.update(zip(index.tolist(), logits.detach().clone().unbind(), strict=True))

    def __len__(self) -> int:
        return len(self._rows)
