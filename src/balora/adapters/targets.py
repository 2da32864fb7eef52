"""Choose the layers that get an adapter and the modules that are trained in full, before anything is written."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from peft.utils.integrations import dequantize_module_weight
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from balora.adapters.checkpoint import lacking
from balora.adapters.config import AdapterConfig
from balora.errors import AdapterError, shown, unknown_name

TASK_TYPES = {
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "ForQuestionAnswering": "QUESTION_ANS",
}
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Targets:
    """What `attach` will do to a model, by the full names of its modules."""

    layers: tuple[str, ...]
    """Linear layers that get an adapter."""
    patterns: tuple[str, ...]
    """Suffixes that select exactly these layers, for PEFT's `target_modules`."""
    full: tuple[str, ...]
    """Modules trained in full and saved along, for PEFT's `modules_to_save`."""
    task_type: str | None
    """PEFT's name of the model's task."""


def find_targets(model: nn.Module, config: AdapterConfig) -> Targets:
    """Return the layers that ``config`` selects in ``model``.

    Raises:
        AdapterError: a name matches nothing or something that is not linear, a weight is tied, or the rank is above
            min(out, in) of a layer.
    """
    full = (*new_parts(model), *_named(model, config.modules_to_save, "module to save"))
    _refuse_tied(model, full, "modules_to_save")
    if config.target_modules == "all-linear":
        layers = _all_linear(model, full)
        leaves = sorted({name.rpartition(".")[2] for name in layers})
        matched = [name for name in _matching(model, leaves) if not _inside(name, full)]
        patterns = tuple(leaves) if sorted(matched) == sorted(layers) else layers
    else:
        layers = _named_linear(model, config.target_modules, full)
        patterns = config.target_modules
    _refuse_tied(model, layers, "target_modules")
    for name in layers:
        limit = min(shape_of(model.get_submodule(name)))
        if config.rank > limit:
            raise AdapterError(
                f"`rank` must be between 1 and min(out, in) = {limit} of layer {name}, got {config.rank}: lower it, "
                "or leave this layer out of `target_modules`"
            )
    if config.variant == "dora":
        _refuse_dora_on_int8(model, layers)
    return Targets(layers, patterns, tuple(dict.fromkeys(full)), _task_type(model))


def is_quantised(layer: nn.Module) -> bool:
    """Return whether a layer holds its weight in bitsandbytes' four or eight bits."""
    return isinstance(layer, nn.Linear) and type(layer.weight).__name__ in ("Params4bit", "Int8Params")


def is_int8(layer: nn.Module) -> bool:
    """Return whether a layer holds its weight in bitsandbytes' eight bits."""
    return type(getattr(layer, "weight", None)).__name__ == "Int8Params"


def _refuse_dora_on_int8(model: nn.Module, layers: Iterable[str]) -> None:
    for name in layers:
        layer = model.get_submodule(name)
        if is_int8(layer) and layer.weight.device.type == "cpu":
            raise AdapterError(
                f"layer {name} holds eight-bit weights on a CPU, which PEFT's DoRA spoils at its first pass: set "
                "`variant` to 'lora' or 'rslora', or load the base in floating point or four bits"
            )


def _int8_weight(layer: nn.Linear | Conv1D) -> Tensor:
    """Return W = q·c/127 of an int8 layer, with the scale c of each row; the layer is not touched.

    PEFT's function replaces the layer's weight on a CPU, and after a forward pass, which moves the scales from the
    weight to the layer's state, the new one lacks them: the layer could not compute any more.
    """
    codes: Tensor = layer.weight.data
    scales = getattr(getattr(layer, "state", None), "SCB", None)
    scales = getattr(layer.weight, "SCB", None) if scales is None else scales
    return codes if scales is None else codes * scales.to(codes.device).float().view(-1, 1) / 127


def new_parts(model: nn.Module) -> tuple[str, ...]:
    """Return the parts of a classification model that do not come from pre-training.

    These are all parts beside the backbone, and the backbone's pooler if the checkpoint does not hold it: masked
    language models are saved without.
    """
    if not isinstance(model, PreTrainedModel) or model.get_output_embeddings() is not None:
        return ()
    backbone = model.base_model
    if backbone is model:
        return ()
    parts = [name for name, child in model.named_children() if child is not backbone]
    parts += [name for name, part in model.named_modules() if name.endswith(".pooler") and _is_drawn(model, name, part)]
    return tuple(name for name in parts if list(model.get_submodule(name).parameters()))


