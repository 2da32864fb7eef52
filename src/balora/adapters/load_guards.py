"""Refuse to load half an adapter into an attached model, or to load one in a way that would not reach it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from peft import PeftModel
from peft.tuners.lora import LoraLayer
from peft.utils import hotswap
from torch import nn

from balora.adapters.factors import OffsetFactor
from balora.errors import AdapterError, shown

TRAINED = (".lora_", ".modules_to_save.")


def guard_loading(model: PeftModel) -> None:
    """Make every way of loading a state dict into ``model`` load all of an adapter or none of it.

    PEFT loads with `strict=False`: what a file lacks keeps its old values, what it has too much is dropped.
    """
    model.register_load_state_dict_pre_hook(_refuse_half)


def _refuse_half(model: Any, state_dict: dict[str, Any], prefix: str, *unused: Any) -> None:
    given = {key.removeprefix(prefix) for key in state_dict if key.startswith(prefix)}
    own = {key for key in model.state_dict() if any(part in key for part in TRAINED)}
    strangers = sorted(key for key in given - own if TRAINED[0] in key)
    if strangers:
        raise AdapterError(
            f"the state to load holds {strangers[0]}{_more(strangers)}, for which the attached model has no place: "
            "nothing was loaded; attach with the settings that it was trained with"
        )
    for adapter in model.peft_config:
        mine = {key for key in own if f".{adapter}." in key or key.endswith(f".{adapter}")}
        missing = sorted(mine - given)
        if missing and mine & given:
            raise AdapterError(
                f"the state to load lacks {missing[0]}{_more(missing)} of adapter {shown(adapter)}: nothing was "
                "loaded; load the whole adapter"
            )


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def guard_hotswap() -> None:
    """Make PEFT's hot-swapping refuse adapters in the offset form.

    It copies into `weight`, which such an adapter computes anew at every use: the copy would be dropped without an
    error. PEFT has no hook there, so the two functions that every way of hot-swapping calls are wrapped.
    """
    for name in ("hotswap_adapter_from_state_dict", "_pad_lora_weights"):
        function = getattr(hotswap, name)
        if not hasattr(function, "__wrapped__"):
            setattr(hotswap, name, _refusing_offset(function))


def _refusing_offset(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def guarded(model: nn.Module, *args: Any, **kwargs: Any) -> Any:
        for layer in model.modules():
            if isinstance(layer, LoraLayer) and any(isinstance(f, OffsetFactor) for f in layer.lora_A.values()):
                raise AdapterError(
                    "a model in the offset form cannot hot-swap adapters, since its factors are computed from their "
                    "start: load with `model.load_adapter(folder, name)`, or export it and hot-swap on a plain base"
                )
        return function(model, *args, **kwargs)

    return guarded
