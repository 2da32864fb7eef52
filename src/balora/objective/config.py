"""Define the configuration of the training objective; torch-free, so that plans and reports can read it."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from balora.errors import ConfigError, InputError, shown, unknown_name
from balora.objective.editions import (
    FORMULAS,
    WEIGHTS,
    ConsistencyForm,
    DiversityForm,
    Edition,
    Schedule,
    SpectralNorm,
)
from balora.settings import Family, Settings

REGULARIZED = ("ba-lora", "lora+reg", "full+reg")
UNREGULARIZED = ("none", "full", "lora", "pissa")


class Term(Settings):
    """The settings of one regularizer: its weight λ, the weight's schedule, and whatever its formula needs."""

    if TYPE_CHECKING:  # each term declares them itself, with a sentence of its own
        weight: float
        schedule: Schedule

    share: float | None = Field(default=None, gt=0, lt=1)
    """Set λ in place of `weight`: so that the term has this share of the gradient at the last hidden state, measured on
    the first batches before training; none: λ is `weight`."""

    @property
    def is_on(self) -> bool:
        """Whether the term is in the loss: it has a weight, or a share from which its weight will be set."""
        return self.weight > 0 or self.share is not None

    def cannot_act(self, rows: int, outputs: int, family: Family) -> str | None:
        """Return why the gradient is zero on N = ``rows`` > 0 rows of D = ``outputs`` logits; None if the term acts."""
        return None


class ConsistencyTerm(Term):
    """λ1: holds the outputs close to those of the pre-trained model."""

    weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """λ1; 0 switches the term off."""
    form: ConsistencyForm = "kl"
    """`kl`: T²·KL(reference‖student); `mse`: mean squared error of row-normalised logits."""
    temperature: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """T of the KL form."""
    schedule: Schedule = "constant"
    """How λ1 changes over the steps."""
    every: int = Field(default=1, ge=1)
    """n: only every n-th optimizer step runs the reference and has the term, with n·λ1; the sum over steps is λ1's."""


class DiversityTerm(Term):
    """λ2: stops the outputs from collapsing."""

    weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """λ2; 0 switches the term off."""
    form: DiversityForm = "entropy"
    """`covariance`: off-diagonal covariance of the logits; `entropy`: minus the mean entropy."""
    top_k: int | None = Field(default=None, ge=1)
    """K of the entropy form: only the K largest probabilities, renormalised; none: the whole vocabulary."""
    schedule: Schedule = "constant"
    """How λ2 changes over the steps."""

    def used_k(self, outputs: int, family: Family) -> int | None:
        """Return K for D = ``outputs``; a vocabulary's K is cut to the number of classes on an understanding task.

        Raises:
            InputError: K is above the vocabulary of a generation task.
        """
        if self.top_k is None or self.top_k <= outputs:
            return self.top_k
        if family == "nlg":
            limit = f"at most the vocabulary V = {outputs}"
            raise InputError(f"`objective.diversity.top_k` must be {limit}, got {self.top_k}")
        return outputs

    def cannot_act(self, rows: int, outputs: int, family: Family) -> str | None:
        """Return why the gradient is zero; raises what :meth:`used_k` does."""
        if outputs == 1:
            return "one output: its covariance with others and its entropy are constants"
        if self.form == "covariance":
            return f"a covariance needs two rows, the batch has {rows}" if rows < 2 else None
        return "top_k = 1: the entropy of a single probability is 0" if self.used_k(outputs, family) == 1 else None


class SpectralTerm(Term):
    """λ3: raises the share of the leading singular values of the logits."""

    weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """λ3; 0 switches the term off."""
    k: int = Field(default=3, ge=1)
    """How many leading singular values count."""
    norm: SpectralNorm = "nuclear"
    """What they are divided by: `nuclear` Σσ or `frobenius` ‖Z‖_F."""
    schedule: Schedule = "constant"
    """How λ3 changes over the steps."""

    def cannot_act(self, rows: int, outputs: int, family: Family) -> str | None:
        """Return why the gradient is zero: the ratio is the same for all logits of this shape."""
        limit = min(rows, outputs)
        if limit <= 1:
            return f"logits of {rows} row(s) × {outputs} output(s) have one singular value: the ratio is -1"
        if self.norm == "nuclear" and self.k >= limit:
            return f"k = {self.k} ≥ min(N, D) = {limit}: the nuclear ratio is -1 whatever the logits are"
        return None


