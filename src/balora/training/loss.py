"""The objective of one model on batches: what trainers call instead of the model's own loss."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from balora.errors import InputError, ModelError
from balora.objective import Objective, ObjectiveConfig
from balora.objective.terms import Terms
from balora.training.reference_cache import Index, ReferenceLogits
from balora.training.rows import CausalRows, Kind, Rows, base_of, classification_rows, model_kind, next_token_rows

logger = logging.getLogger(__name__)

NOT_FOR_THE_MODEL = ("labels", "index", "num_items_in_batch", "use_cache")


class ModelLoss:
    """Turns a batch into the objective's terms for one model and its frozen reference.

    Args (of the constructor):
        model: the unwrapped model that is trained: a PeftModel, or a transformers model trained in full.
        config: the objective.
        reference: a frozen copy of the pre-trained model; needed for full fine-tuning with a consistency weight, where
            no adapter can be switched off (`frozen_copy`). None: the adapters of ``model`` switched off.
        label_smoothing: ε of the task's cross-entropy.

    Raises:
        ModelError: a kind of model that cannot be trained, or a reference that is needed and not there.
        AdapterError: an adapter that cannot be switched off to get the pre-trained model back.
    """

    def __init__(
        self,
        model: nn.Module,
        config: ObjectiveConfig,
        reference: nn.Module | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        from peft import PeftModel

        from balora.adapters import reference_of

        if config.needs_reference and reference is None:
            if not isinstance(model, PeftModel):
                raise ModelError(
                    "consistency needs the pre-trained model, and full fine-tuning overwrites it: pass "
                    "reference=frozen_copy(model), made before training, or set objective.consistency.weight to 0"
                )
            with reference_of(model):  # refuses here what it would refuse at the first step
                pass
        _refuse_router_loss(model)
        self.model, self.reference = model, reference
        self.objective = Objective(config, label_smoothing=label_smoothing)
        self.kind: Kind = model_kind(model)
        self._causal_rows = CausalRows(model) if self.kind == "causal" else None
        self.reference_logits = ReferenceLogits()
        if self._causal_rows and self._causal_rows.fallback:
            self._say_fallback(self._causal_rows.fallback)

    @property
    def config(self) -> ObjectiveConfig:
        """The objective's configuration."""
        return self.objective.config

    def __call__(
        self, model: nn.Module, inputs: Mapping[str, Any], progress: float = 0.0, *, norms: bool = False
    ) -> tuple[Terms, int, dict[str, Tensor]]:
        """Return the batch's terms, its number of rows, and with ``norms`` λ·‖∂term/∂H‖ of each term.

        Args:
            model: what to call for the forward pass; ``self.model``, possibly wrapped for several devices.
            inputs: the model's inputs with `labels`, and `index` where the reference's logits may be reused.
            progress: share of the optimizer steps done.
            norms: whether to compare gradients at the backbone's last hidden state (costs a pass through the head a
                term).
        """
        student, reference, labels = self.read(model, inputs, catch=norms)
        if student.hidden is not None:
            target = None if reference is None else reference.hidden
            arguments = (student.hidden, target, self.causal_rows().head, labels, progress)
            terms = self.objective.from_hidden(*arguments)
            found = self.objective.gradients_from_hidden(*arguments) if norms and len(labels) else {}
            return terms, len(labels), {name: torch.linalg.vector_norm(g.float()) for name, g in found.items()}
        logits = student.logits
        assert logits is not None
        terms = self.objective.from_logits(logits, None if reference is None else reference.logits, labels, progress)
        at = student.at if student.at is not None else logits
        return terms, len(labels), gradient_norms(terms, at) if norms and len(labels) else {}

    def read(
        self, model: nn.Module, inputs: Mapping[str, Any], *, catch: bool = False
    ) -> tuple[Rows, Rows | None, Tensor]:
        """Return the student's rows, the reference's (where the objective needs them), and the rows' labels.

        Raises:
            InputError: a batch without labels.
        """
        if inputs.get("labels") is None:
            raise InputError(f"the batch has no `labels`, only {', '.join(inputs)}: give each row its label or tokens")
        fed = {name: value for name, value in inputs.items() if name not in NOT_FOR_THE_MODEL}
        if self.kind == "causal":
            return self._read_causal(model, fed, inputs["labels"])
        student = classification_rows(model, fed, catch=catch)
        reference = (
            Rows(logits=self._reference_logits(fed, inputs.get("index"))) if self.config.needs_reference else None
        )
        assert student.logits is not None
        labels = inputs["labels"]
        # transformers' rule: one output is regression, whatever the type of its labels
        return student, reference, labels.float() if student.logits.shape[-1] == 1 else labels

    def notes(self) -> list[str]:
        """Return what was found about the model that costs memory or time."""
        fallback = self._causal_rows.fallback if self._causal_rows else None
        return [f"logits are materialised, since {fallback}"] if fallback else []

    def causal_rows(self) -> CausalRows:
        """Return the reader of a causal language model's rows."""
        assert self._causal_rows is not None
        return self._causal_rows

    def _read_causal(self, model: nn.Module, fed: dict[str, Any], labels: Tensor) -> tuple[Rows, Rows | None, Tensor]:
        reader = self.causal_rows()
        counted, tokens = next_token_rows(labels)
        known = reader.fallback
        student = reader.read(model, fed, counted)
        if reader.fallback is not None and reader.fallback != known:
            self._say_fallback(reader.fallback)
        if not self.config.needs_reference:
            return student, None, tokens
        with self.frozen() as frozen:
            return student, reader.read(frozen, fed, counted), tokens

    def _reference_logits(self, fed: dict[str, Any], index: Index) -> Tensor:
        known = self.reference_logits.of(index)
        if known is None:
            with self.frozen() as frozen:
                known = frozen(**fed).logits
            self.reference_logits.keep(index, known)
        return known

    @contextmanager
    def frozen(self) -> Iterator[nn.Module]:
        """Give the pre-trained model inside, without gradients and dropout."""
        from balora.adapters import reference_of

        if self.reference is not None:
            with torch.no_grad():
                yield self.reference.eval()
        else:
            with torch.no_grad(), reference_of(self.model):
                yield self.model

    def _say_fallback(self, reason: str) -> None:
        logger.warning("balora: logits are materialised, since %s; this costs memory, not accuracy", reason)


def _refuse_router_loss(model: nn.Module) -> None:
    """Raise ModelError for a mixture of experts whose own loss holds a part that would be left out here."""
    if getattr(base_of(model).config, "output_router_logits", False):
        raise ModelError(
            "the model adds a router loss to its own (`output_router_logits` in its configuration), which no balora "
            "objective holds: set model.config.output_router_logits = False to train without it"
        )


def gradient_norms(terms: Terms, at: Tensor) -> dict[str, Tensor]:
    """Return λ·‖∂term/∂at‖ of the task loss (λ = 1) and of every computed term."""
    norms = {}
    for name, value in terms.values().items():
        (gradient,) = torch.autograd.grad(value, at, retain_graph=True, allow_unused=True)
        size = at.new_zeros(()) if gradient is None else torch.linalg.vector_norm(gradient.float())
        norms[name] = size * terms.weights.get(name, 1.0)
    return norms
