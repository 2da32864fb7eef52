"""The frozen head: what is computed from it once, when that is forgotten, and which heads and inputs are refused."""

import math
import re
from typing import Any

import pytest
import torch
from objective_cases import batch_of, config_of, relative
from torch import Tensor, nn

from balora.errors import InputError
from balora.objective import Objective, ObjectiveConfig
from balora.objective.head import FrozenHead, HeadCache


def test_gram_and_root_of_a_literal() -> None:
    # W = [[1, 2], [3, 4], [5, 6]]: WᵀW = [[1 + 9 + 25, 2 + 12 + 30], [44, 4 + 16 + 36]]
    W = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    head = FrozenHead(W, None)
    gram = torch.tensor([[35.0, 44.0], [44.0, 56.0]], dtype=torch.float64)
    assert torch.equal(head.gram(), gram)
    torch.testing.assert_close(head.root() @ head.root().T, gram)
    # with b = (1, 0, 2) beside W: wᵀb = (1 + 10, 2 + 12), bᵀb = 5
    biased = FrozenHead(W, torch.tensor([1.0, 0.0, 2.0]))
    expected = torch.tensor([[35.0, 44.0, 11.0], [44.0, 56.0, 14.0], [11.0, 14.0, 5.0]], dtype=torch.float64)
    torch.testing.assert_close(biased.root() @ biased.root().T, expected)


def test_gram_of_a_head_larger_than_a_block() -> None:
    W = torch.randn(40_000, 3)
    torch.testing.assert_close(FrozenHead(W, None).gram(), W.double().T @ W.double(), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("parameter", ["weight", "bias"])
@pytest.mark.parametrize("how", ["written", "replaced", "converted"])
def test_what_was_computed_for_a_head_is_forgotten_when_the_head_changes(parameter: str, how: str) -> None:
    batch = batch_of(41, 50, 6, bias=True, dtype=torch.float32)
    if how == "replaced":  # both the old and the new one never written to: as many writes are no sameness
        setattr(batch.head, parameter, nn.Parameter(getattr(batch.head, parameter).clone(), requires_grad=False))
    objective = Objective(config_of("arxiv-v5", "nlu"))
    before = objective.from_hidden(*batch)
    if how == "converted":
        batch.head.double()
        batch = batch._replace(hidden=batch.hidden.detach().double(), reference=batch.reference.double())
    values = getattr(batch.head, parameter)
    if how == "replaced":
        setattr(batch.head, parameter, nn.Parameter(2 * values, requires_grad=False))
    else:
        values.mul_(2)
    after = objective.from_hidden(*batch)
    assert after.spectral is not None
    assert before.spectral is not None
    assert after.spectral.item() != pytest.approx(before.spectral.item(), rel=1e-4)
    expected = objective.from_logits(batch.logits, batch.reference_logits, batch.labels)
    for name, value in after.values().items():
        assert relative(value, expected.values()[name]) < 1e-6, name


def test_a_head_is_prepared_once_and_not_kept_alive() -> None:
    cache, head = HeadCache(), nn.Linear(3, 5).requires_grad_(False)
    assert cache.of(head) is cache.of(head)
    assert cache.of(head).gram() is cache.of(head).gram()
    assert len(cache._heads) == 1
    del head
    assert len(cache._heads) == 0


class Doubling(nn.Linear):
    """A head whose logits are not its weight times the hidden states."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


H, HEAD, LABELS = torch.zeros(4, 3), nn.Linear(3, 5).requires_grad_(False), torch.zeros(4, dtype=torch.long)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((H, H, nn.Linear(3, 5), LABELS), "the head is trained, so the two models do not share it: use from_logits"),
        ((H, H, Doubling(3, 5), LABELS), "the head must be a plain nn.Linear, got Doubling: use from_logits"),
        ((H[:, :2], H[:, :2], HEAD, LABELS), "hidden states have width 2, but the head takes d = 3"),
        ((H[None], H[None], HEAD, LABELS), "expected one row a position or example (N×D), got shape (1, 4, 3)"),
        ((H, H[:2], HEAD, LABELS), "reference has shape (2, 3), student (4, 3): must be equal"),
        ((H, None, HEAD, LABELS), "consistency has a weight, but no reference was given: pass the frozen model's"),
        ((H, H, HEAD, LABELS[:2]), "labels of shape (2,) for 4 rows: give one a row, without masked positions"),
        ((H, H, HEAD, LABELS + 5), "labels must be between 0 and 4 (rows already valid), got 5"),
        ((H, H, HEAD, LABELS - 100), "labels must be between 0 and 4 (rows already valid), got -100"),
        ((H, H, HEAD, torch.zeros(4)), "hidden states and a head are for token indices and a vocabulary"),
        ((H, H, nn.Linear(3, 1).requires_grad_(False), LABELS), "hidden states and a head are for token indices"),
    ],
)
def test_inputs_that_do_not_fit_the_head_are_refused(arguments: Any, message: str) -> None:
    objective = Objective(config_of("arxiv-v5", "nlg"))
    for method in (objective.from_hidden, objective.gradients_from_hidden):
        with pytest.raises(InputError, match=re.escape(message)):
            method(*arguments)


def test_a_partly_trained_head_is_trained() -> None:
    head = nn.Linear(3, 5).requires_grad_(False)
    head.bias.requires_grad_()
    with pytest.raises(InputError, match="the head is trained"):
        Objective(config_of("arxiv-v5", "nlg")).from_hidden(H, H, head, LABELS)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_broken_head_is_named(bad: float) -> None:
    head = nn.Linear(3, 5).requires_grad_(False)
    head.weight[2, 1] = bad
    with pytest.raises(InputError, match="the head's weight or bias holds nan or inf"):
        Objective(config_of("arxiv-v5", "nlg")).from_hidden(H, H, head, LABELS)


def test_top_k_above_the_vocabulary_is_an_error() -> None:
    objective = Objective(ObjectiveConfig.preset("ba-lora", family="nlg"))
    with pytest.raises(InputError, match=r"`objective.diversity.top_k` must be at most the vocabulary V = 5, got 20"):
        objective.from_hidden(H, H, HEAD, LABELS)
