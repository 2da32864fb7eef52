"""Put the language-modelling head of a checkpoint on a classifier that was fine-tuned from it."""

from typing import Any, NamedTuple

import torch

from balora.tasks.silence import silence_transformers


class WithHead(NamedTuple):
    """A language model on a classifier's backbone: it shares its modules, adapters included."""

    model: Any
    is_masked: bool


def with_language_head(model: Any, source: str, *, trust_remote_code: bool = False) -> WithHead | str:
    """Return ``model``'s backbone under the language-modelling head of ``source``, or why there is none.

    The head is the *pre-trained* one, whatever training did to the backbone, so that the result shows what became of
    the backbone. No number is drawn from torch's global random state.

    Args:
        model: a sequence classifier, or a PeftModel of one.
        source: the folder or hub name that it was fine-tuned from.
        trust_remote_code: whether code that comes with the checkpoint is run.
    """
    from peft import PeftModel
    from transformers import AutoConfig

    base = model.get_base_model() if isinstance(model, PeftModel) else model
    backbone = base.base_model
    weight = base.get_input_embeddings().weight
    with silence_transformers(), torch.random.fork_rng(devices=[]):
        config = AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
        kind, is_masked = _kind(config)
        if kind is None:
            return f"{type(base).__name__} has no language-modelling head in transformers"
        options = {"use_safetensors": True, "trust_remote_code": trust_remote_code, "dtype": weight.dtype}
        language, found = kind.from_pretrained(source, output_loading_info=True, **options)
    if found["missing_keys"]:
        return f"the checkpoint has no language-modelling head ({min(found['missing_keys'])} is not in its files)"
    if type(language.base_model) is not type(backbone):
        return f"the head belongs on a {type(language.base_model).__name__}, not on a {type(backbone).__name__}"
    language = language.to(weight.device).requires_grad_(False).eval()
    setattr(language, language.base_model_prefix, backbone)
    return WithHead(language, is_masked)


def _kind(config: Any) -> tuple[Any, bool]:
    """Return transformers' class for the language model of this kind, and whether it predicts hidden tokens."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    if type(config) in AutoModelForMaskedLM._model_mapping and not getattr(config, "is_decoder", False):
        return AutoModelForMaskedLM, True
    return (AutoModelForCausalLM, False) if type(config) in AutoModelForCausalLM._model_mapping else (None, False)
