"""Define the two factors of an adapter in the offset form, as modules that PEFT takes for its own.

On an untouched base it adds ΔW = s·(B·A − B0·A0), where (A0, B0) is the start of the trained (A, B), PiSSA's or other.
With Q = A − A0 and P = B − B0 the same update is

    ΔW = s·(P·A + B0·Q) = s·[P, B0]·[A; Q],        shapes out×2r and 2r×in,

an ordinary LoRA of rank 2r. Written this way it is exactly zero at the start, whatever the precision, and later its
rounding error is relative to the *change* of the factors. In B·A − B0·A0 two large products cancel instead: harmless
in float32, ruinous in half precision.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from balora.adapters.sharding import refuse_sharded

GATHER = "write it with `export_adapter` on every process, which gathers it"
START_TOLERANCE = 0.1
"""How far the norms of a loaded start may lie from this base's, relatively: another seed or device of the randomized
SVD stays well below; the change A − A0 of an exported adapter, or the start for another scaling, does not."""


class OffsetFactor(nn.Module, ABC):
    """One trained factor with its frozen start; `weight` is what PEFT computes with, a tensor of rank 2r.

    The start is a buffer and not a parameter, because PEFT marks every parameter of an active adapter as trainable.

    In a state dict the pair is one tensor `weight`, [A; A0] or [B, −B0]: a plain LoRA of rank 2r with the same ΔW, from
    which the pair is restored bit for bit when it is loaded into an attached model. So PEFT, the Trainer and every
    server read a checkpoint without knowing about the offset.
    """

    axis: ClassVar[int]
    """Along which the two halves lie: 0 for A (rows), 1 for B (columns)."""
    sign: ClassVar[float]
    """Of the start in a state dict."""
    trained: nn.Parameter
    origin: Tensor

    def __init__(self, origin: Tensor) -> None:
        super().__init__()
        self.trained = nn.Parameter(origin.clone())
        self.register_buffer("origin", origin.clone())

    @property
    def weight(self) -> Tensor:
        """The factor of ΔW = s·B.weight @ A.weight, of rank 2r; carries the gradient of `trained`."""
        return self.weight_of(self.trained)

    @abstractmethod
    def weight_of(self, trained: Tensor) -> Tensor:
        """Return what `weight` is for these values of `trained`, which lie whole on this process."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)

    def extra_repr(self) -> str:
        return f"trained={tuple(self.trained.shape)}, dtype={self.trained.dtype}"

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        refuse_sharded([self.trained], "saved with an adapter in the offset form", GATHER)
        pair = torch.cat([self.trained, self.sign * self.origin], dim=self.axis)
        destination[prefix + "weight"] = pair if keep_vars else pair.detach()

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        key = prefix + "weight"
        unexpected_keys.extend(name for name in state_dict if strict and name.startswith(prefix) and name != key)
        if key not in state_dict:
            missing_keys.append(key)
            return
        expected = list(self.trained.shape)
        expected[self.axis] *= 2
        if list(state_dict[key].shape) != expected:
            error_msgs.append(f"size mismatch for {key}: got {list(state_dict[key].shape)}, need {expected}")
            return
        trained, origin = state_dict[key].chunk(2, dim=self.axis)
        if not self._is_start(origin):
            error_msgs.append(
                f"the frozen half of {key} is not this adapter's start on this base: the file is an exported adapter "
                "or comes from another base, alpha or init; load it into a fresh base with PeftModel.from_pretrained, "
                "and resume training from a Trainer checkpoint or a folder written by save_pretrained"
            )
            return
        with torch.no_grad():
            self.trained.copy_(trained)
            self.origin.copy_(self.sign * origin)

    def _is_start(self, origin: Tensor) -> bool:
        """Whether the norms of the r components are those of the present start: √(σ/s), free of signs and rotations."""
        others = 1 - self.axis
        present, loaded = (t.detach().cpu().double().norm(dim=others) for t in (self.origin, origin))
        tolerance = START_TOLERANCE * present + 1e-3 * present.max()
        return bool(((loaded - present).abs() <= tolerance).all())


class OffsetA(OffsetFactor):
    """A (r×in) with its start A0; `weight` is [A; A − A0], 2r×in."""

    axis = 0
    sign = 1.0

    def weight_of(self, trained: Tensor) -> Tensor:
        return torch.cat([trained, trained - self.origin], dim=0)


class OffsetB(OffsetFactor):
    """B (out×r) with its start B0; `weight` is [B − B0, B0], out×2r."""

    axis = 1
    sign = -1.0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)  # as the exported adapter computes it, bit for bit
        # In training one product a half: a single one would also make the frozen half's gradient, and throw it away.
        change, start = x.chunk(2, dim=-1)
        return F.linear(change, self.trained - self.origin) + F.linear(start, self.origin)

    def weight_of(self, trained: Tensor) -> Tensor:
        return torch.cat([trained - self.origin, self.origin], dim=1)
