"""Load a model's linear layers in eight or four bits by bitsandbytes, or say in one line why they cannot be."""

import logging
from importlib.util import find_spec
from typing import Any

from balora.errors import ConfigError, ModelError, shown
from balora.training.spec import RunSpec

PACKAGE = "bitsandbytes"
INSTALL = "pip install 'balora[quantized]'"


def refuse_untrainable_model(spec: RunSpec) -> None:
    """Raise ConfigError where a run's model or optimizer needs what is not installed, or cannot be trained as it is."""
    reason = spec.loading.cannot_train_everything() if spec.adapter is None else None
    if reason is not None:
        raise ConfigError(f"{reason}: train an adapter (method ba-lora, pissa or lora), or leave the setting out")
    if spec.loading.quantization is not None:
        require_bitsandbytes("model.quantization", spec.loading.quantization)
    if "8bit" in spec.training.optimizer or "paged" in spec.training.optimizer:
        require_bitsandbytes("training.optimizer", spec.training.optimizer)


def require_bitsandbytes(setting: str, value: str) -> None:
    """Raise ConfigError, with the command that installs it, if bitsandbytes is not installed.

    Args:
        setting: that needs it.
        value: of the setting.
    """
    if find_spec(PACKAGE) is None:
        raise ConfigError(f"{setting}: {value!r} needs the package {PACKAGE}, which is not installed: {INSTALL}")


def quantization_options(spec: RunSpec, kind: Any, config: Any, dtype: Any) -> dict[str, Any]:
    """Return what `from_pretrained` needs to quantise the model of ``spec``; nothing where it is not to be.

    The output head of a language model stays in floating point, and so do all parts of a classifier that are new to it:
    they are trained.

    Args:
        spec: names the model and how it is loaded.
        kind: the class of transformers that loads it, e.g. AutoModelForCausalLM.
        config: the model's configuration.
        dtype: number format of what is not quantised, and of the products.

    Raises:
        ConfigError: bitsandbytes is not installed.
        ModelError: the files hold a quantised model already.
    """
    loading = spec.loading
    if loading.quantization is None:
        return {}
    require_bitsandbytes("model.quantization", loading.quantization)
    if getattr(config, "quantization_config", None) is not None:
        raise ModelError(
            f"model {shown(spec.model)}: its files hold quantised weights already: leave model.quantization out, or "
            "give the model that they were made from"
        )
    from transformers import BitsAndBytesConfig

    skipped = new_module_names(kind, config, spec.trust_remote_code) if spec.objective.family == "nlu" else None
    if loading.quantization == "int8":
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)  # it warns at every product
        chosen = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skipped)
    else:
        chosen = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=loading.quantization,
            bnb_4bit_use_double_quant=loading.double_quantization,
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=skipped,
        )
    return {"quantization_config": chosen}


def new_module_names(kind: Any, config: Any, trust_remote_code: bool) -> list[str]:
    """Return the names of a classifier's modules that are trained in full: all outside the backbone, and its pooler."""
    import torch

    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        model = kind.from_config(config, trust_remote_code=trust_remote_code)
    backbone = model.base_model
    heads = [name for name, child in model.named_children() if child is not backbone]
    return heads + [name for name, _ in model.named_modules() if name.endswith(".pooler")]


def check_stored_numbers(source: str, model: Any) -> None:
    """Raise ModelError if a weight that was quantised is not finite in the model's files: its codes would not show it.

    The files are read one tensor at a time.
    """
    import torch

    from balora.adapters.checkpoint import stored_name, stored_tensors
    from balora.adapters.targets import is_quantised

    with stored_tensors(model) as stored:
        for name, layer in model.named_modules():
            key = stored_name(f"{name}.weight", model, stored) if is_quantised(layer) else None
            if key is not None and not torch.isfinite(stored[key].get_tensor(key)).all():
                raise ModelError(
                    f"model {shown(source)}: weight {key} holds numbers that are NaN or infinite, which quantising "
                    "would hide: give a sound model"
                )


def loading_notes(spec: RunSpec, model: Any) -> list[str]:
    """Return the notes on how the model of a run was loaded."""
    from balora.adapters.targets import is_quantised

    loading, notes = spec.loading, []
    if loading.quantization is not None:
        layers = sum(is_quantised(module) for module in model.modules())
        double = " with double quantisation" if loading.quantization == "nf4" and loading.double_quantization else ""
        notes.append(
            f"the base holds {layers} layers in {loading.quantization}{double}: load it so for this adapter (--set "
            f"model.quantization={loading.quantization}); onto the full-precision base it is another model"
        )
    if spec.training.optimizer.startswith("paged") and next(model.parameters()).device.type == "cpu":
        notes.append(f"optimizer {spec.training.optimizer}: nothing is paged on a CPU")
    return notes


def refuse_shared_codes(model: Any, strategy: str) -> None:
    """Raise ModelError where the files of a model hold quantised weights, and processes are to share them out."""
    from balora.adapters.targets import is_quantised

    if strategy != "ddp" and any(is_quantised(module) for module in model.modules()):
        raise ModelError(
            f"launch.strategy = {shown(strategy)}: the model's files hold quantised weights, which are not shared out: "
            "leave it out (strategy ddp), or give the model that they were made from"
        )


def refuse_spread(model: Any) -> None:
    """Raise ModelError where a model to be trained lies on several devices, or partly on none."""
    places = sorted({str(place) for place in (getattr(model, "hf_device_map", None) or {}).values()})
    if len(places) > 1:
        raise ModelError(
            f"model.device_map: the layers lie on {', '.join(places)}, but a run trains on one device: leave it out, "
            "or set model.quantization so that the model fits one"
        )
