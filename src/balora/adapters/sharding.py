"""Gather what FSDP2 or DeepSpeed ZeRO-3 has sharded, and name the wrappers and models that balora cannot read."""

from collections.abc import Iterable
from itertools import chain

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from balora.errors import AdapterError

ENGINES = {
    "DeepSpeedEngine": "attach the adapter first, and give DeepSpeed the model that has it",
    "PipelineEngine": "balora does not read models in pipeline stages",
    "FullyShardedDataParallel": "use FSDP2 (`fully_shard`), which leaves the model its class",
}
"""Wrappers that are no part of the model, by the name of their class: they need not be installed here."""


def is_deepspeed(model: nn.Module) -> bool:
    """Whether ``model`` is DeepSpeed's engine around one, which need not be installed here."""
    names = [kind.__name__ for kind in type(model).__mro__ if kind.__module__.startswith("deepspeed.")]
    return "DeepSpeedEngine" in names and "PipelineEngine" not in names


def is_sharded(model: nn.Module) -> bool:
    """Whether FSDP2, tensor parallelism or ZeRO-3 has left this process a part of a parameter."""
    return any(isinstance(parameter, DTensor) or is_partitioned(parameter) for parameter in model.parameters())


def is_partitioned(tensor: Tensor) -> bool:
    """Whether ``tensor`` is a parameter of which DeepSpeed ZeRO-3 has left this process a part."""
    return hasattr(tensor, "ds_id")


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor, gathered where it is sharded: every process must then call this, in the same order."""
    if is_partitioned(tensor):
        from deepspeed.runtime.zero import GatheredParameters  # type: ignore[import-not-found, import-untyped, unused-ignore]

        with GatheredParameters([tensor]):
            return tensor.detach().clone()
    if not isinstance(tensor, DTensor):
        return tensor
    gathered: Tensor = tensor.full_tensor()
    return gathered


def is_first_process() -> bool:
    """Whether this process is the one that writes what all have gathered."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of ``model`` by their keys in a state dict, as they are; not the pairs of the offset form.

    A sharded model has no state dict with an adapter in that form: its start is whole, and its factors are not.
    """
    if not is_sharded(model):
        return dict(model.state_dict(keep_vars=True))
    return dict(chain(model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)))


def refuse_engine(model: nn.Module) -> None:
    """Raise AdapterError if ``model`` is an engine around the model and not the model.

    Raises:
        AdapterError: names the class, and what to pass in its place.
    """
    for kind in type(model).__mro__:
        if kind.__name__ in ENGINES and kind.__module__.startswith(("deepspeed.", "torch.distributed.")):
            raise AdapterError(f"the model is wrapped in a {type(model).__name__}: {ENGINES[kind.__name__]}")


def refuse_sharded(tensors: Iterable[Tensor], purpose: str, instead: str) -> None:
    """Raise AdapterError if one of ``tensors`` is only a part of itself on this process.

    Args:
        tensors: of a model.
        purpose: what cannot be done, e.g. "exported".
        instead: what to do instead.
    """
    for tensor in tensors:
        if isinstance(tensor, DTensor):
            raise AdapterError(f"a model sharded by FSDP2 or tensor parallelism cannot be {purpose}: {instead}")
        refuse_partitioned([tensor], purpose, instead)


def refuse_partitioned(tensors: Iterable[Tensor], purpose: str, instead: str) -> None:
    """Raise AdapterError if DeepSpeed ZeRO-3 has left this process a part of one of ``tensors``."""
    if any(map(is_partitioned, tensors)):
        raise AdapterError(f"a model partitioned by DeepSpeed ZeRO-3 cannot be {purpose}: {instead}")
