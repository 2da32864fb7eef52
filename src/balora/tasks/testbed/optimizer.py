"""Optimize matrices by Muon and everything else by AdamW: more is learnt per step, which a tiny budget needs.

Muon (Jordan et al., 2024): the momentum M of a matrix is replaced by the nearest matrix with singular values near 1
(five-coefficient Newton-Schulz iteration), so that every direction moves equally far.
"""

import math

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 4
MOMENTUM = 0.95
BETAS, WEIGHT_DECAY = (0.9, 0.98), 0.01


def orthogonalized(matrices: Tensor) -> Tensor:
    """Return U·Vᵀ, approximately, of every matrix of a stack (n×rows×columns)."""
    a, b, c = NEWTON_SCHULZ
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x if wide else x.mT
    return result


class Mixed:
    """The two optimizers as one; ``rate`` is set before every step."""

    def __init__(self, model: nn.Module, matrix_rate: float, other_rate: float) -> None:
        self._rates = matrix_rate, other_rate
        matrices = [
            p for name, p in model.named_parameters() if p.ndim == 2 and min(p.shape) > 4 and "embed" not in name
        ]
        chosen = set(map(id, matrices))
        self._stacks: dict[torch.Size, list[nn.Parameter]] = {}
        for parameter in matrices:
            self._stacks.setdefault(parameter.shape, []).append(parameter)
        self._momenta = {shape: torch.zeros(len(rows), *shape) for shape, rows in self._stacks.items()}
        others = [p for p in model.parameters() if id(p) not in chosen]
        self._adam = torch.optim.AdamW(others, lr=other_rate, betas=BETAS, weight_decay=WEIGHT_DECAY)

    def step(self, factor: float) -> None:
        """Move all parameters, at ``factor`` times the full rates, and drop the gradients."""
        matrix_rate, other_rate = (rate * factor for rate in self._rates)
        for group in self._adam.param_groups:
            group["lr"] = other_rate
        self._adam.step()
        self._adam.zero_grad()
        with torch.no_grad():
            for shape, parameters in self._stacks.items():
                gradient = torch.stack([p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters])
                momentum = self._momenta[shape].mul_(MOMENTUM).add_(gradient)
                update = orthogonalized(gradient + MOMENTUM * momentum)
                scale = matrix_rate * math.sqrt(max(1.0, shape[0] / shape[1]))
                for parameter, change in zip(parameters, update, strict=True):
                    parameter.mul_(1 - matrix_rate * WEIGHT_DECAY).sub_(change, alpha=scale)
                    parameter.grad = None
