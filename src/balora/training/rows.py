"""From a batch to rows: which positions count, and the hidden states or logits of a model at them."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from balora.adapters.reference import unwrap
from balora.errors import ModelError

IGNORED = -100
SOFT_CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")
"""Names under which configurations keep the bound of their soft-capped logits."""
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

    Works where the output head is a plain frozen projection of the backbone's last hidden state. This is checked on
    the first batch (logits of the last position against head(hidden)); where it fails (soft-capped or scaled
    logits, a trained or adapted head), logits are materialised instead, and `fallback` says why.
    """

    def __init__(self, model: nn.Module) -> None:
        base = base_of(model)
        self.head: Any = base.get_output_embeddings()  # type: ignore[operator]
        self.fallback = self._obstacle(base)
        self._checked = False

    def _obstacle(self, base: Any) -> str | None:
        if type(self.head) is not nn.Linear:
            kind = type(self.head)
            return f"the output head is adapted or not a plain linear layer ({kind.__module__}.{kind.__name__})"
        if any(parameter.requires_grad for parameter in self.head.parameters()):
            return "the output head is trained"
        if base.base_model is base:
            return "the model has no backbone of its own"
        if "logits_to_keep" not in inspect.signature(base.forward).parameters:
            return "the model cannot leave out logits (no `logits_to_keep`)"
        capped = [name for name in SOFT_CAPS if getattr(base.config, name, None) is not None]
        if capped:  # by name, because small logits pass through a soft cap nearly unchanged
            return f"the logits are soft-capped (`{capped[0]}`)"
        return None

    def read(self, model: nn.Module, inputs: Mapping[str, Any], counted: Tensor) -> Rows:
        """Run ``model`` on ``inputs`` (without labels) and return its rows at the counted positions."""
        if self.fallback is None:
            autocast: list[bool] = []
            with _last_hidden_state(model, autocast) as caught:
                last = model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1]
            hidden = caught[0]
            if not self._checked:
                self._check(hidden, last, autocast[0])
            if self.fallback is None:
                return Rows(hidden=hidden[:, :-1][counted], at=hidden)
        with _last_hidden_state(model) as caught:
            logits = model(**inputs, use_cache=False).logits
        return Rows(logits=logits[:, :-1][counted], at=caught[0] if caught else None)

    def _check(self, hidden: Tensor, last: Tensor, autocast: bool) -> None:
        last = last.detach().double()
        with torch.no_grad():
            made = self.head(hidden[:, -1].to(self.head.weight.dtype)).double()
        if not (last.isfinite().all() and made.isfinite().all()):
            return  # the loss will say so; a later batch may decide
        half = autocast or min(torch.finfo(tensor.dtype).bits for tensor in (hidden, self.head.weight)) < 32
        if (made - last).abs().max() > (5e-2 if half else 1e-4) * last.abs().max():
            self.fallback = "the logits are not the head applied to the last hidden state (soft-capped or scaled?)"
        self._checked = True


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

    ``autocast`` gets whether a pass ran under autocast: accelerate switches it on inside, where nobody else sees it.
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
