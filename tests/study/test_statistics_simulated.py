"""Simulated studies: coverage, family-wise error, stated power, joint intervals, choices that are not optimistic."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from simulation import PARTS, Figure, coverage, errors, joint, powers, tuned


@pytest.mark.parametrize("part", [coverage, errors, powers, tuned, partial(joint, 150)])
def test_every_figure_is_within_its_limits(part: Callable[[], Iterator[Figure]]) -> None:
    found = list(part())
    assert found
    slack = 2.5 if isinstance(part, partial) else 0  # fewer studies here than in docs/statistics.md
    outside = [one for one in found if not one.low - slack <= one.found <= one.high + slack]
    assert not outside


def test_every_part_is_tested() -> None:
    assert set(PARTS) == {coverage, errors, powers, joint, tuned}
