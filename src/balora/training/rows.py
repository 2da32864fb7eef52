"""Select the rows of a batch that count, and read a model's hidden states or logits at them."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from balora.adapters.reference import unwrap
from balora.adapters.sharding import is_partitioned
from balora.errors import ModelError
from balora.objective import ObjectiveConfig
from balora.objective.readout import Readout
from balora.settings import Family
from balora.tasks.encoding import IGNORED

SOFT_CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
"""Names under which configurations hold the bound of their soft-capped logits."""
SCALES = ("logit_scale", "logits_scaling", "output_multiplier")
"""Names under which configurations hold a factor of their logits; some models multiply by it, others divide."""
Kind = Literal["causal", "classification"]


def model_kind(model: nn.Module) -> Kind:
    """Return how a transformers model (unwrapped) is trained.

    Raises:
        ModelError: neither a causal language model nor a sequence classifier.
    """
    name = type(base_of(model)).__name__
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        return "causal"
    if name.endswith("ForSequenceClassification"):
        return "classification"
    raise ModelError(f"cannot train {name}: give a …ForCausalLM or a …ForSequenceClassification model")


def family_of(model: nn.Module) -> Family:
    """Return the family of tasks that ``model`` is for; raises what :func:`model_kind` does."""
    return "nlg" if model_kind(model) == "causal" else "nlu"


def base_of(model: nn.Module) -> nn.Module:
    """Return the transformers model inside wrappers and a PeftModel, or the model itself."""
    from peft import PeftModel

    inner = unwrap(model)
    base: nn.Module = inner.get_base_model() if isinstance(inner, PeftModel) else inner
    return base


def next_token_rows(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return which positions t (B×(T−1), bool) predict a counted token, and those tokens (N).

    Logits at t predict token t+1, so position t counts if label t+1 is not −100: the first answer token is in, the
    position after the end is out (method.md §5).
    """
    following = labels[:, 1:]
    counted = following != IGNORED
    return counted, following[counted]


class Rows(NamedTuple):
    """A model's outputs at the counted positions; exactly one of the two is given."""

    hidden: Tensor | None = None
    """N×d states that the head is applied to."""
    logits: Tensor | None = None
    """N×D."""
    at: Tensor | None = None
    """The backbone's last hidden state (B×T×d), where gradients are compared."""


class CausalRows:
    """Reads a causal language model's hidden states at the counted positions, without computing their logits.

    Works where the output head is a plain frozen projection of the backbone's last hidden state, whose output may be
    scaled or soft-capped (``readout``). This is checked on the first batch (logits of the last position against
    those made from the hidden state); where it fails (a trained or adapted head, other logits, a soft cap under a
    term of the whole matrix), logits are materialised instead, and `fallback` gives the reason.
    """

    def __init__(self, model: nn.Module, config: ObjectiveConfig) -> None:
        base = base_of(model)
        self.head: Any = base.get_output_embeddings()  # type: ignore[operator]
        self.readout = Readout(soft_cap=_first(base, SOFT_CAPS))
        self._scales = [1.0]
        if scale := _first(base, SCALES):
            self._scales += [scale, 1 / scale]
        self.fallback = self._obstacle(base, config)
        self._checked = False

    def _obstacle(self, base: Any, config: ObjectiveConfig) -> str | None:
        if type(self.head) is not nn.Linear:
            kind = type(self.head)
            return f"the output head is adapted or not a plain linear layer ({kind.__module__}.{kind.__name__})"
        if any(parameter.requires_grad for parameter in self.head.parameters()):
            return "the output head is trained"
        if base.base_model is base:
            return "the model has no backbone of its own"
        if "logits_to_keep" not in inspect.signature(base.forward).parameters:
            return "the model cannot leave out logits (no `logits_to_keep`)"
        return self.readout.obstacle(config)

    def read(self, model: nn.Module, inputs: Mapping[str, Any], counted: Tensor) -> Rows:
        """Run ``model`` on ``inputs`` (without labels) and return its rows at the counted positions."""
        if self.fallback is None and is_partitioned(self.head.weight):
            self.fallback = "DeepSpeed ZeRO-3 gathers the output head for its own forward pass alone"
        if self.fallback is None:
            autocast: list[bool] = []
            with _last_hidden_state(model, autocast) as caught:
                last = model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1]
            if not caught:  # OPT calls the decoder inside it
                self.fallback = "the model passes by its own backbone"
            elif not self._checked:
                self._check(caught[0], last, autocast[0])
            if self.fallback is None:
                hidden = caught[0]
                return Rows(hidden=hidden[:, :-1][counted], at=hidden)
        with _last_hidden_state(model) as caught:
            logits = model(**inputs, use_cache=False).logits
        return Rows(logits=logits[:, :-1][counted], at=caught[0] if caught else None)

    def trust(self) -> None:
        """Take the logits to be made of the hidden state unchecked, where tensors have shapes and no values."""
        self._checked = True

    def _check(self, hidden: Tensor, last: Tensor, autocast: bool) -> None:
        last = last.detach().double()
        with torch.no_grad():
            made = self.head(hidden[:, -1].to(self.head.weight.dtype)).double()
        if not (last.isfinite().all() and made.isfinite().all()):
            return  # the loss will report it; a later batch may decide
        half = autocast or min(torch.finfo(tensor.dtype).bits for tensor in (hidden, self.head.weight)) < 32
        within = (5e-2 if half else 1e-4) * last.abs().max()
        readouts = [self.readout._replace(scale=scale) for scale in self._scales]
        self.readout = min(readouts, key=lambda readout: float((readout(made) - last).abs().max()))
        if (self.readout(made) - last).abs().max() > within:
            self.fallback = "the logits are not made from the last hidden state by the head, a factor and a soft cap"
        self._checked = True


def _first(base: Any, names: tuple[str, ...]) -> float | None:
    """Return the first number that the model's configuration holds under one of ``names``."""
    for name in names:
        value = getattr(base.config.get_text_config(decoder=True), name, None)
        if isinstance(value, (int, float)) and value:
            return float(value)
    return None


def classification_rows(model: nn.Module, inputs: Mapping[str, Any], *, catch: bool) -> Rows:
    """Run a sequence classifier; with ``catch``, also return its backbone's last hidden state."""
    if not catch:
        return Rows(logits=model(**inputs).logits)
    with _last_hidden_state(model) as caught:
        logits = model(**inputs).logits
    return Rows(logits=logits, at=caught[0] if caught else None)


@contextmanager
def _last_hidden_state(model: nn.Module, autocast: list[bool] | None = None) -> Iterator[list[Tensor]]:
    """Gather what the backbone inside ``model`` (wrapped or not) returns first in the forward passes made inside.

    ``autocast`` gets whether a pass ran under autocast: accelerate switches it on inside, invisibly from outside.
    """
    backbone: Any = base_of(model).base_model
    caught: list[Tensor] = []

    def catch(module: nn.Module, args: Any, output: Any) -> None:
        caught.append(output[0])
        if autocast is not None:
            autocast.append(torch.is_autocast_enabled(output[0].device.type))

    handle = backbone.register_forward_hook(catch)
    try:
        yield caught
    finally:
        handle.remove()
