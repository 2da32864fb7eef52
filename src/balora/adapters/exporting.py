"""Write a tuned model for others: a plain LoRA folder, or the whole model with the adapter merged in."""

import os
import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from peft import PeftModel, get_peft_model_state_dict
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from balora.adapters.checkpoint import PREFIX, changed_tensors, embedding_keys
from balora.adapters.intact_base import require_intact_base
from balora.adapters.merge_full import merged_onto_full, note_difference
from balora.adapters.model_names import shared_name
from balora.adapters.offset import offset_modules
from balora.adapters.reference import unwrap
from balora.adapters.sharding import is_first_process, is_sharded, refuse_sharded, tensors_of, whole
from balora.adapters.targets import is_quantised
from balora.errors import AdapterError, OutputError, shown
from balora.folders import claim_output, staged

CONFIG_NAME = "adapter_config.json"
ADAPTER_FIRST = "export the adapter on every process with `export_adapter`, and merge it into its base on one"


class Tokenizer(Protocol):
    """What `export_merged` needs of a tokenizer."""

    def save_pretrained(self, save_directory: str) -> object: ...


def export_adapter(model: nn.Module, folder: str | os.PathLike[str]) -> Path:
    """Write the active adapter as a plain LoRA that PEFT loads onto the untouched base.

    The folder holds `adapter_model.safetensors` and `adapter_config.json`, modules trained in full (classification
    heads) included. An adapter in the offset form becomes the rank-2r pair [P, B0]·[A; Q] (see
    :mod:`balora.adapters.factors`), which stays accurate when a server casts it to half precision; tensors are written
    in the precision they were trained in. It is for use, not for resuming: resume from a Trainer checkpoint.

    The base is compared with its checkpoint (:func:`balora.adapters.checkpoint.changed_tensors`). If its embeddings
    differ, since the vocabulary was resized or rows were set, they are written along, and PEFT loads them onto a base
    that was resized alike. The file names the base by its name alone, whatever folder it lies in.

    The folder appears complete or not at all; it must be new or empty. Of a model that FSDP2 or DeepSpeed ZeRO-3 has
    sharded, every process must call this: the parameters are gathered one by one, and the first process writes.

    Raises:
        AdapterError: the adapter alone does not describe the tuned model (overwritten or merged base, several active,
            another weight of the base that differs from its checkpoint).
        OutputError: the folder holds something else or cannot be written.
    """
    adapted, adapter = _exportable(model)
    config = deepcopy(adapted.peft_config[adapter])
    config.inference_mode = True
    if isinstance(config.target_modules, set):
        config.target_modules = sorted(config.target_modules)  # a set would be written in another order each time
    config.base_model_name_or_path = shared_name(config.base_model_name_or_path)
    state = _adapter_state(adapted, adapter)
    if is_sharded(adapted) and not is_first_process():
        return Path(folder)

    def write(target: Path) -> None:
        save_file(state, target / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
        config.save_pretrained(str(target))
        # safetensors leaves the file readable by its owner only; a server may run as someone else
        shutil.copymode(target / CONFIG_NAME, target / SAFETENSORS_WEIGHTS_NAME)

    return _publish(Path(folder), write)


def export_merged(
    model: nn.Module,
    folder: str | os.PathLike[str],
    tokenizer: Tokenizer | None = None,
    *,
    inputs: Mapping[str, Tensor] | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> Path:
    """Write the whole model with the active adapter merged into its weights; ``model`` itself is not changed.

    Works on a copy, so it needs memory for a second model. The merged weights have the precision of the base: on a
    half-precision base small changes are rounded away, which an exported adapter avoids.

    Codes of four or eight bits cannot hold a small change of a weight. So the adapter of a quantised base is merged
    into the full-precision weights, which makes it another model than the trained one: `quantization.json` in the
    folder, and a warning, hold how far its logits are from the trained model's (:mod:`balora.adapters.merge_full`).

    Args:
        model: an attached model.
        folder: new or empty.
        tokenizer: written along.
        inputs: of a quantised base, the batch (`input_ids`, …) on which the two models are compared, if any.
        weights: of a quantised base, folder (or name in the Hub's cache) of the full-precision model; none: what the
            base was loaded from.

    Raises:
        AdapterError, OutputError: as :func:`export_adapter`; the model is sharded; the full-precision weights of
            a quantised base are not there.
    """
    adapted, adapter = _exportable(model)
    refuse_sharded(adapted.parameters(), "merged", ADAPTER_FIRST)
    quantised = any(is_quantised(module) for module in adapted.modules())

    def write(target: Path) -> None:
        merged: Any
        if quantised:
            with TemporaryDirectory(prefix="balora-") as scratch:
                exported = export_adapter(adapted, Path(scratch) / "adapter")
                merged = merged_onto_full(adapted, exported, weights)
            note_difference(adapted, merged, inputs, target)
        else:
            merged = deepcopy(adapted).merge_and_unload(adapter_names=[adapter])
        merged.save_pretrained(str(target))
        if tokenizer is not None:
            tokenizer.save_pretrained(str(target))

    return _publish(Path(folder), write)


def _exportable(model: nn.Module) -> tuple[PeftModel, str]:
    adapted = unwrap(model)
    require_intact_base(adapted, adapted.modules())
    assert isinstance(adapted, PeftModel)
    active = adapted.active_adapters
    if len(active) != 1:
        raise AdapterError(
            f"one adapter can be exported, but {len(active)} are active ({', '.join(active) or 'none'}): choose one "
            "with `set_adapter`, or combine them with `add_weighted_adapter`"
        )
    return adapted, active[0]


def _adapter_state(model: PeftModel, adapter: str) -> dict[str, Tensor]:
    state = tensors_of(model)
    for name, factor in offset_modules(model, adapter):
        for half in ("trained", "origin"):  # which a state dict has in the pair alone
            state.pop(f"{name}.{half}", None)
        state[f"{name}.weight"] = factor.weight_of(whole(factor.trained))
    # PEFT's "auto" would search the Hub, and sees a changed number of rows but no changed row
    chosen = get_peft_model_state_dict(model, state_dict=state, adapter_name=adapter, save_embedding_layers=False)
    chosen |= {key: state[key] for key in _embeddings_to_save(model)}
    return {name: whole(tensor).detach().cpu().contiguous().clone() for name, tensor in chosen.items()}


def _embeddings_to_save(model: PeftModel) -> list[str]:
    """Return the keys of the embeddings that differ from the checkpoint; refuse any other weight that does."""
    changed = changed_tensors(model)
    if not changed:
        return []
    state = tensors_of(model)
    embeddings = embedding_keys(model)
    shared = {id(state[key]) for key in embeddings}
    others = [key for key in changed if id(state[key]) not in shared]
    if others:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        source = shared_name(getattr(model.get_base_model(), "name_or_path", None))
        raise AdapterError(
            f"{others[0].removeprefix(PREFIX)}{more} of the base differs from its checkpoint {shown(source)}, "
            "and an adapter would leave it behind: write the whole model with `export_merged`, or name the module in "
            "`modules_to_save` before training"
        )
    return embeddings


def _publish(folder: Path, write: Callable[[Path], None]) -> Path:
    """Fill a sibling of ``folder`` and give it the name at the end: complete or not at all."""
    claim_output(folder, kind="export")
    try:
        with staged(folder) as fresh:
            write(fresh)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"output folder {folder}: cannot be written ({error}): free some space or choose another"
        ) from error
    return folder
