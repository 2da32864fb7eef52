"""Read the full-precision weights of a quantised model from its checkpoint, one layer at a time.

PiSSA's factors are those of the pre-trained weight W. A quantised base holds W_q = W + an error, whose own components
would be among the factors of W_q. So W is read from the files, factors are computed, and W is dropped before the next
layer: the two copies of the model are never in memory together.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from balora.adapters.checkpoint import FLOATS, checkpoint_folder, stored_name, stored_tensors
from balora.adapters.targets import is_quantised, shape_of, weight_of
from balora.errors import AdapterError, shown

logger = logging.getLogger(__name__)

FARTHEST = 0.3
"""How far ‖W_q − W‖ may be from 0, as a share of ‖W‖ (Frobenius norms): nf4 gives about 0.1 and int8 0.01, the weight
of another model 1 or more."""


class FullWeights:
    """The weights of a model's layers in full precision, whether the model holds them quantised or not."""

    def __init__(self, model: nn.Module, stored: Mapping[str, Any], named: str | None) -> None:
        """Args:
        model: without an adapter.
        stored: the open file of each tensor of its checkpoint.
        named: the source that the caller has named, which must then hold every weight; None: the model's own.
        """
        self.model, self.stored, self.named = model, stored, named
        self._has_warned = False

    def of(self, layer: nn.Linear | Conv1D, name: str) -> Tensor:
        """Return W (out×in) of the layer called ``name``, on the device of its weight.

        A quantised weight is read from the checkpoint. Where the model's own checkpoint does not hold it, a warning
        names the first such layer, and the dequantised weight stands in.

        Raises:
            AdapterError: the weight cannot be read, or a source that the caller has named does not hold it.
        """
        if not is_quantised(layer):
            return weight_of(layer, name)
        present = weight_of(layer, name)
        weight, fault = self._stored(layer, name, present)
        if weight is not None:
            return weight
        if self.named is not None:
            raise AdapterError(
                f"weights {shown(self.named)}: {fault}: give the folder of the model that the base was quantised from"
            )
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "balora: %s in full precision: starting factors are computed from dequantised weights, and hold the "
                "quantisation error; pass `weights`, the folder of the model that the base was quantised from",
                fault,
            )
        return present

    def _stored(self, layer: nn.Linear | Conv1D, name: str, present: Tensor) -> tuple[Tensor | None, str]:
        """Return W from the checkpoint, or None and why it is not there."""
        key = stored_name(f"{name}.weight", self.model, self.stored)
        if key is None:
            return None, f"layer {name} is not in the checkpoint"
        weight: Tensor = self.stored[key].get_tensor(key)
        if getattr(layer, "source_cls", None) is Conv1D:  # stored as in×out, and turned when it was quantised
            weight = weight.T
        if weight.dtype not in FLOATS or tuple(weight.shape) != shape_of(layer):
            return None, f"layer {name} is not in the checkpoint as {shape_of(layer)} numbers"
        weight = (weight.float() if weight.element_size() < 4 else weight).to(layer.weight.device)
        distance = float((present.to(weight.dtype) - weight).norm() / weight.norm().clamp_min(1e-30))
        if not distance <= FARTHEST:
            return (
                None,
                f"the weight of layer {name} differs from the quantised one by {100 * distance:.0f} %, so it is not",
            )
        return weight, ""


@contextmanager
def full_weights(model: nn.Module, source: str | os.PathLike[str] | None = None) -> Iterator[FullWeights]:
    """Inside, the weights of ``model`` can be read in full precision.

    Args:
        model: without an adapter.
        source: folder, or name in the Hub's cache, of the full-precision model; None: what the model was loaded from.

    Raises:
        AdapterError: there is no such folder.
    """
    named = None if source is None else os.fspath(source)
    if named is not None and checkpoint_folder(named) is None:
        raise AdapterError(f"weights {shown(named)}: no such folder, and no such model in the Hub's cache")
    with stored_tensors(model, named) as stored:
        yield FullWeights(model, stored, named)


def full_checkpoint(model: nn.Module, source: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the folder with the full-precision weights of a quantised ``model``; None where they are not there."""
    name = os.fspath(source) if source is not None else str(getattr(model, "name_or_path", "") or "")
    folder = checkpoint_folder(name)
    if folder is None:
        return None
    layers = [layer.removesuffix(".base_layer") for layer, module in model.named_modules() if is_quantised(module)]
    with stored_tensors(model, name) as stored:
        for layer in layers:
            key = stored_name(f"{layer}.weight", model, stored)
            if key is None or stored[key].get_tensor(key).dtype not in FLOATS:
                return None
    return folder
