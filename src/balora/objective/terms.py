"""What the objective returns, and which of its terms cannot act."""

from dataclasses import dataclass, field

from torch import Tensor

from balora.errors import InputError
from balora.objective.config import TERMS, ObjectiveConfig


@dataclass(frozen=True)
class Terms:
    """The loss and its parts for one batch; every part is a scalar mean over the batch's rows.

    ``loss`` = task + Σ λ·term carries the gradient. From logits the parts do too; from hidden states they are values
    only. A term that was not computed (no weight at this progress, or it cannot act) is None.
    """

    loss: Tensor
    task: Tensor
    consistency: Tensor | None = None
    diversity: Tensor | None = None
    spectral: Tensor | None = None
    weights: dict[str, float] = field(default_factory=dict)
    """λ of each computed term at this progress."""
    inactive: dict[str, str] = field(default_factory=dict)
    """Why a term cannot act on this batch, whatever its gradient is multiplied with."""

    def values(self) -> dict[str, Tensor]:
        """Return the value of the task loss and of every computed term."""
        parts = {"task": self.task, **{term: getattr(self, term) for term in TERMS}}
        return {name: value for name, value in parts.items() if value is not None}


SMOOTHS_NOTHING = "regression: a squared error has no classes to smooth over"


def inactive_terms(config: ObjectiveConfig, rows: int, outputs: int) -> dict[str, str]:
    """Return {term: reason} for the terms whose gradient is zero on N = ``rows`` × D = ``outputs`` logits.

    Raises:
        InputError: K of the entropy form is above the vocabulary of a generation task.
    """
    checks = {"diversity": _diversity, "spectral": _spectral}
    reasons = {}
    for term in TERMS:
        if getattr(config, term).weight == 0:
            reasons[term] = "λ = 0"
        elif rows == 0:
            reasons[term] = "no rows"
        elif term in checks and (reason := checks[term](config, rows, outputs)):
            reasons[term] = reason
    return reasons


def top_k_of(config: ObjectiveConfig, outputs: int) -> int | None:
    """Return K for D = ``outputs``; a vocabulary's K is cut to the number of classes on an understanding task."""
    top_k = config.diversity.top_k
    if top_k is None or top_k <= outputs:
        return top_k
    if config.family == "nlg":
        raise InputError(f"`objective.diversity.top_k` must be at most the vocabulary V = {outputs}, got {top_k}")
    return outputs


def _diversity(config: ObjectiveConfig, rows: int, outputs: int) -> str | None:
    if outputs == 1:
        return "one output: its covariance with others and its entropy are constants"
    if config.diversity.form == "covariance":
        return f"a covariance needs two rows, the batch has {rows}" if rows < 2 else None
    return "top_k = 1: the entropy of a single probability is 0" if top_k_of(config, outputs) == 1 else None


def _spectral(config: ObjectiveConfig, rows: int, outputs: int) -> str | None:
    limit = min(rows, outputs)
    if limit <= 1:
        return f"logits of {rows} row(s) × {outputs} output(s) have one singular value: the ratio is -1"
    if config.spectral.norm == "nuclear" and config.spectral.k >= limit:
        return f"k = {config.spectral.k} ≥ min(N, D) = {limit}: the nuclear ratio is -1 whatever the logits are"
    return None
