"""Compute keys of rows: digests of the model's inputs, so that cached outputs are found whatever a row's number is."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from balora.tasks.encoding import IGNORED

if TYPE_CHECKING:
    import numpy as np

ROW_KEYS = "row_keys"
"""The entry of a batch that holds one key a row."""
KEY_BYTES = 16
PACKED = ("position_ids", "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "seq_idx")
"""Entries of batches whose rows hold several examples: other ones each epoch, so nothing comes again."""

RowKey = tuple[bytes, int]
"""A digest of the row's inputs, and how many of the model's outputs belong to it (1, or its counted positions)."""


class KeyedRows:
    """A collator that adds one key a row, while the batch is still on the host: a device would have to be waited for.

    Args (of the constructor):
        collate: makes a batch of rows.
        causal: whether outputs are counted positions, which the labels show, and not one a row.
    """

    def __init__(self, collate: Callable[[Any], Any], *, causal: bool) -> None:
        self.collate, self.causal = collate, causal

    def __call__(self, rows: Any) -> Any:
        """Return the batch of ``rows``, with `row_keys` where its rows can be identified."""
        batch = self.collate(rows)
        keys = row_keys(batch, causal=self.causal)
        if keys is not None:
            batch[ROW_KEYS] = keys
        return batch


def row_keys(batch: Any, *, causal: bool) -> tuple[RowKey, ...] | None:
    """Return one key a row of ``batch``; None for packed rows and for inputs that are not one a row.

    Padding at the right is left out, so that a row has one key in whatever batch it comes.
    """
    labels = batch.get("labels")
    if labels is None or any(name in batch for name in PACKED):
        return None
    inputs = {name: value for name, value in sorted(batch.items()) if name not in ("labels", "index")}
    if not all(isinstance(value, Tensor) and value.shape[:1] == labels.shape[:1] for value in inputs.values()):
        return None
    counted = labels[:, 1:] != IGNORED if causal else torch.ones(len(labels), 1, dtype=torch.bool)
    ends = _ends(batch.get("attention_mask"), len(labels))
    positions = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
    parts = [_Part.of(name, value, positions) for name, value in inputs.items()]
    keys = []
    for row, (end, mask) in enumerate(zip(ends, counted.numpy(), strict=True)):
        digest = hashlib.blake2b(digest_size=KEY_BYTES)
        for part in parts:
            digest.update(part.row(row, end))
        digest.update(mask.nonzero()[0].tobytes())
        keys.append((digest.digest(), int(mask.sum())))
    return tuple(keys)


class _Part(NamedTuple):
    """One input of a batch as bytes."""

    words: bytes
    """Its name, type, and shape beside rows and positions."""
    content: "np.ndarray[Any, Any]"
    """One line of bytes a row."""
    width: int
    """Bytes a position; 0 for what has none, which is taken as a whole."""

    @classmethod
    def of(cls, name: str, value: Tensor, positions: int) -> "_Part":
        content = value.detach().cpu().reshape(len(value), -1).contiguous().view(torch.uint8).numpy()
        words = f"{name} {value.dtype} {tuple(value.shape[2:])} ".encode()
        by_position = positions > 0 and value.shape[1:2] == (positions,)
        return cls(words, content, content.shape[1] // positions if by_position else 0)

    def row(self, row: int, end: int | None) -> bytes:
        """Return what one row is fed, without its padding at the right, after its words and length."""
        stop = end * self.width if end is not None and self.width else self.content.shape[1]
        return self.words + b"%d " % stop + bytes(self.content[row, :stop])


def _ends(mask: Tensor | None, rows: int) -> list[int | None]:
    """Return where each row's padding at the right begins; None where no mask shows it."""
    if mask is None or mask.ndim != 2:
        return [None] * rows
    places = torch.arange(1, mask.shape[1] + 1) * (mask != 0)
    return list(places.amax(dim=1).tolist())
