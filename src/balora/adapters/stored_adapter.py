"""Read a LoRA that PEFT saved, and put it on a model exactly: every tensor has its place, and none is missing."""

import json
import math
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import peft
import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from balora.adapters.checkpoint import PREFIX, embedding_keys
from balora.adapters.config import is_plain_name
from balora.adapters.layer_patterns import fully_matching
from balora.adapters.offset import ADAPTER
from balora.errors import AdapterError, printable, shortened, shown
from balora.regular_files import SETTINGS_BYTES, open_regular, read_regular_text

UNREPEATABLE_INITS = ("pissa_niter", "corda", "loftq", "lora_ga")
"""Starts for which PEFT would change the base again when it loads the adapter, and otherwise than in training."""
LORA = ".lora_"
NAMED = 3
"""Most tensors that an error text names."""


def read_config(folder: Path) -> LoraConfig:
    """Return the configuration of the adapter in ``folder``; no expression in it has been matched yet.

    Raises:
        AdapterError: it is missing, no JSON, not of a LoRA, holds values that PEFT refuses, or would make PEFT import
            modules or change the base at random.
    """
    try:
        settings = json.loads(read_regular_text(folder / CONFIG_NAME, SETTINGS_BYTES))
        _check_settings(settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of settings that PEFT does not know, or that only matter in training
            config = PeftConfig.from_peft_type(**PeftConfig.check_kwargs(**settings))
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, TypeError, KeyError, AttributeError, ImportError, RecursionError) as error:
        reason = _one_line(error)
    else:
        config.inference_mode = True
        return config
    raise AdapterError(f"adapter folder {folder}: {CONFIG_NAME} cannot be used: {reason}")


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of the adapter in ``folder``.

    Raises:
        AdapterError: the file is missing, damaged or empty, or a tensor holds something else than finite numbers.
    """
    path = folder / SAFETENSORS_WEIGHTS_NAME
    try:
        os.close(open_regular(path))
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except OSError as error:
        raise AdapterError(f"{path.name}: {error.strerror or error}") from None
    except (SafetensorError, ValueError) as error:
        reason = _one_line(error)
        raise AdapterError(f"{path.name} is damaged ({reason}): copy or train the adapter again") from None
    if not tensors:
        raise AdapterError(f"{path.name} holds no tensors: copy or train the adapter again")
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise AdapterError(f"{printable(name)} holds {tensor.dtype}, not floating point")
        if not torch.isfinite(tensor.float() if tensor.element_size() == 1 else tensor).all():
            raise AdapterError(f"{printable(name)} holds values that are not finite: its training failed")
    return tensors


def put_on(model: nn.Module, folder: Path, *, drawn: Iterable[str] = ()) -> PeftModel:
    """Return ``model`` with the adapter in ``folder`` on it: PEFT's own layers, ready to compute.

    ``drawn`` names modules of the model that hold random numbers: the adapter must replace them.

    Raises:
        AdapterError: the adapter cannot be read or does not fit: a tensor is missing, has no place in the model, or has
            another shape. The model is then no longer of use.
    """
    config = read_config(folder)
    try:
        tensors = read_tensors(folder)
        _check_ranks(config, tensors)
        _resolve_expressions(config, model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PEFT warns of what it passes over; here that is refused below
            adapted = get_peft_model(model, config, adapter_name=ADAPTER)
        state = adapted.state_dict()
        own = set(get_peft_model_state_dict(adapted, state, ADAPTER, save_embedding_layers=False))
        _refuse_missing(name for name in own - tensors.keys() if LORA not in name)  # PEFT would raise a bare KeyError
        result = set_peft_model_state_dict(adapted, tensors, adapter_name=ADAPTER)
        _refuse_missing(name for name in result.missing_keys if LORA in name)
        allowed = own.union(embedding_keys(adapted))
        strangers = {name for name in tensors if LORA not in name} - allowed
        _refuse_unused(strangers.union(result.unexpected_keys))
        _refuse_drawn(adapted, drawn)
    except AdapterError as error:
        raise AdapterError(f"adapter folder {folder} does not fit the model: {error}") from None
    except Exception as error:  # damaged settings raise errors of every kind inside PEFT, without a common base
        raise AdapterError(f"adapter folder {folder} does not fit the model: {_one_line(error)}") from None
    return adapted


def _check_settings(settings: object) -> None:
    """Raise what makes the settings unusable, before PEFT reads them."""
    if not isinstance(settings, dict):
        raise ValueError(f"it holds {type(settings).__name__}, not settings")
    kind = settings.get("peft_type")
    if kind != "LORA":
        raise ValueError(f"peft_type is {shown(kind)}: only LoRA adapters can be checked to fit exactly")
    known = {field.name for field in fields(LoraConfig)}
    unknown = sorted(key for key, value in settings.items() if key not in known and value)
    if unknown:
        raise ValueError(f"PEFT {peft.__version__} does not know the setting {shown(unknown[0])}, and passes it over")
    if settings.get("megatron_config") is not None:
        raise ValueError("megatron_config would import a module that the file names: remove it")
    start = settings.get("init_lora_weights")
    if (isinstance(start, str) and start.lower().startswith(UNREPEATABLE_INITS)) or settings.get("kasa_config"):
        raise ValueError(
            f"init_lora_weights is {shown(start)}, for which PEFT would change the base otherwise than in training: "
            "save it again with PEFT's `path_initial_model_for_weight_conversion`, which makes it a plain LoRA"
        )
    _check_numbers(settings)
    for key in ("layers_pattern", "modules_to_save", "target_parameters"):
        value = settings.get(key) or ()
        for name in [value] if isinstance(value, str) else value:
            if not is_plain_name(name):
                raise ValueError(f"{key} holds {shown(name)}, which is no plain name: write the names of the modules")


def _check_numbers(settings: Mapping[str, Any]) -> None:
    """Raise ValueError for a rank or a scaling that is no number; PEFT would compute with it."""
    numbers = {key: settings[key] for key in ("r", "lora_alpha") if key in settings}
    for key in ("rank_pattern", "alpha_pattern"):
        patterns = settings.get(key) or {}
        if not isinstance(patterns, dict):
            raise ValueError(f"{key} holds {type(patterns).__name__}, not names and numbers")
        numbers |= {f"{key}.{name}": value for name, value in patterns.items()}
    for name, value in numbers.items():
        is_rank = name == "r" or name.startswith("rank_pattern")
        if not _is_number(value, int if is_rank else (int, float)):
            kind = "whole number" if is_rank else "finite number"
            raise ValueError(f"{printable(shortened(name))} is {shown(value)}, not a {kind}")


def _is_number(value: object, kind: Any) -> bool:
    try:
        return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _check_ranks(config: LoraConfig, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a rank that no tensor has, before PEFT makes room for it."""
    largest = max((side for tensor in tensors.values() for side in tensor.shape), default=0)
    rank = max(config.r, *config.rank_pattern.values(), 0)
    if rank > largest:
        raise AdapterError(f"{CONFIG_NAME} claims rank {rank}, but no tensor has a side longer than {largest}")


