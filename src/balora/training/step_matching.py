"""Rescale a run's learning rate so that its first steps move the outputs as far as they would from PiSSA's start.

Under Adam every entry of A and B moves by about the rate a step, whatever the gradient's size. PiSSA starts with both
factors at √σ, the standard start with B = 0, so one rate is another step in function space for another start. With
``training.step_matching: pissa`` the rate η is replaced by an η' with

    D(own start, η') = D(PiSSA's start, η)  to 5 %,      D(start, η) = √( 1/(N·V) · Σ_nv (Δ_nv − 1/V · Σ_u Δ_nu)² ).

Δ = Z_K − Z_0 (N×V) is the change of the logits at all valid rows of the first K = 4 batches after K steps, one a batch,
of AdamW at the constant rate η: without warm-up, decay, weight decay and dropout. Each row's mean is taken off, because
softmax does not see it; one output (regression, V = 1) is not centred. The gradients are those of the run's own loss,
regularizers, schedules, label smoothing and L2 to the start included, clipped by their norm over all trained tensors.
Only A and B move: heads, other saved modules and DoRA's magnitudes are the same at every start.

D and the matching are balora's own; that starts differ in the size of their updates, and peak at other rates, is shown
in arXiv 2507.06558 and arXiv 2602.04998.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from balora.adapters import attach
from balora.adapters.factor_progress import OnWeight
from balora.errors import TrainingError
from balora.objective import ObjectiveConfig
from balora.training.controls import StartPenalty
from balora.training.loss import ModelLoss
from balora.training.rows import Rows
from balora.training.spec import RunSpec, TrainingConfig

Batches = Sequence[Mapping[str, Any]]

TOLERANCE = 0.05
"""How far the two D may differ, relatively."""
FACTOR, MOST_FACTORS, MOST_RATES = 4.0, 6, 12
"""The search tries η, then η·4^±1, …, η·4^±6 until D is passed, then rates between the last two; 12 in all."""
SMALLEST = 1e-300
"""In place of a D of 0, which has no logarithm."""
ABOVE_ROUNDING = 4
"""How many times ε·(size of the outputs) PiSSA's D must be: measured in float32 and bfloat16, rounding alone moves the
outputs by 0.7 to 3 times that."""
ROWS = 128
"""Whose logits are computed at a time."""
WITHOUT = "or set training.step_matching to none"


def weight_sharing_copy(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` with modules and buffers of its own whose parameters are those of ``model``."""
    return deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})


def matched_rate(
    base: nn.Module,
    spec: RunSpec,
    objective: ObjectiveConfig,
    batches: Batches,
    steps: int,
    on_weight: OnWeight | None = None,
) -> tuple[float | None, str]:
    """Return η', rounded to 3 digits, and a note; None where the run starts at PiSSA, so that η stays.

    The weights of ``base`` and the global random state stay as they are.

    Args:
        base: the pre-trained model without an adapter; its modules are used up.
        spec: of the run; names the adapter, η (`training.learning_rate`) and how a step is computed.
        objective: with the λ that the run uses.
        batches: the K batches, on the model's device.
        steps: optimizer steps of the whole run, which its schedules follow.
        on_weight: told of the factors' progress, as by :func:`balora.adapters.attach`.

    Raises:
        TrainingError: a change of the outputs is not finite or within rounding, or no rate matches.
    """
    training, adapter = spec.training, spec.adapter
    assert adapter is not None
    rate = training.learning_rate
    if not spec.is_step_matched:
        return None, f"step matching: the run starts at PiSSA itself, so its learning rate stays {rate:g}"

    def first_steps(model: nn.Module, start: str) -> FirstSteps:
        attached = attach(model, adapter.replace(init=start), seed=training.seed, on_weight=on_weight)
        return FirstSteps(attached, start, objective, training, batches, steps)

    target = first_steps(weight_sharing_copy(base), "pissa").clear_distance(rate)
    own = first_steps(base, adapter.init)
    found = search(own.distance, target, rate)
    if found is None:
        span = FACTOR**MOST_FACTORS
        raise TrainingError(
            f"step matching: the first {len(batches)} steps from PiSSA's start at learning rate {rate:g} move the "
            f"outputs by {target:.3g}, and those from the {adapter.init!r} start at no rate that was tried between "
            f"{rate / span:.3g} and {rate * span:.3g}: change training.learning_rate or the start, {WITHOUT}"
        )
    return found, (
        f"step matching: learning rate {found:g} instead of {rate:g}: its first {len(batches)} steps move the outputs "
        f"as far ({target:.3g}) as PiSSA's"
    )


