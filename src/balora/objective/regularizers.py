"""Register the regularizers: how each is computed from logits and on a frozen head.

Its settings are a field of :class:`balora.objective.config.ObjectiveConfig` of the same name, which also says when it
cannot act. Weights, shares, schedules, telemetry, matching and reasons for inactivity follow from the two
(CONTRIBUTING.md, "How to add a regularizer").
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import Tensor

from balora.errors import InputError
from balora.maths import consistency_kl, consistency_mse, diversity_covariance, diversity_entropy, spectral_ratio
from balora.maths.spectrum import ratio_of
from balora.objective.config import ObjectiveConfig
from balora.objective.head import FrozenHead, covariance_on_head, spectrum_on_head


class WholeMatrix(NamedTuple):
    """A term on a vocabulary that is no sum over rows: it is computed from all hidden states and the frozen head."""

    name: str
    """What error texts call it."""
    value: Callable[[ObjectiveConfig, Tensor, FrozenHead], Tensor]
    """From N×d hidden states."""
    scale_free: bool = False
    """Whether a factor of the logits changes nothing, so that the readout's scale is left out."""


OnHead = Literal["tiles"] | WholeMatrix | None
"""How a term is computed from hidden states: as a sum over rows in :mod:`balora.objective.tile`, as a whole matrix, or
not at all, so that logits are needed."""


class Regularizer(NamedTuple):
    """How one regularizer is computed."""

    from_logits: Callable[[ObjectiveConfig, Tensor, Tensor | None], Tensor]
    """The value, differentiable, for the student's N×D logits and the reference's (None: none were given)."""
    on_head: Callable[[ObjectiveConfig], OnHead] = lambda config: None


def _consistency(config: ObjectiveConfig, student: Tensor, reference: Tensor | None) -> Tensor:
    # with a single output, whose softmax and sign carry nothing, the plain mean squared error
    reference = given(reference)
    if student.shape[-1] == 1:
        return consistency_mse(student, reference, normalize=False)
    if config.consistency.form == "mse":
        return consistency_mse(student, reference)
    return consistency_kl(student, reference, config.consistency.temperature)


def given(reference: Tensor | None) -> Tensor:
    """Return the reference's outputs, or raise :class:`InputError` if there are none."""
    if reference is None:
        raise InputError("consistency has a weight, but no reference was given: pass the frozen model's outputs")
    return reference


def _diversity(config: ObjectiveConfig, student: Tensor, _: Tensor | None) -> Tensor:
    if config.diversity.form == "covariance":
        return diversity_covariance(student)
    return diversity_entropy(student, config.diversity.used_k(student.shape[-1], config.family))


def _spectral(config: ObjectiveConfig, student: Tensor, _: Tensor | None) -> Tensor:
    return spectral_ratio(student, config.spectral.k, config.spectral.norm)


def _spectral_on_head(config: ObjectiveConfig, hidden: Tensor, head: FrozenHead) -> Tensor:
    return ratio_of(spectrum_on_head(hidden, head), config.spectral.k, config.spectral.norm)


COVARIANCE = WholeMatrix("covariance", lambda config, hidden, head: covariance_on_head(hidden, head))
SPECTRAL = WholeMatrix("spectral term", _spectral_on_head, scale_free=True)


def whole_matrix_terms(config: ObjectiveConfig) -> list[str]:
    """Return the terms with a weight that are no mean over rows, so that they depend on which rows come together."""
    return [
        name
        for name, term in config.terms().items()
        if term.is_on and isinstance(REGULARIZERS[name].on_head(config), WholeMatrix)
    ]


REGULARIZERS = {
    "consistency": Regularizer(_consistency, on_head=lambda config: "tiles"),
    "diversity": Regularizer(
        _diversity,
        on_head=lambda config: COVARIANCE if config.diversity.form == "covariance" else "tiles",
    ),
    "spectral": Regularizer(_spectral, on_head=lambda config: SPECTRAL),
}
"""Every regularizer by the name of its settings in the objective's configuration."""