def _is_drawn(model: nn.Module, name: str, part: nn.Module) -> bool:
    return bool(lacking(model, [f"{name}.{parameter}" for parameter, _ in part.named_parameters()]))


def is_linear(module: nn.Module) -> bool:
    """Whether the module can be adapted: torch's Linear (or a quantised subclass) or GPT-2's Conv1D."""
    # torch's MultiheadAttention reads the weight of its out_proj without calling it: an adapter there would do nothing
    inert = isinstance(module, nn.modules.linear.NonDynamicallyQuantizableLinear)
    return isinstance(module, nn.Linear | Conv1D) and not inert


def shape_of(layer: nn.Linear | Conv1D) -> tuple[int, int]:
    """Return (out, in) of a linear layer."""
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    columns, rows = layer.weight.shape  # Conv1D stores the transpose
    return rows, columns


def weight_of(layer: nn.Linear | Conv1D, name: str) -> Tensor:
    """Return W as out×in, whichever way the layer stores it; quantised weights are dequantised by PEFT.

    Raises:
        AdapterError: the weight holds no values (meta device, sharded) or cannot be read as floating point numbers.
    """
    weight: Tensor = (_int8_weight(layer) if is_int8(layer) else dequantize_module_weight(layer)).detach()
    weight = weight.T if isinstance(layer, Conv1D) else weight
    if weight.is_meta or weight.dtype not in FLOATS or tuple(weight.shape) != shape_of(layer):
        raise AdapterError(
            f"every init but 'standard' needs the target weights' values, but {name} holds {weight.dtype} of shape "
            f"{tuple(weight.shape)} on {weight.device}: load the base in floating point, or set init to 'standard'"
        )
    return weight


def _all_linear(model: nn.Module, full: Iterable[str]) -> tuple[str, ...]:
    head = model.get_output_embeddings() if isinstance(model, PreTrainedModel) else None
    layers = tuple(
        name
        for name, module in model.named_modules()
        if is_linear(module) and module is not head and not _inside(name, full)
    )
    if not layers:
        raise AdapterError(f"{type(model).__name__} has no linear layer to adapt: name some in `target_modules`")
    return layers


def _named_linear(model: nn.Module, names: Iterable[str], full: Iterable[str]) -> tuple[str, ...]:
    layers = _named(model, names, "target module")
    for name in layers:
        module = model.get_submodule(name)
        if not is_linear(module):
            raise AdapterError(
                f"target module {shown(name)} is a {type(module).__name__}: only Linear and Conv1D layers can be "
                "adapted; leave it out of `target_modules`"
            )
        if _inside(name, full):
            raise AdapterError(
                f"target module {shown(name)} belongs to a part that is trained in full: leave it out of "
                "`target_modules`"
            )
    return layers


def _named(model: nn.Module, names: Iterable[str], kind: str) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        matches = _matching(model, [name])
        if not matches:
            linear = {full.rpartition(".")[2] for full, module in model.named_modules() if is_linear(module)}
            raise AdapterError(unknown_name(kind, name, linear))
        found += matches
    return tuple(dict.fromkeys(found))


def _matching(model: nn.Module, suffixes: Iterable[str]) -> list[str]:
    """Return the modules that PEFT would select: the name is a suffix, or ends in one after a dot."""
    endings = [("." + suffix) for suffix in suffixes]
    return [name for name, _ in model.named_modules() if name and ("." + name).endswith(tuple(endings))]


def _inside(name: str, parts: Iterable[str]) -> bool:
    return any(name == part or name.startswith(part + ".") for part in parts)


def _refuse_tied(model: nn.Module, names: Iterable[str], key: str) -> None:
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    for name in names:
        for parameter in model.get_submodule(name).parameters():
            others = [owner for owner in owners[id(parameter)] if not _inside(owner, [name])]
            if others:
                raise AdapterError(
                    f"a weight of {name} is shared with {others[0]}: training one would tear them apart when the "
                    f"adapter is merged; leave {name.rpartition('.')[2]} out of `{key}`"
                )


def _task_type(model: nn.Module) -> str | None:
    for ending, task_type in TASK_TYPES.items():
        if type(model).__name__.endswith(ending):
            return task_type
    if not isinstance(model, PreTrainedModel) or not model.can_generate():
        return None
    return "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
