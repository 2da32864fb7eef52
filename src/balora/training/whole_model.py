"""Give the first process a whole model to score and to save, also where each process trains a part of the weights."""

from copy import deepcopy

import torch
from torch import nn

from balora.adapters.sharding import whole


class WholeModel:
    """The trained model as a whole: the model itself, or where it is sharded a copy in the first process.

    Only trained parameters are gathered, one after the other: the rest of the copy is what it was before training.

    Args (of the constructor):
        trained: the model before it is trained.
        is_sharded: whether an engine will leave each process a part of its weights.
        is_first: whether this is the process that scores; it needs memory for the copy.
    """

    def __init__(self, trained: nn.Module, *, is_sharded: bool, is_first: bool) -> None:
        self._trained, self._is_sharded, self._is_first = trained, is_sharded, is_first
        self.model = deepcopy(trained) if is_sharded and is_first else trained
        """Of the first process, as it was at the last :meth:`refresh`."""

    def refresh(self) -> None:
        """Give the model the trained weights of this moment; every process must call this at the same step."""
        if not self._is_sharded:
            return
        own = dict(self.model.named_parameters()) if self._is_first else {}
        for name, parameter in self._trained.named_parameters():
            if parameter.requires_grad:
                gathered = whole(parameter).detach()
                if self._is_first:
                    with torch.no_grad():
                        own[name].copy_(gathered)
