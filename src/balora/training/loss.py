"""Compute the objective of one model on batches; trainers call this instead of the model's own loss."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from balora.adapters.reference import unwrap
from balora.adapters.sharding import is_deepspeed, is_sharded
from balora.errors import InputError, ModelError
from balora.objective import Objective, ObjectiveConfig
from balora.objective.config import chosen_objective
from balora.objective.terms import Terms
from balora.tasks.collate import NOT_FOR_THE_MODEL
from balora.training.class_labels import IGNORED_ROWS, Outputs, counted_labels
from balora.training.reference.keys import PACKED, ROW_KEYS
from balora.training.reference.reference_cache import ReferenceCache
from balora.training.rows import (
    CausalRows,
    Kind,
    Rows,
    base_of,
    classification_rows,
    family_of,
    model_kind,
    next_token_rows,
)

logger = logging.getLogger(__name__)

NOT_INPUTS = (*NOT_FOR_THE_MODEL, ROW_KEYS, IGNORED_ROWS, "num_items_in_batch", "use_cache")


class ModelLoss:
    """Turns a batch into the objective's terms for one model and its frozen reference.

    Args (of the constructor):
        model: the unwrapped model that is trained: a PeftModel, or a transformers model trained in full; DeepSpeed's
            engine is taken off.
        config: the objective; the name of a preset, for the model's family; or None for the task loss alone.
        reference: a frozen copy of the pre-trained model; needed for full fine-tuning with a consistency weight, where
            no adapter can be switched off (`frozen_copy`). None: the adapters of ``model`` switched off.
        label_smoothing: ε of the task's cross-entropy.
        reference_cache: cache of the reference's outputs, for batches with `row_keys`. None: it always runs.

    Raises:
        ModelError: a kind of model that cannot be trained, or a reference that is needed and not there.
        AdapterError: an adapter that cannot be switched off to get the pre-trained model back.
        ConfigError: an objective that there is not, or that is not defined on the model's labels.
    """

    def __init__(
        self,
        model: nn.Module,
        config: ObjectiveConfig | str | None,
        reference: nn.Module | None = None,
        *,
        label_smoothing: float = 0.0,
        reference_cache: ReferenceCache | None = None,
    ) -> None:
        from peft import PeftModel

        from balora.adapters.reference import ReferenceSwitch

        config = chosen_objective(config, family_of(model))
        model = unwrap(model) if is_deepspeed(model) else model
        self._switch = ReferenceSwitch(model)

        if config.needs_reference and reference is None:
            if not isinstance(model, PeftModel):
                raise ModelError(
                    "consistency needs the pre-trained model, and full fine-tuning overwrites it: pass "
                    "reference=frozen_copy(model), made before training, or set objective.consistency.weight to 0"
                )
            with self._switch.off():  # refuses here what it would refuse at the first step
                pass
        _refuse_router_loss(model)
        self.model, self.reference = model, reference
        self.objective = Objective(config, label_smoothing=label_smoothing)
        self.kind: Kind = model_kind(model)
        if self.kind == "classification":
            self.outputs().refuse_settings(config, label_smoothing)
        self._causal_rows = CausalRows(model, config) if self.kind == "causal" else None
        self.reference_cache = reference_cache
        self._warned_of_live_reference = False
        if self._causal_rows and self._causal_rows.fallback:
            self._warn_of_fallback(self._causal_rows.fallback)

    @property
    def config(self) -> ObjectiveConfig:
        """The objective's configuration."""
        return self.objective.config

    def __call__(
        self, model: nn.Module, inputs: Mapping[str, Any], progress: float = 0.0, *, norms: bool = False, step: int = 0
    ) -> tuple[Terms, int, dict[str, Tensor]]:
        """Return the batch's terms, its number of rows, and with ``norms`` λ·‖∂term/∂H‖ of each term.

        Args:
            model: what to call for the forward pass; ``self.model``, possibly wrapped for several devices.
            inputs: the model's inputs with `labels`, and `row_keys` where the reference's outputs may be reused.
            progress: share of the optimizer steps done.
            norms: whether to compare gradients at the backbone's last hidden state (costs a pass through the head a
                term).
            step: number of optimizer steps done, for `objective.consistency.every`.
        """
        if norms and is_deepspeed(model):  # it would take the gradient of one term for the backward pass
            *_, sizes = self(unwrap(model), inputs, progress, norms=True, step=step)
            return *self(model, inputs, progress, step=step)[:2], sizes
        objective = self._objective_at(step)
        needed = objective.config.needs_reference
        student, reference, labels = self.read(model, inputs, catch=norms, reference=needed)
        if student.hidden is not None:
            target = None if reference is None else reference.hidden
            reader = self.causal_rows()
            arguments = (student.hidden, target, reader.head, labels, progress)
            terms = objective.from_hidden(*arguments, readout=reader.readout)
            gradients = {}
            if norms and (len(labels) or objective.shares_rows()):
                gradients = objective.gradients_from_hidden(*arguments, readout=reader.readout)
            sizes = {name: torch.linalg.vector_norm(g.float()) for name, g in gradients.items()}
        else:
            logits = student.logits
            assert logits is not None
            target = None if reference is None else reference.logits
            multi_label = labels.ndim == 2 and self.outputs(labels).problem == "multi-label"
            terms = objective.from_logits(logits, target, labels, progress, multi_label=multi_label)
            at = student.at if student.at is not None else logits
            norms = norms and bool(len(labels) or objective.shares_rows() or is_sharded(self.model))  # all, or none
            sizes = gradient_norms(terms, at) if norms else {}
        if self.config.needs_reference and not needed:  # left out of this step only: it can act
            terms = replace(terms, inactive={key: why for key, why in terms.inactive.items() if key != "consistency"})
        return terms, len(labels), sizes

    def _objective_at(self, step: int) -> Objective:
        config = self.config.at_step(step)
        if config is self.config:
            return self.objective
        objective = copy(self.objective)  # shares the cache of the head
        objective.config = config
        return objective

    def read(
        self, model: nn.Module, inputs: Mapping[str, Any], *, catch: bool = False, reference: bool | None = None
    ) -> tuple[Rows, Rows | None, Tensor]:
        """Return the student's rows, the reference's (if needed, or as ``reference`` requires), and labels.

        Raises:
            InputError: a batch without labels, or a classifier's labels of another type, shape or range than it needs.
        """
        if inputs.get("labels") is None:
            raise InputError(f"the batch has no `labels`, only {', '.join(inputs)}: give each row its label or tokens")
        needed = self.config.needs_reference if reference is None else reference
        if self.kind == "causal":
            return self._read_causal(model, inputs, needed)
        labels, counted = counted_labels(inputs, self.outputs(inputs["labels"]))
        fed = _model_inputs(inputs)
        student = classification_rows(model, fed, catch=catch)
        frozen = Rows(logits=self._reference_outputs(inputs, lambda model: model(**fed).logits)) if needed else None
        if counted is not None:
            student, frozen = _at(student, counted), None if frozen is None else _at(frozen, counted)
        return student, frozen, labels

    def outputs(self, labels: Tensor | None = None) -> Outputs:
        """Return what a classifier's labels must fit; where its configuration does not say it, ``labels`` do."""
        return Outputs.of(base_of(self.model).config, labels)

    def notes(self) -> list[str]:
        """Return notes on properties of the model that cost memory or time."""
        fallback = self._causal_rows.fallback if self._causal_rows else None
        return [f"logits are materialised, since {fallback}"] if fallback else []

    def causal_rows(self) -> CausalRows:
        """Return the reader of a causal language model's rows."""
        assert self._causal_rows is not None
        return self._causal_rows

    def _read_causal(
        self, model: nn.Module, inputs: Mapping[str, Any], needed: bool
    ) -> tuple[Rows, Rows | None, Tensor]:
        reader, fed = self.causal_rows(), _model_inputs(inputs)
        counted, tokens = next_token_rows(inputs["labels"])
        known = reader.fallback
        student = reader.read(model, fed, counted)
        if reader.fallback is not None and reader.fallback != known:
            self._warn_of_fallback(reader.fallback)
        if not needed:
            return student, None, tokens
        if student.hidden is not None:
            hidden = self._reference_outputs(inputs, lambda model: reader.read(model, fed, counted).hidden)
            return student, Rows(hidden=hidden), tokens
        with self.frozen() as frozen:  # N×V logits are too many for a cache
            return student, reader.read(frozen, fed, counted), tokens

    def _reference_outputs(self, inputs: Mapping[str, Any], compute: Callable[[nn.Module], Any]) -> Tensor:
        """Return the reference's outputs for a batch: from the cache, or else live."""
        cache, keys = self.reference_cache, inputs.get(ROW_KEYS)
        outputs = None if cache is None else cache.of(keys, inputs["labels"].device)
        if outputs is None:
            with self.frozen() as frozen:
                outputs = compute(frozen)
            if cache is not None:
                cache.keep(keys, outputs)
                self._warn_of_live_reference(inputs)
        assert outputs is not None
        return outputs

    def _warn_of_live_reference(self, inputs: Mapping[str, Any]) -> None:
        if not self._warned_of_live_reference and any(name in inputs for name in PACKED):
            self._warned_of_live_reference = True
            logger.warning("balora: reference cache: packed rows never come again, their reference is computed live")

    @contextmanager
    def frozen(self) -> Iterator[nn.Module]:
        """Give the pre-trained model inside, without gradients and dropout."""
        if self.reference is not None:
            with torch.no_grad():
                yield self.reference.eval()
        else:
            with self._switch.off() as frozen:
                yield frozen

    def _warn_of_fallback(self, reason: str) -> None:
        logger.warning("balora: logits are materialised, since %s; this costs memory, not accuracy", reason)


def _at(rows: Rows, counted: Tensor) -> Rows:
    assert rows.logits is not None
    return rows._replace(logits=rows.logits[counted])


def _model_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in inputs.items() if name not in NOT_INPUTS}


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
