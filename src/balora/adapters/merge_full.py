"""Merge an adapter that was trained on a quantised base into the full-precision weights, and measure what that changes.

The trained model computes (W_q + ΔW)·x, the merged one (W + ΔW)·x: the adapter has learnt beside the error W_q − W, and
is then used without it. How far the two are apart is measured on a batch, and not assumed to be small.
"""

import json
import logging
import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from torch import Tensor, nn

from balora.adapters.full_weights import full_checkpoint
from balora.adapters.stored_adapter import put_on
from balora.adapters.targets import new_parts
from balora.errors import AdapterError, shown

logger = logging.getLogger(__name__)

RECORD = "quantization.json"
"""The file beside a merged model that holds the measured difference."""


class Difference(NamedTuple):
    """How far the logits of two models are apart on a batch, padding left out."""

    rows: int
    largest: float
    """Of the absolute differences."""
    root_mean_square: float
    """Of the differences: √(mean (z' − z)²)."""
    spread: float
    """√(mean (z − mean z)²) of the first model's logits, without each row's mean: the size that counts."""

    def __str__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return (
            f"on {rows} its logits differ from the trained model's by up to {self.largest:.3g}, by "
            f"{self.root_mean_square:.3g} in the root mean square, where they spread by {self.spread:.3g}"
        )


def merged_onto_full(model: PeftModel, adapter: Path, weights: str | os.PathLike[str] | None = None) -> nn.Module:
    """Return the full-precision model with the exported ``adapter`` of ``model`` merged in; ``model`` is not changed.

    Raises:
        AdapterError: the full-precision weights are not there, or the vocabulary of ``model`` was resized.
    """
    base: Any = model.get_base_model()
    folder = full_checkpoint(base, weights)
    if folder is None:
        source = shown(os.fspath(weights) if weights is not None else getattr(base, "name_or_path", None))
        raise AdapterError(
            f"the base is quantised, and {source} does not hold its full-precision weights in safetensors: pass "
            "`weights`, the folder of the model that it was quantised from, or write the adapter with `export_adapter`"
        )
    config = deepcopy(base.config)
    for name in ("quantization_config", "_is_quantized"):
        if hasattr(config, name):
            delattr(config, name)
    with torch.random.fork_rng(devices=[]):  # a new head is drawn, and then replaced by the adapter's
        full, found = type(base).from_pretrained(
            folder,
            config=config,
            dtype=base.dtype,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    if found["mismatched_keys"]:
        name, stored, wanted = sorted(found["mismatched_keys"])[0]
        raise AdapterError(
            f"{name} of the quantised base is {tuple(wanted)}, but {tuple(stored)} in {folder}: a resized vocabulary "
            "cannot be merged onto the full-precision weights: write the adapter with `export_adapter`"
        )
    merged: nn.Module = put_on(full, adapter, drawn=new_parts(full)).merge_and_unload()
    return merged.eval()


def note_difference(model: nn.Module, merged: nn.Module, inputs: Mapping[str, Tensor] | None, folder: Path) -> None:
    """Compare the trained model with the merged one on ``inputs``; write the result to ``folder`` and warn of it."""
    found = None if inputs is None else difference_of(model, merged, inputs)
    text = "how far its logits are from the trained model's was not measured: no rows were given"
    logger.warning(
        "balora: the adapter was trained on a quantised base and is merged into the full-precision weights, which is "
        "another model: %s",
        text if found is None else found,
    )
    content = {"merged_onto": "full-precision weights", "difference": None if found is None else found._asdict()}
    (folder / RECORD).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@torch.no_grad()
def difference_of(model: nn.Module, other: nn.Module, inputs: Mapping[str, Tensor]) -> Difference:
    """Return how far the logits of ``other`` are from those of ``model``, in evaluation mode, on ``inputs``."""
    training, where = model.training, next(model.parameters()).device
    first = _counted(model.eval()(**{name: value.to(where) for name, value in inputs.items()}).logits, inputs)
    model.train(training)
    place = next(other.parameters()).device
    second = _counted(other.eval()(**{name: value.to(place) for name, value in inputs.items()}).logits, inputs)
    change = second.to(first.device) - first
    centred = first - first.mean(dim=-1, keepdim=True) if first.shape[-1] > 1 else first
    return Difference(
        rows=len(inputs["input_ids"]),
        largest=float(change.abs().max()),
        root_mean_square=float(change.square().mean().sqrt()),
        spread=float(centred.square().mean().sqrt()),
    )


def _counted(logits: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return logits as rows×outputs, without those of padding."""
    mask = inputs.get("attention_mask")
    if logits.ndim == 2 or mask is None:
        return logits.double().flatten(0, -2)
    return logits[mask.to(logits.device).bool()].double()
