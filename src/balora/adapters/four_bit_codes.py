"""Keep bitsandbytes from rewriting a base of four bits: on some processors a forward pass does so."""

from torch import nn

from balora.errors import AdapterError

FLAG, PACKED = "support_avx512bf16_for_cpu", "packing_format_for_cpu"


def keep_codes(model: nn.Module) -> None:
    """Let every four-bit layer of ``model`` compute from the codes that it has, on any processor.

    On one with bfloat16 instructions (AVX512-BF16), the first forward pass in evaluation mode rearranges the codes for
    another kernel, in place, and rounds their scales to bfloat16 (bitsandbytes 0.50, `Linear4bit.forward`). The layer
    then computes something else in evaluation than in training, is no longer the base that was loaded, and fails where
    its rows are no multiple of 32. There is no switch for it but the layer's own flag.

    Raises:
        AdapterError: a layer was rearranged already, which cannot be undone exactly.
    """
    for name, layer in model.named_modules():
        if not hasattr(layer, FLAG):
            continue
        if getattr(getattr(layer.weight, "quant_state", None), PACKED, False):
            raise AdapterError(
                f"{name}: a forward pass in evaluation mode has rearranged its four-bit weights and rounded their "
                "scales (bitsandbytes does so on this processor): load the model anew, and attach before its first use"
            )
        setattr(layer, FLAG, False)
