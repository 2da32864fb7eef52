"""Raise half-precision values to float32 before a formula is computed with them."""

import torch
from torch import Tensor


def accurate(values: Tensor) -> Tensor:
    """Return ``values`` in float32 at least: half precision is for storage, not for sums and logarithms."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
