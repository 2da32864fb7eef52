"""The KL from hidden states against TRL's and Liger's own, which are written by others and chunk in other ways."""

import importlib.util

import pytest
import torch
from benchmarks.objective import problem
from benchmarks.others import T, liger, ours, trl
from objective_cases import relative

SHAPES = [(5, 7, 3), (41, 401, 24), (130, 5003, 32)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kl_is_trls(shape: tuple[int, int, int]) -> None:
    given = problem(*shape)
    value, gradient = ours({"consistency": 1 / T**2}, *given)()
    theirs, expected = trl(*given)()
    assert relative(value, theirs) < 1e-4  # theirs is summed in float32
    assert relative(gradient, expected) < 1e-5


@pytest.mark.skipif(importlib.util.find_spec("liger_kernel") is None, reason="needs liger-kernel: make test brings it")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy_and_kl_are_ligers(shape: tuple[int, int, int]) -> None:
    given = problem(*shape)
    value, gradient = ours({"task": 0.5, "consistency": 0.5 / T**2}, *given)()
    theirs, expected = liger(*given)()
    assert relative(value, theirs) < 1e-6
    assert relative(gradient, expected) < 1e-5


def test_the_oracles_see_a_wrong_temperature() -> None:
    given = problem(41, 401, 24)
    assert relative(ours({"consistency": 1.0}, *given)()[0], trl(*given)()[0]) > 1
    assert not torch.equal(given[0], given[1])
