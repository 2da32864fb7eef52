"""Have accelerate share one model among processes by FSDP2 or DeepSpeed ZeRO, with transformers' own arguments."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.state import PartialState
from accelerate.utils import DistributedType, convert_outputs_to_fp32
from torch import nn
from transformers import TrainingArguments

from balora.training.launch_config import Strategy

PREFIXES = ("ACCELERATE_", "FSDP_")
"""Of the variables by which accelerate tells its later parts what it was given."""
AUTO = ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping")
"""What transformers fills in from its other arguments."""


def uses_deepspeed(strategy: Strategy) -> bool:
    """Whether DeepSpeed is the engine."""
    return strategy in ("zero2", "zero3")


def engine_arguments(strategy: Strategy, model: nn.Module) -> dict[str, Any]:
    """Return the arguments of `TrainingArguments` by which the processes share ``model``."""
    if strategy == "fsdp2":
        layers = layers_to_shard(model)
        return {
            "fsdp": True,
            "fsdp_config": {"version": 2} | ({"transformer_layer_cls_to_wrap": layers} if layers else {}),
        }
    if uses_deepspeed(strategy):
        stage = {"stage": int(strategy[-1])}
        return {"deepspeed": {"zero_optimization": stage, **dict.fromkeys(AUTO, "auto")}}
    return {}


def layers_to_shard(model: Any) -> list[str]:
    """Return the classes of ``model``'s layers that FSDP2 shards one by one, without those that hold the embeddings.

    accelerate (1.15) shards the embeddings once more, which fails where transformers counts them among the layers
    (BERT).
    """
    named = set(getattr(model, "_no_split_modules", None) or ())
    embeddings = model.get_input_embeddings()
    layers = [module for module in model.modules() if type(module).__name__ in named]
    outer = {type(layer).__name__ for layer in layers if any(part is embeddings for part in layer.modules())}
    return sorted({type(layer).__name__ for layer in layers} - outer)


def allow_cpu(arguments: TrainingArguments) -> None:
    """Let accelerate shard by FSDP2 on a CPU too, where it would train with DDP without a word.

    It asks for the kind of process group before it reads `fsdp`, and takes GPUs' only. Torch shards over gloo as well.
    """
    if arguments.fsdp_plugin_args is not None and arguments.device.type == "cpu":
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


def ready_for_deepspeed(strategy: Strategy) -> None:
    """Have DeepSpeed train on a CPU where there is no GPU.

    accelerate leaves it out if `ACCELERATE_USE_CPU` is set. And DeepSpeed would compile for minutes an operation of its
    own that sums in shared memory, while gloo sums too.
    """
    if uses_deepspeed(strategy) and not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
        import deepspeed  # type: ignore[import-not-found, import-untyped, unused-ignore]

        os.environ.pop("ACCELERATE_USE_CPU", None)
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def compute_in_bfloat16(model: nn.Module, device: torch.device) -> None:
    """Have ``model`` compute under autocast and return float32, as accelerate does to a model trained by DDP.

    Engines would cast the trained factors instead. Their distance from the start, which an adapter in the offset form
    computes, is smaller than the rounding of bfloat16.
    """
    autocast = torch.autocast(device.type, dtype=torch.bfloat16)
    model.forward = convert_outputs_to_fp32(autocast(model.forward))


def computes_itself(strategy: Strategy, precision: str) -> bool:
    """Whether a run calls :func:`compute_in_bfloat16`, in place of accelerate."""
    return strategy != "ddp" and precision == "bfloat16"


@contextmanager
def unchanged_variables() -> Iterator[None]:
    """Undo, on leaving, what accelerate has set in the environment: it would count for the process's next run."""
    before = {name: value for name, value in os.environ.items() if name.startswith(PREFIXES)}
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith(PREFIXES) and name not in before]:
            del os.environ[name]
        os.environ.update(before)
