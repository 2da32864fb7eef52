"""Compute L2 to the start, a control that a regularizer must beat, and note on what each control of a run acts."""

from typing import Any

import torch
from torch import Tensor, nn

from balora.maths.precision import accurate
from balora.training.spec import RunSpec


class StartPenalty:
    """½·‖θ − θ0‖² over the trained parameters θ, whose values when this was made are θ0 (L2-SP without its β part).

    Source: Li, Grandvalet and Davoine 2018, *Explicit inductive bias for transfer learning with convolutional
    networks*. Their new layers are pulled to 0 by a second weight β; here a new classification head is pulled to its
    own start like the rest. For an adapter θ are its factors: ‖A − A0‖² + ‖B − B0‖², not the change of the weights.
    """

    def __init__(self, model: nn.Module, weight: float) -> None:
        """Args:
        model: whose parameters that require a gradient are held back; their start is copied.
        weight: α, by which the penalty is multiplied in the loss.
        """
        self.weight = weight
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._start = [parameter.detach().clone() for parameter in self._trained]

    def __call__(self) -> Tensor:
        """Return ½·‖θ − θ0‖², differentiable in θ."""
        value: Tensor = _HalfSquaredDistance.apply(self._start, *self._trained)  # type: ignore[no-untyped-call]
        return value


class _HalfSquaredDistance(torch.autograd.Function):
    """One node over all tensors, with fused kernels: a node per tensor would slow a small model."""

    @staticmethod
    def forward(ctx: Any, start: list[Tensor], *trained: Tensor) -> Tensor:
        ctx.moved = torch._foreach_sub(trained, start)
        norms = [accurate(norm) for norm in torch._foreach_norm(ctx.moved)]
        return torch.stack(norms).square().sum() / 2

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, *torch._foreach_mul(ctx.moved, grad)


def control_notes(spec: RunSpec, trainer: Any) -> list[str]:
    """Return a note for each control that acts on the trained model of ``trainer``, with what it acts on."""
    training, notes = spec.training, []
    trained = [name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad]
    if training.weight_decay:
        decayed = set(trainer.get_decay_parameter_names(trainer.model)) & set(trained)
        notes.append(
            f"weight decay {training.weight_decay:g} on {len(decayed)} of {len(trained)} trained tensors "
            "(biases and norms are left out)"
        )
    if training.label_smoothing and not spec.find(spec.task).regression:
        notes.append(f"label smoothing {training.label_smoothing:g} in the task loss of training")
    if spec.adapter is not None and spec.adapter.dropout:
        inputs = [n for n, m in trainer.model.named_modules() if ".lora_dropout." in n and isinstance(m, nn.Dropout)]
        notes.append(f"adapter dropout {spec.adapter.dropout:g} on the input of {len(inputs)} layers")
    if training.l2_start:
        notes.append(f"L2 to the start with weight {training.l2_start:g} on {len(trained)} trained tensors")
    if training.stretch != 1:
        notes.append(f"stretched: {training.stretch:g} times the steps or epochs that the settings name")
    return notes
