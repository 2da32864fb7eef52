"""Save trained weights before they are scored, so that a run that is killed while scoring need not be trained again.

A file in the user's cache, <cache>/trained/<id of the run>.safetensors, holds them until the run has a record. Its
header holds what training left beside the weights, and a digest of all of it.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from balora.errors import OutputError
from balora.folders import cache_folder, remove_older, remove_stale, written_whole
from balora.regular_files import is_regular
from balora.tasks.kept_answers import KeptAnswers

logger = logging.getLogger(__name__)

KEPT_SECONDS = 30 * 24 * 3600.0
"""How long the weights of a run that never comes back stay in the cache."""
FAULTS = (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the trained parameters of ``model``, by name."""
    return {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}


def put_back(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give the trained parameters of ``model`` the values in ``weights``."""
    with torch.no_grad():
        for name, parameter in weights_of(model).items():
            parameter.copy_(weights[name])


def trained_file(run_id: str) -> Path:
    """Return where the weights of the run ``run_id`` are saved between training and record."""
    return cache_folder() / "trained" / f"{run_id}.safetensors"


def answers_of(path: Path) -> KeptAnswers | None:
    """Return the kept answers of the model whose weights are in ``path``; None where no weights can be read there."""
    try:
        if not is_regular(path):
            return None
        with safe_open(path, framework="pt") as file:
            return KeptAnswers(_answers(path), file.metadata()["digest"])
    except FAULTS:
        return None


def save_trained(path: Path, model: nn.Module, left: Mapping[str, Any]) -> None:
    """Write the trained parameters, and what training ``left`` beside them; where that fails, training is not lost."""
    weights = {name: tensor.cpu().contiguous() for name, tensor in weights_of(model).items()}
    text = json.dumps(left)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(path.parent)
        remove_older(path.parent, KEPT_SECONDS)
        with written_whole(path) as partial:  # written tensor by tensor: no copy of all weights in memory
            save_file(weights, partial, {"left": text, "digest": _digest(weights, text)})
    except (OSError, OutputError, SafetensorError) as error:
        logger.warning("balora: %s cannot be written (%s): a run killed while scoring would train again", path, error)


def load_trained(path: Path, model: nn.Module, same: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give ``model`` the weights in ``path`` and return what training left beside them; None where they do not fit.

    Args:
        path: the file of the run (:func:`trained_file`).
        model: as it is before training.
        same: what must be in the file as it is now: the number of threads, say, on which some bits depend.
    """
    try:
        if not is_regular(path):
            return None
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- no mapping
        left = json.loads(header["left"])
        whole = header["digest"] == _digest(weights, header["left"])
    except FAULTS:
        whole = False
    if not whole:
        logger.warning("balora: %s was damaged: the run is trained again", path)
        discard(path)
        return None
    own = weights_of(model)
    fits = own.keys() == weights.keys() and all(own[name].shape == weights[name].shape for name in own)
    if not fits or any(left.get(key) != value for key, value in same.items()):
        return None
    put_back(model, weights)
    found: dict[str, Any] = left
    return found


def discard(path: Path) -> None:
    """Remove the weights of a run that has its record, and its answers."""
    for one in (path, _answers(path)):
        with suppress(OSError):
            one.unlink(missing_ok=True)


def _answers(path: Path) -> Path:
    return path.with_suffix(".answers.jsonl")


def _digest(weights: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(weights):
        tensor = weights[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
