"""In which number format the formulas are computed."""

import torch
from torch import Tensor


def accurate(values: Tensor) -> Tensor:
    """Return ``values`` in float32 at least: half precision is for storage, not for sums and logarithms."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
