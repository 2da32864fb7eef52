"""Find the K largest entries of every row, exactly as `topk` does, at the price of one pass over the row.

A row is cut into blocks. Every entry outside the K blocks with the largest maxima is at most each of these K maxima,
so the K largest entries can be taken from those blocks alone (of equal entries, any).
"""

import torch
from torch import Tensor

SPAN = 64
"""Entries a block: the search among candidates grows with it, the search among the maxima shrinks."""


def topk_by_blocks(rows: Tensor, K: int) -> tuple[Tensor, Tensor]:
    """Return values (descending) and indices of the K largest entries of each row; a nan counts as the largest."""
    blocks = rows.shape[1] // SPAN
    if blocks < 2 * K:  # the search by blocks would save nothing
        values, index = rows.topk(K, dim=1)
        return values, index
    # entry i of block j stands in column i·blocks + j, so that maxima are taken over whole lines of columns
    maxima = rows[:, : SPAN * blocks].view(len(rows), SPAN, blocks).amax(dim=1)
    chosen = maxima.topk(K, dim=1).indices[:, None, :]
    line = torch.arange(0, SPAN * blocks, blocks, device=rows.device)[:, None]
    rest = torch.arange(SPAN * blocks, rows.shape[1], device=rows.device).expand(len(rows), -1)
    candidates = torch.cat([(chosen + line).flatten(1), rest], dim=1)
    values, place = rows.gather(1, candidates).topk(K, dim=1)
    return values, candidates.gather(1, place)