def _resolve_expressions(config: LoraConfig, model: nn.Module) -> None:
    """Replace the regular expressions of a configuration by the names of the modules that they match."""
    names = [name for name, _ in model.named_modules() if name]
    weights = [name for name, _ in model.named_parameters()]  # of experts in one tensor, PEFT adapts these
    config.rank_pattern = _of_names(config.rank_pattern, names + weights)
    config.alpha_pattern = _of_names(config.alpha_pattern, names + weights)
    if isinstance(config.target_modules, str) and config.target_modules != "all-linear":
        found = fully_matching(config.target_modules, names)
        if not found:
            raise AdapterError(f"target_modules {shown(config.target_modules)} selects no layer")
        config.target_modules = set(found)
    if isinstance(config.exclude_modules, str):
        config.exclude_modules = set(fully_matching(config.exclude_modules, names))


def _of_names(patterns: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the numbers by exact name for keys that are expressions; as in PEFT, the first key that matches counts."""
    resolved: dict[str, Any] = {}
    for key, number in patterns.items():
        matched = (
            [key] if is_plain_name(key) else [f"^{re.escape(n)}" for n in fully_matching(f"(.*\\.)?({key})", names)]
        )
        for name in matched:
            resolved.setdefault(name, number)
    return resolved


def _refuse_missing(names: Iterable[str]) -> None:
    missing = _listed(names)
    if missing:
        raise AdapterError(
            f"{SAFETENSORS_WEIGHTS_NAME} lacks {missing}, which {CONFIG_NAME} and this model need: give the whole "
            "adapter and the base that it was trained on"
        )


def _refuse_unused(names: Iterable[str]) -> None:
    unused = _listed(names)
    if unused:
        raise AdapterError(
            f"{SAFETENSORS_WEIGHTS_NAME} holds {unused}, for which {CONFIG_NAME} or this model has no place: give the "
            "adapter's own configuration and the base that it was trained on"
        )


def _refuse_drawn(adapted: PeftModel, parts: Iterable[str]) -> None:
    names = [name for name, _ in adapted.get_base_model().named_parameters()]
    replaced = (LORA, ".modules_to_save.", ".original_module.")
    random = _listed(
        name
        for name in names
        if name.startswith(tuple(f"{part}." for part in parts)) and not any(sign in name for sign in replaced)
    )
    if random:
        raise AdapterError(
            f"the base has random numbers in {random}, and the adapter brings no trained ones: the part was not saved "
            "along; name it in `modules_to_save` and train again"
        )


def _listed(names: Iterable[str]) -> str:
    """Return the first few names and how many there are, each as it stands in the file; '' for none."""
    found = sorted(name.removeprefix(PREFIX).replace(f".{ADAPTER}.", ".") for name in names)
    if not found:
        return ""
    first = ", ".join(printable(shortened(name)) for name in found[:NAMED])
    rest = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    return f"{len(found):,} tensor{'' if len(found) == 1 else 's'} ({first}{rest})"


def _one_line(error: BaseException) -> str:
    return printable(shortened(" ".join(str(error).split()) or type(error).__name__, 400))
