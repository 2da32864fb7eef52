"""Give back the pre-trained model inside a tuned one: the reference that the regularizers compare with."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn
from torch._dynamo.eval_frame import OptimizedModule
from torch.nn.parallel import DataParallel, DistributedDataParallel

from balora.adapters.intact_base import refuse_trainable_base, require_intact_base
from balora.adapters.sharding import is_deepspeed, refuse_engine


@contextmanager
def reference_of(model: nn.Module) -> Iterator[nn.Module]:
    """Inside, ``model`` computes exactly what the pre-trained model computes: the reference P, at no memory cost.

    Adapters are off and so are modules trained in full: a classification head is the *initial* one. The model is in
    evaluation mode (no dropout) and no gradient is recorded. On leaving, also by an exception, adapters, training
    modes and `requires_grad` flags are as they were; the context may be nested. The logits are those of the base bit
    for bit, before and after training, since the base is never written.

    ``model`` may be wrapped by DistributedDataParallel, DataParallel, torch.compile or DeepSpeed, or sharded by FSDP2.

    Raises:
        AdapterError: with the adapter off the model is not the pre-trained one: it has no adapter, its base was
            overwritten, merged or made trainable. Or an engine is passed in place of the model.
    """
    modules = list(model.modules())  # walked once: on a tiny model every walk is felt
    require_intact_base(unwrap(model), modules)
    switches = [module for module in modules if isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper)]
    parameters = [parameter for module in modules for parameter in module.parameters(recurse=False)]
    flags = [(parameter, parameter.requires_grad) for parameter in parameters]
    training = [module for module in modules if module.training]
    with ExitStack() as undo, torch.no_grad():
        undo.callback(_restore, flags, training)
        for module in training:
            module.training = False
        for switch in switches:
            if not switch.disable_adapters:
                undo.callback(switch.enable_adapters, True)
                switch.enable_adapters(False)
        if any(parameter.requires_grad for parameter in parameters):
            refuse_trainable_base(model)
        yield model


class ReferenceSwitch:
    """Makes one model the pre-trained one again and again, as :func:`reference_of` does, without walking it each time.

    The modules are gathered at the first use, with all checks of `reference_of`, and anew when adapters were added or
    removed, or a frozen parameter was made trainable. `requires_grad` flags are left alone: no gradient is recorded
    inside.
    """

    def __init__(self, model: nn.Module) -> None:
        unwrap(model)  # an engine is refused by its name, whatever is asked of it later
        self.model = model
        self._adapters: dict[str, int] = {}
        self._modules: list[nn.Module] = []
        self._switches: list[Any] = []
        self._frozen: list[tuple[dict[str, nn.Parameter | None], str]] = []

    @contextmanager
    def off(self) -> Iterator[nn.Module]:
        """Inside, the model is the pre-trained one.

        Raises:
            AdapterError: as :func:`reference_of`.
        """
        self._gather()
        training = [module for module in self._modules if module.training]
        switches = [switch for switch in self._switches if not switch.disable_adapters]
        try:
            with torch.no_grad():
                _put(training, "training", False)
                _put(switches, "_disable_adapters", True)  # `enable_adapters` would walk all parameters, twice a step
                yield self.model
        finally:
            _put(training, "training", True)
            _put(switches, "_disable_adapters", False)

    def _gather(self) -> None:
        inner = unwrap(self.model)
        adapters = {name: id(config) for name, config in getattr(inner, "peft_config", {}).items()}
        merged = any(isinstance(switch, BaseTunerLayer) and switch.merged for switch in self._switches)
        thawed = any(_is_trained(*place) for place in self._frozen)
        if self._modules and adapters == self._adapters and not merged and not thawed:
            return
        with reference_of(self.model):
            pass
        self._modules = list(self.model.modules())
        # where they are, not what they are: a reference would hold the whole weights after FSDP2 has put parts there
        every = [(module._parameters, name) for module in self._modules for name in module._parameters]
        self._frozen = [place for place in every if not _is_trained(*place)]
        self._switches = [m for m in self._modules if isinstance(m, BaseTunerLayer | AuxiliaryTrainingWrapper)]
        self._adapters = adapters


def _is_trained(parameters: dict[str, nn.Parameter | None], name: str) -> bool:
    parameter = parameters.get(name)
    return parameter is not None and parameter.requires_grad


def _put(modules: Iterable[nn.Module], name: str, value: bool) -> None:
    for module in modules:  # a module's own `__setattr__` searches its parameters and modules first: five times dearer
        object.__setattr__(module, name, value)


def frozen_copy(model: nn.Module) -> nn.Module:
    """Return an independent, frozen copy in evaluation mode: the reference of *full* fine-tuning.

    Full fine-tuning changes the base itself, so its reference needs a second model in memory; take the copy before
    training. With an adapter :func:`reference_of` needs none.
    """
    return deepcopy(unwrap(model)).requires_grad_(False).eval()


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model inside the wrappers of data parallelism and torch.compile.

    Raises:
        AdapterError: an engine that cannot be taken off (FSDP1, pipeline stages) is around it.
    """
    while True:
        if isinstance(model, DistributedDataParallel | DataParallel) or is_deepspeed(model):
            model = model.module  # type: ignore[assignment]
        elif isinstance(model, OptimizedModule):
            model = model._orig_mod
        else:
            refuse_engine(model)
            return model


def _restore(flags: list[tuple[nn.Parameter, bool]], training: list[nn.Module]) -> None:
    for parameter, required in flags:
        parameter.requires_grad_(required)
    for module in training:
        module.training = True