class ObjectiveConfig(Settings):
    """L = L_task + λ1·consistency + λ2·diversity + λ3·spectral, every choice spelled out."""

    shorthands: ClassVar = ("preset", "scale", "share")

    family: Family
    """Which kind of task is trained: `nlu` (classification, regression) or `nlg` (causal language modelling)."""
    edition: Edition = "iclr-2026"
    """Which published edition the formulas and weights were taken from."""
    formulation: Family | None = None
    """Whose formulas the terms use; none means the family's own. The other one is ablation B."""
    reference_head: Literal["initial", "probe"] = "initial"
    """NLU: the reference's classification head: as initialised (published), or fitted on frozen features first."""
    matching: Literal["none", "gradient"] = "none"
    """`gradient`: rescale the λ of swapped terms so that they start with the gradient their family's own would have."""
    scope: Literal["process", "global"] = "process"
    """From which rows covariance and spectrum are computed where several processes train one model: each from its own
    micro-batch, or from the micro-batches of all, which are gathered at every step. In one process nothing changes."""
    consistency: ConsistencyTerm = ConsistencyTerm()
    diversity: DiversityTerm = DiversityTerm()
    spectral: SpectralTerm = SpectralTerm()

    def terms(self) -> dict[str, Term]:
        """Return the settings of every regularizer by its name, in the order in which the loss adds them up."""
        return {name: value for name, value in self if isinstance(value, Term)}

    @property
    def active_formulation(self) -> Family:
        """The formulation in use: `formulation`, or the family's own."""
        return self.formulation or self.family

    @property
    def regularized(self) -> bool:
        """Whether any regularizer has a weight."""
        return any(term.is_on for term in self.terms().values())

    @property
    def shares(self) -> dict[str, float]:
        """The share of the gradient from which a term's λ is still to be set, by the term's name."""
        return {name: term.share for name, term in self.terms().items() if term.share is not None}

    @property
    def needs_reference(self) -> bool:
        """Whether the frozen model's outputs are needed: only the consistency term reads them."""
        return self.consistency.is_on

    def at_step(self, step: int) -> "ObjectiveConfig":
        """Return the objective of optimizer step ``step`` (from 0): consistency every n-th step with n·λ1, or not."""
        every = self.consistency.every
        if every == 1:
            return self
        weight = self.consistency.weight * every if step % every == 0 else 0.0
        return self.model_copy(update={"consistency": self.consistency.model_copy(update={"weight": weight})})

    @model_validator(mode="after")
    def _matching_needs_a_swap(self) -> Self:
        if self.matching == "gradient" and self.active_formulation == self.family:
            raise ValueError(
                f"matching: 'gradient' rescales swapped terms, but formulation is the family's own ({self.family}): "
                "set formulation to the other one, or matching to 'none'"
            )
        return self

    @model_validator(mode="after")
    def _shares_leave_some_for_the_task(self) -> Self:
        shares = self.shares
        if shares and self.matching == "gradient":
            raise ValueError(
                f"matching: 'gradient' sets λ, as does {next(iter(shares))}.share: leave one of the two out"
            )
        if math.fsum(shares.values()) >= 1:
            raise ValueError(
                f"the shares of {' + '.join(shares)} are {math.fsum(shares.values()):g} of the gradient: lower them to "
                "less than 1 together, because the task has the rest"
            )
        return self

    @classmethod
    def preset(
        cls, name: str, *, family: Family, edition: Edition = "iclr-2026", formulation: Family | None = None
    ) -> "ObjectiveConfig":
        """Return the objective of a named method with the published formulas, parameters and weights.

        Args:
            name: ``ba-lora``, ``lora+reg`` or ``full+reg`` (all three terms), or ``none``, ``full``, ``lora``,
                ``pissa`` (task loss alone; the formulas are filled in all the same, so that one weight can be raised).
            family: kind of task, which decides λ and the schedules.
            edition: ``iclr-2026`` or ``arxiv-v5``.
            formulation: whose formulas to use; the family's own by default.

        Raises:
            ConfigError: unknown name, family, edition or formulation.
        """
        for what, value in (("name", name), ("family", family), ("edition", edition), ("formulation", formulation)):
            if not isinstance(value, str) and (what, value) != ("formulation", None):
                raise ConfigError(f"objective preset: {what} must be a name, got {shown(value)}")
        if name not in REGULARIZED + UNREGULARIZED:
            raise ConfigError(unknown_name("objective preset", name, REGULARIZED + UNREGULARIZED))
        if (edition, family) not in WEIGHTS:
            raise ConfigError(f"no edition {shown(edition)} for family {shown(family)}: {_known_pairs()}")
        if (edition, formulation or family) not in FORMULAS:
            raise ConfigError(f"no formulation {shown(formulation)} in edition {shown(edition)}: {_known_pairs()}")
        f, w = FORMULAS[edition, formulation or family], WEIGHTS[edition, family]
        on = 1.0 if name in REGULARIZED else 0.0
        return cls(
            family=family,
            edition=edition,
            formulation=formulation,
            consistency=ConsistencyTerm(
                weight=on * w.consistency,
                form=f.consistency,
                temperature=f.temperature,
                schedule=w.consistency_schedule,
            ),
            diversity=DiversityTerm(
                weight=on * w.diversity, form=f.diversity, top_k=f.top_k, schedule=w.other_schedule
            ),
            spectral=SpectralTerm(weight=on * w.spectral, k=f.k, norm=f.spectral, schedule=w.other_schedule),
        )


TERMS = tuple(ObjectiveConfig(family="nlg").terms())
"""Names of the regularizers: the fields of :class:`ObjectiveConfig` that hold a :class:`Term`."""


def chosen_objective(given: object, family: Family) -> ObjectiveConfig:
    """Return the objective that an argument ``objective`` stands for, with a model of ``family``.

    None means the task loss alone, as the preset `none`; a text names a preset; a configuration stands for itself.

    Raises:
        ConfigError: an unknown preset, or anything else.
    """
    if given is None:
        return ObjectiveConfig.preset("none", family=family)
    if isinstance(given, str):
        return ObjectiveConfig.preset(given, family=family)
    if not isinstance(given, ObjectiveConfig):
        raise ConfigError(
            "objective: expected an ObjectiveConfig, the name of a preset such as 'ba-lora' or 'none', or None for the "
            f"task loss alone, got {shown(given)}"
        )
    return given


def _known_pairs() -> str:
    return "known: " + ", ".join(f"{edition} {family}" for edition, family in FORMULAS)
