"""Factors computed on a CUDA device; skipped by name elsewhere (`pytest -m gpu`)."""

import pytest
import torch

from balora.maths import pissa_factors
from balora.maths.starts import minor_factors, random_matched_factors

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("size", [1024, 300, 40], ids=["krylov", "gram", "svd"])
def test_factors_stay_on_the_device_and_are_those_of_the_cpu(size: int) -> None:
    W = torch.randn(size, size, generator=torch.Generator().manual_seed(0))
    W *= torch.arange(1, size + 1) ** -0.5
    found, expected = pissa_factors(W.cuda(), 16), pissa_factors(W, 16)
    found += random_matched_factors(found, torch.Generator().manual_seed(1))
    expected += random_matched_factors(expected, torch.Generator().manual_seed(1))
    for one, other in zip(found, expected, strict=True):
        assert one.is_cuda
        torch.testing.assert_close(one.cpu(), other, rtol=0, atol=1e-5)


def test_the_smallest_components_are_those_of_the_cpu() -> None:
    W = torch.randn(60, 40, generator=torch.Generator().manual_seed(0))
    found, expected = minor_factors(W.cuda(), 5), minor_factors(W, 5)
    for one, other in zip(found, expected, strict=True):
        assert one.is_cuda
        torch.testing.assert_close(one.cpu(), other, rtol=0, atol=1e-5)
