"""Refuse a model whose base is not the pre-trained one any more: overwritten, merged, or made trainable."""

from collections.abc import Iterable

from peft import PeftModel, PeftType
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from balora.errors import AdapterError, shown

OVERWRITING_INITS = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Starts of a LoRA for which PEFT writes to the base weights (`pissa` also as `pissa_niter_N`)."""


def require_intact_base(model: nn.Module, modules: Iterable[nn.Module]) -> None:
    """Raise AdapterError unless ``model`` is a LoRA PeftModel that becomes the pre-trained one with adapters off."""
    if not isinstance(model, PeftModel):
        raise AdapterError(
            f"{type(model).__name__} has no adapter to switch off: full fine-tuning changes the base itself; take "
            "`balora.frozen_copy(model)` before training as the reference, or train an adapter with `attach`"
        )
    for name, config in model.peft_config.items():
        if config.peft_type != PeftType.LORA:
            raise AdapterError(
                f"adapter {shown(name)} is of type {config.peft_type.value}: only LoRA is known to be exact"
            )
        reason = _why_not_intact(config)
        if reason:
            raise AdapterError(
                f"adapter {shown(name)} has {reason}: without the adapter the model is not the pre-trained one; load "
                "the base again and use `attach`, which leaves it alone"
            )
    for module in modules:
        if isinstance(module, BaseTunerLayer) and module.merged:
            raise AdapterError(
                f"adapter {shown(module.merged_adapters[0])} is merged into the base: call `unmerge_adapter()` first, "
                "or load the base again (unmerging leaves a rounding error in it)"
            )


def _why_not_intact(config: object) -> str | None:
    """Return what in a LoraConfig makes PEFT change the base weights, if anything."""
    init = getattr(config, "init_lora_weights", True)
    if isinstance(init, str) and init.lower().startswith(OVERWRITING_INITS):
        return f"init_lora_weights={shown(init)}, for which PEFT overwrote the base with a residual"
    if getattr(config, "kasa_config", None) is not None:
        return "a kasa_config, for which PEFT truncated the base"
    if (bias := getattr(config, "bias", "none")) != "none":
        return f"bias={shown(bias)}, which trains biases of the base"
    if getattr(config, "layer_replication", None):
        return "layer_replication, which changed the base's layers"
    return None


def refuse_trainable_base(model: nn.Module) -> None:
    """Raise AdapterError where a parameter of the base would be trained.

    With the adapters off, PEFT has switched off the gradients of all their parameters: any other is the base's.
    """
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            raise AdapterError(
                f"{name} of the base is trainable, so the reference would move with training: freeze it, or name its "
                "module in `modules_to_save`, which trains a copy"
            )
