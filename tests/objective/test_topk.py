"""The K largest entries through the maxima of blocks: what torch's `topk` finds among all entries."""

import math

import pytest
import torch

from balora.objective.topk import SPAN, topk_by_blocks


@pytest.mark.parametrize("V", [1, 5, 20 * SPAN - 1, 40 * SPAN, 40 * SPAN + 1, 41 * SPAN - 1, 50_257])
@pytest.mark.parametrize("K", [1, 3, 20])
def test_the_search_by_blocks_gives_what_topk_gives(V: int, K: int) -> None:
    rows = torch.randn(9, V, generator=torch.Generator().manual_seed(V))
    K = min(K, V)
    values, index = topk_by_blocks(rows, K)
    expected = rows.topk(K, dim=1)
    assert torch.equal(values, expected.values)
    assert torch.equal(index, expected.indices)  # no two draws are equal


def test_the_largest_may_stand_in_one_block_or_in_the_rest() -> None:
    V = 40 * SPAN + 7
    rows = torch.zeros(3, V)
    rows[0, ::40] = torch.arange(rows[0, ::40].numel()).float()  # one block, columns 0, 40, 80, …
    rows[1, -20:] = torch.arange(20).float() + 1  # the 7 beside all blocks, and 13 of the last line
    rows[2, :20] = torch.arange(20).float() + 1  # a block each
    for row, (values, index) in zip(rows, zip(*topk_by_blocks(rows, 20), strict=True), strict=True):
        assert torch.equal(values, row.topk(20).values)
        assert torch.equal(row[index], values)


def test_of_equal_entries_any_but_each_once() -> None:
    values, index = topk_by_blocks(torch.zeros(2, 100 * SPAN), 20)
    assert torch.equal(values, torch.zeros(2, 20))
    assert [len(set(row.tolist())) for row in index] == [20, 20]


def test_masked_entries_come_last_and_nan_first() -> None:
    rows = torch.full((1, 64 * SPAN), -math.inf)
    rows[0, 1234], rows[0, 7], rows[0, 70] = 1.0, math.nan, 2.0
    values, index = topk_by_blocks(rows, 4)
    assert index[0, :3].tolist() == [7, 70, 1234]
    assert values[0, 0].isnan()
    assert values[0, 3].item() == -math.inf
