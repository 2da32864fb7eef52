"""Put the adapters of PEFT models into the offset form, also those that are added later."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from peft import LoraModel, PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from balora.adapters.factors import OffsetA, OffsetB
from balora.adapters.load_guards import guard_hotswap

ADAPTER = "default"
"""The name under which `attach` puts the adapter, PEFT's own."""


class OffsetTuner(LoraModel):  # type: ignore[misc]
    """PEFT's LoRA model that gives a second adapter with the *same* configuration object the offset form too.

    TRL's preference trainers do this: they add a frozen adapter `ref` with the configuration of `default`, copy the
    trained tensors into it by name, and use it as the reference. Any other added adapter stays a plain LoRA.
    """

    def inject_adapter(self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any) -> None:
        super().inject_adapter(model, adapter_name, *args, **kwargs)
        config = self.peft_config[adapter_name]
        twins = [name for name in offset_adapters(model) if self.peft_config[name] is config]
        for layer in lora_layers(model).values() if twins else ():
            put_offset(layer, adapter_name, layer.lora_A[twins[0]].origin, layer.lora_B[twins[0]].origin)


def make_offset(model: PeftModel, factors: Mapping[str, tuple[Tensor, Tensor]]) -> None:
    """Give the adapter of a new PeftModel the offset form, started at the factors (A0, B0) named by layer."""
    for name, layer in lora_layers(model.get_base_model()).items():
        put_offset(layer, ADAPTER, *factors[name])
    # PEFT has no way to hand in a LoraModel of one's own; assigning the class is how torch's own FSDP2 extends modules
    model.base_model.__class__ = OffsetTuner
    guard_hotswap()


def put_offset(layer: LoraLayer, adapter: str, A0: Tensor, B0: Tensor) -> None:
    """Replace the factors of one adapter of one layer by a pair in the offset form, started at (A0, B0)."""
    device, active = layer.lora_A[adapter].weight.device, adapter in layer.active_adapters
    for factors, start in ((layer.lora_A, OffsetA(A0)), (layer.lora_B, OffsetB(B0))):
        factors[adapter] = start.to(device).requires_grad_(active).train(layer.training)
    refresh_magnitude(layer, adapter)


def refresh_magnitude(layer: LoraLayer, adapter: str) -> None:
    """Set DoRA's magnitude to the norms of W + ΔW in the precision of the factors, as its forward computes them.

    PEFT takes them in the precision of the base: on a bfloat16 base every output would start up to 0.4 % off.
    """
    if adapter not in layer.lora_magnitude_vector:
        return
    magnitude, A, B = layer.lora_magnitude_vector[adapter], layer.lora_A[adapter], layer.lora_B[adapter]
    trainable = magnitude.weight.requires_grad
    with torch.no_grad():
        magnitude.update_layer(
            base_layer=layer.get_base_layer(), lora_A=A.weight, lora_B=B.weight, scaling=layer.scaling[adapter]
        )
    magnitude.weight.requires_grad_(trainable)


def lora_layers(model: nn.Module) -> dict[str, LoraLayer]:
    """Return the LoRA layers of a model by their full names."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def offset_modules(model: nn.Module, adapter: str) -> Iterator[tuple[str, OffsetA | OffsetB]]:
    """Yield the factors of an adapter that are in the offset form, with their full names."""
    for name, module in model.named_modules():
        if isinstance(module, OffsetA | OffsetB) and name.endswith(f".{adapter}"):
            yield name, module


def offset_adapters(model: nn.Module) -> list[str]:
    """Return the names of the adapters in the offset form."""
    names = (key for layer in lora_layers(model).values() for key in layer.lora_A if _is_offset(layer.lora_A[key]))
    return list(dict.fromkeys(names))


def _is_offset(factor: nn.Module) -> bool:
    return isinstance(factor, OffsetA)
