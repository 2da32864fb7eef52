"""Define how the pre-trained model is loaded, the settings `model.…`, and tell them from its name; torch-free."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from balora.errors import shown
from balora.settings import Settings, SettingsError

GROUP, FIELD, NAME = "model", "loading", "name"
"""In settings the group `model` holds the name and the rest; a specification holds the rest in its field `loading`."""


class LoadingConfig(Settings):
    """How the pre-trained model is loaded; by default as its files hold it, in the number format of the training."""

    quantization: Literal["nf4", "int8"] | None = None
    """Hold the frozen linear layers in four bits (`nf4`, QLoRA) or eight (`int8`, LLM.int8), by bitsandbytes; the
    adapter is trained in floating point. Needs `balora[quantized]`."""
    double_quantization: bool = True
    """Hold the scales of `nf4` in eight bits too, as QLoRA does; it saves 0.4 bits a weight."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """Number format of the frozen weights and, on a quantised base, of the products; none: bfloat16 where an adapter
    is trained with `training.precision: bfloat16`, else float32."""
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"] | None = (
        Field(default=None)
    )
    """Which of transformers' implementations of attention computes; none: transformers' choice."""
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None = None
    """How accelerate spreads the layers over several GPUs; none: the whole model on one device."""

    @model_validator(mode="after")
    def _only_nf4_has_scales_to_quantise(self) -> Self:
        if not self.double_quantization and self.quantization != "nf4":
            raise ValueError(
                f"double_quantization: only nf4 has scales to quantise, got quantization {self.quantization!r}: leave "
                "it out"
            )
        return self

    def cannot_train_everything(self) -> str | None:
        """Return why full fine-tuning cannot train a model that is loaded so; None if it can."""
        if self.quantization is not None:
            return f"model.quantization: full fine-tuning would train weights that {self.quantization} holds as codes"
        if self.dtype not in (None, "float32"):
            return f"model.dtype: full fine-tuning in {self.dtype} would round small steps of the weights away"
        return None


def with_loading(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with the group `model` taken apart: its name as `model`, the rest as `loading`.

    Raises:
        SettingsError: the specification's own name of the group is used.
    """
    if FIELD in given:
        raise SettingsError([(FIELD, f"unknown key {FIELD!r}: did you mean {GROUP!r}, e.g. model.quantization?")])
    model = given.get(GROUP)
    if not isinstance(model, Mapping):
        return dict(given)
    rest = {key: value for key, value in model.items() if key != NAME}
    if model.get(NAME) is not None and not isinstance(model[NAME], str):
        raise SettingsError([(f"{GROUP}.{NAME}", f"expected a name, got {shown(model[NAME])}")])
    return {**given, GROUP: model.get(NAME), **({FIELD: rest} if rest else {})}


def public_key(key: str) -> str:
    """Return by what key settings give the field ``key`` of a specification: `model.…` for `loading.…`."""
    return f"{GROUP}{key.removeprefix(FIELD)}" if key == FIELD or key.startswith(f"{FIELD}.") else key
