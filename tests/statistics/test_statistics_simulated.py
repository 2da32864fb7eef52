"""Simulated studies: coverage, family-wise error, stated power, joint intervals, choices that are not optimistic."""

from collections.abc import Callable, Iterator

import pytest
from simulation import PARTS, Figure


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_figure_is_within_its_limits(part: Callable[[], Iterator[Figure]]) -> None:
    found = list(part())
    assert found
    assert not [one for one in found if not one.low <= one.found <= one.high]
