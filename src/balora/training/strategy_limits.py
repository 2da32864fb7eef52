"""Refuse settings that a run cannot combine with the way in which its processes share the model; torch-free."""

from collections.abc import Iterator

from balora.errors import ConfigError, shown
from balora.training.launch_config import SHARDING
from balora.training.spec import RunSpec


def refuse_unshared(spec: RunSpec) -> None:
    """Raise ConfigError for the first setting of ``spec`` that its `launch.strategy` rules out, with the reason."""
    for setting, value, reason in _obstacles(spec):
        raise ConfigError(
            f"{setting} = {shown(value)}: {reason}, so it does not go with launch.strategy = "
            f"{shown(spec.launch.strategy)}: leave one of them out (strategy ddp has no such limit)"
        )


def _obstacles(spec: RunSpec) -> Iterator[tuple[str, object, str]]:
    """Yield the settings that the strategy rules out: key, value, reason."""
    strategy, training = spec.launch.strategy, spec.training
    if strategy == "ddp":
        return
    if spec.loading.quantization is not None:
        yield "model.quantization", spec.loading.quantization, "bitsandbytes' packed weights are not shared out"
    if not training.optimizer.startswith("adamw_torch"):
        yield "training.optimizer", training.optimizer, "bitsandbytes' optimizers hold their state for whole weights"
    if training.compile:
        yield "training.compile", True, "a compiled model was never run in parts"
    if training.checkpoint_every is not None:
        yield "training.checkpoint_every", training.checkpoint_every, "checkpoints hold whole weights and optimizers"
    for term, share in spec.objective.shares.items():
        yield f"objective.{term}.share", share, "λ is measured on a whole model"
        return
    if training.l2_start and strategy in SHARDING:
        yield (
            "training.l2_start",
            training.l2_start,
            "each process would hold the whole start of its part of the weights",
        )
    if spec.adapter is not None and spec.adapter.variant == "dora" and strategy == "zero3":
        yield (
            "adapter.variant",
            "dora",
            "DoRA reads factors outside of their layer, where DeepSpeed has not gathered them",
        )
