"""Compute the objective L = L_task + λ1·consistency + λ2·diversity + λ3·spectral."""

import torch
from torch import Tensor, nn

from balora.errors import ConfigError, InputError, shown
from balora.objective.config import ObjectiveConfig
from balora.objective.everywhere import Everywhere, is_shared
from balora.objective.head import FrozenHead, HeadCache
from balora.objective.inactive import SMOOTHS_NOTHING, inactive_terms
from balora.objective.readout import PLAIN, Readout
from balora.objective.regularizers import REGULARIZERS, given, whole_matrix_terms
from balora.objective.schedule import weight_at
from balora.objective.task_loss import check_labels, task_loss
from balora.objective.terms import Terms
from balora.objective.vocabulary import parts_from_hidden


class Objective:
    """Computes the configured loss from logits, or, without ever holding them, from hidden states and a frozen head.

    The two ways agree. Means are over the rows given; a trainer that splits a step into micro-batches multiplies each
    loss by its share of the step's rows, which makes token means exact and weights the terms that need the whole matrix
    (covariance, spectrum) by their rows (method.md §5). With `config.scope` "global" these terms are computed from the
    rows of all processes of torch's process group: every process must then call the same methods in the same order.
    """

    def __init__(
        self, config: ObjectiveConfig, *, label_smoothing: float = 0.0, chunk_bytes: int | None = None
    ) -> None:
        """Raises ConfigError for anything but an ObjectiveConfig.

        Args:
        config: what to compute.
        label_smoothing: ε of the task's cross-entropy, 0 ≤ ε < 1 (:func:`balora.objective.task_loss.task_loss`).
        chunk_bytes: memory for the logits of one chunk of rows in `from_hidden`; by default what the device allows
            (:meth:`balora.objective.rowwise.Chunks.of`).
        """
        if not isinstance(config, ObjectiveConfig):
            raise ConfigError(
                f"Objective: expected an ObjectiveConfig, got {shown(config)}: make one with "
                "ObjectiveConfig.preset(name, family='nlg' or 'nlu'); the preset 'none' is the task loss alone"
            )
        self.config = config
        self.label_smoothing = label_smoothing
        self.chunk_bytes = chunk_bytes
        self._heads = HeadCache()

    def weights_at(self, progress: float) -> dict[str, float]:
        """Return λ of every regularizer at ``progress`` (share of steps done).

        Raises:
            ConfigError: a λ is still to be set from a share of the gradient.
        """
        refuse_shares(self.config)
        return {name: weight_at(term.weight, term.schedule, progress) for name, term in self.config.terms().items()}

    def from_logits(
        self,
        student: Tensor,
        reference: Tensor | None,
        labels: Tensor,
        progress: float = 0.0,
        *,
        multi_label: bool = False,
    ) -> Terms:
        """Return the terms of one batch.

        Args:
            student: N×D logits of the model being tuned; rows valid and aligned with their labels.
            reference: N×D logits of the frozen model; may be None when consistency has no weight.
            labels: N class or token indices, N floats for regression, or N×D floats where every output has its own
                label: for these the regularizers are not defined, so no weight may be set.
            progress: share of the optimizer steps done, 0…1.
            multi_label: whether N×D labels are probabilities, one a class; otherwise they are regressed on.

        Raises:
            InputError: shapes that do not fit, a missing reference, labels out of range, K above the vocabulary, a
                regularizer's weight with N×D labels.
        """
        _check_rows(student, reference, labels)
        if labels.ndim == 2:
            refuse_regularizers(self.config, "labels of one number an output")
        everywhere = self._everywhere(student)
        weights, inactive = self._acting(student.shape[0], student.shape[1], progress, everywhere)
        if self.label_smoothing and labels.is_floating_point():
            inactive["label_smoothing"] = SMOOTHS_NOTHING
        if not len(student) and not weights:
            return self._terms(student.sum(), {"task": student.sum().detach()}, {}, inactive)
        parts = {"task": student.sum()}
        if len(student):
            parts["task"] = task_loss(student, labels, self.label_smoothing, multi_label=multi_label)
        shared = [] if everywhere is None else [term for term in whole_matrix_terms(self.config) if term in weights]
        everyone = everywhere.gathered(student) if everywhere is not None and shared else student
        for term in weights:
            rows = everyone if term in shared else student
            parts[term] = REGULARIZERS[term].from_logits(self.config, rows, reference)
        loss = torch.stack([weight * parts[term] for term, weight in {"task": 1.0, **weights}.items()]).sum()
        return self._terms(loss, parts, weights, inactive)

    def from_hidden(
        self,
        hidden: Tensor,
        reference_hidden: Tensor | None,
        head: nn.Linear,
        labels: Tensor,
        progress: float = 0.0,
        *,
        readout: Readout = PLAIN,
    ) -> Terms:
        """Return the terms of one batch of a language model, in row chunks and without an N×V matrix.

        Args:
            hidden: N×d last hidden states of the model being tuned (what its head is applied to), valid rows only.
            reference_hidden: N×d of the frozen model; may be None when consistency has no weight.
            head: the output projection, V×d with or without bias, the same for both models and not trained.
            labels: N token indices.
            progress: share of the optimizer steps done, 0…1.
            readout: how the model scales or soft-caps its head's output.

        Raises:
            InputError: hidden states of another width than the head, a trained head, a head of one output, float
                labels, a term that needs logits (:meth:`Readout.obstacle`), and all of `from_logits`.
        """
        frozen, weights, inactive, everywhere = self._on_head(hidden, reference_hidden, head, labels, progress)
        readout.check(self.config)
        if not len(hidden) and not weights:
            return self._terms(hidden.sum(), {"task": hidden.sum().detach()}, {}, inactive)
        reference = None if reference_hidden is None else reference_hidden.detach()
        active = {"task": 1.0, **weights}
        loss, parts = parts_from_hidden(
            self.config,
            frozen,
            hidden,
            reference,
            labels,
            active,
            self.chunk_bytes,
            self.label_smoothing,
            readout,
            everywhere,
        )
        return self._terms(loss, parts, weights, inactive)

    def gradients_from_hidden(
        self,
        hidden: Tensor,
        reference_hidden: Tensor | None,
        head: nn.Linear,
        labels: Tensor,
        progress: float = 0.0,
        *,
        readout: Readout = PLAIN,
    ) -> dict[str, Tensor]:
        """Return λ·∂term/∂H (N×d) of the task loss (λ = 1) and of every acting term, one after the other."""
        frozen, weights, _, everywhere = self._on_head(hidden, reference_hidden, head, labels, progress)
        readout.check(self.config)
        reference = None if reference_hidden is None else reference_hidden.detach()
        settings = (self.chunk_bytes, self.label_smoothing, readout, everywhere)
        gradients = {}
        for term, weight in {"task": 1.0, **weights}.items():
            leaf = hidden.detach().requires_grad_()
            with torch.enable_grad():
                loss, _ = parts_from_hidden(self.config, frozen, leaf, reference, labels, {term: weight}, *settings)
            gradients[term] = torch.autograd.grad(loss, leaf)[0]
        return gradients

    def _terms(
        self, loss: Tensor, parts: dict[str, Tensor], weights: dict[str, float], inactive: dict[str, str]
    ) -> Terms:
        regularizers = {name: parts.get(name) for name in self.config.terms()}
        return Terms(loss=loss, task=parts["task"], parts=regularizers, weights=weights, inactive=inactive)

    def shares_rows(self) -> bool:
        """Whether a term is computed from the rows of several processes, so that all of them must take part."""
        return self.config.scope == "global" and is_shared() and bool(whole_matrix_terms(self.config))

    def _everywhere(self, rows: Tensor) -> Everywhere | None:
        return Everywhere.of(len(rows), rows.device) if self.shares_rows() else None

    def _acting(
        self, rows: int, outputs: int, progress: float, everywhere: Everywhere | None = None
    ) -> tuple[dict[str, float], dict[str, str]]:
        inactive = inactive_terms(self.config, rows, outputs)
        if everywhere is not None:
            together, shared = inactive_terms(self.config, everywhere.total, outputs), whole_matrix_terms(self.config)
            mine = {term: why for term, why in inactive.items() if term not in shared}
            inactive = mine | {term: why for term, why in together.items() if term in shared}
        weights = self.weights_at(progress)
        return {t: w for t, w in weights.items() if w > 0 and t not in inactive}, inactive

    def _on_head(
        self, hidden: Tensor, reference: Tensor | None, head: nn.Linear, labels: Tensor, progress: float
    ) -> tuple[FrozenHead, dict[str, float], dict[str, str], Everywhere | None]:
        _check_rows(hidden, reference, labels)
        frozen = self._heads.of(head)
        if hidden.shape[-1] != frozen.width:
            raise InputError(f"hidden states have width {hidden.shape[-1]}, but the head takes d = {frozen.width}")
        if labels.is_floating_point() or frozen.outputs == 1:
            raise InputError("hidden states and a head are for token indices and a vocabulary: use from_logits")
        check_labels(labels, frozen.outputs)
        everywhere = self._everywhere(hidden)
        weights, inactive = self._acting(hidden.shape[0], frozen.outputs, progress, everywhere)
        if "consistency" in weights:
            given(reference)
        return frozen, weights, inactive, everywhere


