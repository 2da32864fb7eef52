"""Name the wrappers and the sharded models that balora cannot read: their parameters are not whole on any process."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from balora.errors import AdapterError

ENGINES = {
    "DeepSpeedEngine": "pass its `.module`",
    "PipelineEngine": "balora does not read models in pipeline stages",
    "FullyShardedDataParallel": "use FSDP2 (`fully_shard`), which leaves the model its class",
}
"""Wrappers that are no part of the model, by the name of their class: they need not be installed here."""


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
        if hasattr(tensor, "ds_id"):
            raise AdapterError(f"a model partitioned by DeepSpeed ZeRO-3 cannot be {purpose}: {instead}")
