"""Inputs shared by the tests of the objective: configurations, heads, and pairs of hidden states."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from balora.objective import ObjectiveConfig
from balora.objective.config import TERMS
from balora.objective.editions import Edition
from balora.settings import Family

FORMULATIONS: list[tuple[Edition, Family]] = [
    ("arxiv-v5", "nlu"),
    ("arxiv-v5", "nlg"),
    ("iclr-2026", "nlu"),
    ("iclr-2026", "nlg"),
]


def config_of(edition: Edition, formulation: Family, *, family: Family = "nlg", outputs: int = 100) -> ObjectiveConfig:
    """The formulas of one cell of method.md §2 with weights large enough for every term to count."""
    config = ObjectiveConfig.preset("ba-lora", family=family, edition=edition, formulation=formulation)
    config = weighted(config, consistency=0.7, diversity=0.3, spectral=0.5)
    if config.diversity.top_k is not None and config.diversity.top_k > outputs:
        config = config.replace(diversity=config.diversity.replace(top_k=max(2, outputs // 2)))
    return config


def weighted(config: ObjectiveConfig, **weights: float) -> ObjectiveConfig:
    """``config`` with these constant λ, and 0 for the terms not named."""
    changes = {
        term: getattr(config, term).replace(weight=weights.get(term, 0.0), schedule="constant") for term in TERMS
    }
    return config.replace(**changes)


class Batch(NamedTuple):
    hidden: Tensor
    reference: Tensor
    head: nn.Linear
    labels: Tensor

    @property
    def logits(self) -> Tensor:
        return self.head(self.hidden)  # type: ignore[no-any-return]

    @property
    def reference_logits(self) -> Tensor:
        return self.head(self.reference)  # type: ignore[no-any-return]


def batch_of(
    rows: int, outputs: int, width: int, *, bias: bool = False, dtype: torch.dtype = torch.float64, seed: int = 0
) -> Batch:
    """A frozen random head and hidden states of two models that differ a little; ``hidden`` asks for a gradient."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    head = nn.Linear(width, outputs, bias=bias, dtype=dtype).requires_grad_(False)
    head.weight.copy_(draw(outputs, width) / width**0.5)
    if bias:
        head.bias.copy_(draw(outputs))
    hidden = draw(rows, width)
    reference = hidden + 0.3 * draw(rows, width)
    labels = torch.randint(outputs, (rows,), generator=generator)
    return Batch(hidden.requires_grad_(), reference, head, labels)


def relative(value: Tensor, expected: Tensor) -> float:
    """‖value − expected‖/‖expected‖, in float64."""
    value, expected = value.detach().double(), expected.detach().double()
    return float((value - expected).norm() / expected.norm())


def in_float64(batch: Batch) -> Batch:
    """The very same (rounded) numbers as ``batch``, to be computed with in float64."""
    head = nn.Linear(batch.head.in_features, batch.head.out_features, batch.head.bias is not None, dtype=torch.float64)
    head.requires_grad_(False).load_state_dict(batch.head.state_dict())
    return Batch(batch.hidden.detach().double().requires_grad_(), batch.reference.double(), head, batch.labels)