def refuse_regularizers(config: ObjectiveConfig, what: str) -> None:
    """Raise ConfigError if a regularizer has a weight: none is defined for ``what``."""
    weighted = [name for name, term in config.terms().items() if term.is_on]
    if weighted:
        raise ConfigError(
            f"{what}: the {', '.join(weighted)} term(s) are defined for one class, number or token a row, so nothing "
            "would be known of what they do: train with objective=None (the preset 'none'), the task loss alone"
        )


def refuse_shares(config: ObjectiveConfig) -> None:
    """Raise ConfigError if a term's λ is still to be set from its share of the gradient."""
    if config.shares:
        name, share = next(iter(config.shares.items()))
        raise ConfigError(
            f"objective.{name}.share = {share:g}: λ is not set yet. Runs and trainers set it on their first batches; "
            "in a loop of your own, call shared_config (balora.training.shares), or give a weight in its place"
        )


def _check_rows(student: Tensor, reference: Tensor | None, labels: Tensor) -> None:
    if student.dim() != 2:
        raise InputError(f"expected one row a position or example (N×D), got shape {tuple(student.shape)}")
    if reference is not None and reference.shape != student.shape:
        raise InputError(f"reference has shape {tuple(reference.shape)}, student {tuple(student.shape)}: must be equal")
    several = labels.is_floating_point() and labels.shape == student.shape
    if labels.shape != student.shape[:1] and not several:
        raise InputError(
            f"labels of shape {tuple(labels.shape)} for {len(student)} rows: give one a row, without masked positions"
        )
