"""Pad rows of unequal length and stack them into one batch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from balora.tasks.encoding import IGNORED

NOT_FOR_THE_MODEL = ("labels", "index")
"""Entries of a batch that a task needs and the forward pass does not."""


class Collator:
    """Pads rows at the right and stacks them.

    What is padding is decided by position, never by the token: where the padding token is the end token, a real end
    keeps its mask and its label.
    """

    def __init__(self, pad_id: int) -> None:
        self.fill = {"input_ids": pad_id, "attention_mask": 0, "token_type_ids": 0, "labels": IGNORED}

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Return the tensors of ``rows``: (rows, longest) each; `index` and a class or score per row: (rows,)."""
        batch = {name: self._stack(name, [row[name] for row in rows]) for name in self.fill if name in rows[0]}
        batch["index"] = torch.tensor([row["index"] for row in rows])
        return batch

    def _stack(self, name: str, values: list[Any]) -> Tensor:
        if not isinstance(values[0], list):
            return torch.tensor(values, dtype=torch.float32 if isinstance(values[0], float) else torch.long)
        longest = max(map(len, values))
        return torch.tensor([value + [self.fill[name]] * (longest - len(value)) for value in values])