def search(distance: Callable[[float], float], target: float, start: float) -> float | None:
    """Return a rate whose ``distance`` is within 5 % of ``target``: ``start`` itself or one of 3 digits; None if none.

    D is nearly a power of the rate (η for PiSSA's start, between η and η² where B = 0), so log D is nearly a line in
    log η: between two rates that enclose the target the next one is where their chord meets it, each third time their
    middle.
    """
    low: tuple[float, float] | None = None  # log rate, log D/target
    high: tuple[float, float] | None = None
    rate = start
    for tried in range(MOST_RATES):
        found = distance(rate)
        if abs(found - target) <= TOLERANCE * target:
            return rate
        point = math.log(rate), math.log(max(found, SMALLEST) / target)
        low, high = (point, high) if found < target else (low, point)
        if low is not None and high is not None:
            rate = _rounded(_between(low, high, halve=tried % 3 == 0))
        elif tried < MOST_FACTORS:
            rate = _rounded(start * FACTOR ** (tried + 1 if high is None else -tried - 1))
        else:
            break
    return None


def _between(low: tuple[float, float], high: tuple[float, float], *, halve: bool) -> float:
    share = 0.5 if halve else min(max(low[1] / (low[1] - high[1]), 0.02), 0.98)
    return math.exp(low[0] + share * (high[0] - low[0]))


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")


class FirstSteps:
    """Takes the first steps of a run at any rate and measures D; afterwards the model is at its start again.

    Args (of the constructor):
        model: with its adapter attached; put into evaluation mode.
        start: the name of its start, for errors.
        objective, training: of the run.
        batches: one a step, on the model's device.
        steps: optimizer steps of the whole run.
    """

    def __init__(
        self,
        model: nn.Module,
        start: str,
        objective: ObjectiveConfig,
        training: TrainingConfig,
        batches: Batches,
        steps: int,
    ) -> None:
        self._model, self._training, self._batches, self._steps = model.eval(), training, batches, steps
        self._name = f"the first {len(batches)} steps from the {start!r} start"
        self._loss = ModelLoss(model, objective, label_smoothing=training.label_smoothing)
        self._penalty = StartPenalty(model, training.l2_start)
        trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self._trained = list(trained.values())
        self._factors: list[Tensor] = [p for name, p in trained.items() if ".lora_A." in name or ".lora_B." in name]
        self._start = [parameter.detach().clone() for parameter in self._factors]
        self._before = list(self._outputs())

    def distance(self, rate: float) -> float:
        """Return D at the learning rate ``rate``.

        Raises:
            TrainingError: it is not finite.
        """
        self._take_steps(rate)
        moved = root_mean_square(self._changes())
        with torch.no_grad():
            torch._foreach_copy_(self._factors, self._start)
        if not math.isfinite(moved):
            raise TrainingError(
                f"step matching: {self._name} at learning rate {rate:g} make outputs that are not finite (nan or inf): "
                f"lower training.learning_rate, {WITHOUT}"
            )
        return moved

    def clear_distance(self, rate: float) -> float:
        """Return D at the learning rate ``rate``, which must be clear of the outputs' rounding.

        Raises:
            TrainingError: it is not, or not finite.
        """
        moved, precision = self.distance(rate), self._training.precision
        size = root_mean_square(part for rows in self._before for part in self._logits(rows))
        least = ABOVE_ROUNDING * torch.finfo(getattr(torch, precision)).eps * size
        if moved > least:
            return moved
        raise TrainingError(
            f"step matching: {self._name} at learning rate {rate:g} move the outputs by {moved:.3g}, no more than "
            f"the rounding of {precision} can ({least:.3g}): raise training.learning_rate, {WITHOUT}"
        )

    def _take_steps(self, rate: float) -> None:
        optimizer = torch.optim.AdamW(self._factors, lr=rate, weight_decay=0.0)
        for step, batch in enumerate(self._batches):
            terms, _, _ = self._loss(self._model, batch, min(step / self._steps, 1.0), step=step)
            torch.autograd.backward(terms.loss + self._penalty.weight * self._penalty())
            torch.nn.utils.clip_grad_norm_(self._trained, self._training.max_grad_norm)
            optimizer.step()
            for parameter in self._trained:
                parameter.grad = None

    def _outputs(self) -> Iterator[Rows]:
        for batch in self._batches:
            with torch.no_grad():
                yield self._loss.read(self._model, batch, reference=False)[0]

    def _changes(self) -> Iterator[Tensor]:
        for before, after in zip(self._before, self._outputs(), strict=True):
            for one, other in zip(self._logits(before), self._logits(after), strict=True):
                yield other - one

    def _logits(self, rows: Rows) -> Iterator[Tensor]:
        """Yield the logits of ``rows`` in float64, some rows at a time; those of hidden states are computed here."""
        if rows.hidden is None:
            assert rows.logits is not None
            yield from (part.double() for part in torch.split(rows.logits, ROWS))
            return
        reader = self._loss.causal_rows()
        for part in torch.split(rows.hidden, ROWS):
            with torch.no_grad():
                yield reader.readout(reader.head(part.to(reader.head.weight.dtype)).double())


def root_mean_square(parts: Iterable[Tensor]) -> float:
    """Return √(mean of squares) over all entries of matrices (rows×outputs), each row's mean taken off; 0 of none.

    With one output nothing is taken off.
    """
    squares, entries = 0.0, 0
    for part in parts:
        centred = part - part.mean(dim=1, keepdim=True) if part.shape[1] > 1 else part
        squares += float(centred.square().sum())
        entries += part.numel()
    return math.sqrt(squares / max(entries, 1))
