"""Covariance and spectrum from the rows of all processes, as each of them computes them; the others are played.

`tests/training/test_two_processes.py` has real ones.
"""

import pytest
import torch

from balora.maths import diversity_covariance, spectral_ratio
from balora.objective import Objective, ObjectiveConfig, everywhere
from balora.objective.everywhere import Everywhere

COUNTS, WIDTH = (3, 5, 0, 2), 4
ROWS = torch.randn(sum(COUNTS), WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
PLACES = [slice(0, 3), slice(3, 8), slice(8, 8), slice(8, 10)]
RANKS = range(len(COUNTS))


@pytest.fixture
def others(monkeypatch):
    """What the other processes add to each tensor that is summed over all, in the order of the sums."""
    parts: list[torch.Tensor] = []
    monkeypatch.setattr(everywhere.dist, "all_reduce", lambda tensor: tensor.add_(parts.pop(0)))
    return parts


def of_others(rank: int) -> torch.Tensor:
    rows = ROWS.clone()
    rows[PLACES[rank]] = 0
    return rows


@pytest.mark.parametrize("rank", RANKS)
def test_all_rows_are_gathered_in_the_order_of_the_processes(others, rank) -> None:
    others.append(of_others(rank))
    assert torch.equal(Everywhere(COUNTS, rank).gathered(ROWS[PLACES[rank]]), ROWS)


@pytest.mark.parametrize("rank", RANKS)
def test_the_gradient_is_that_of_the_sum_of_all_losses(others, rank) -> None:
    weights = (1.0, 0.5, 2.0, 0.25)  # of each process's loss
    leaf = ROWS.clone().requires_grad_()
    (whole,) = torch.autograd.grad(spectral_ratio(leaf, 2), leaf)
    others += [of_others(rank), whole * (sum(weights) - weights[rank])]
    mine = ROWS[PLACES[rank]].clone().requires_grad_()
    (spectral_ratio(Everywhere(COUNTS, rank).gathered(mine), 2) * weights[rank]).backward()
    torch.testing.assert_close(mine.grad, whole[PLACES[rank]] * sum(weights), rtol=1e-12, atol=0)
    assert not others


def test_half_precision_is_gathered_in_float32(others) -> None:
    rows = ROWS.bfloat16()
    others.append(torch.zeros(len(ROWS), WIDTH))
    assert Everywhere((len(ROWS),), 0).gathered(rows).dtype == torch.float32


def test_the_numbers_of_rows_are_exchanged(others, monkeypatch) -> None:
    monkeypatch.setattr(everywhere.dist, "get_world_size", lambda: 4)
    monkeypatch.setattr(everywhere.dist, "get_rank", lambda: 1)
    others.append(torch.tensor([3, 0, 0, 2]))
    assert Everywhere.of(5, torch.device("cpu")) == Everywhere(COUNTS, 1)
    assert Everywhere(COUNTS, 1).total == 10


def config(scope: str = "global") -> ObjectiveConfig:
    made = ObjectiveConfig.preset("ba-lora", family="nlu")
    terms = {name: {**term.model_dump(), "weight": 0.5, "schedule": "constant"} for name, term in made.terms().items()}
    terms["diversity"]["form"], terms["spectral"]["k"] = "covariance", 2
    return made.replace(scope=scope, **terms)


@pytest.fixture
def team(monkeypatch, others):
    """Make this process number ``rank`` of the four."""

    def joined(rank: int) -> list[torch.Tensor]:
        monkeypatch.setattr("balora.objective.objective.is_shared", lambda: True)
        monkeypatch.setattr(Everywhere, "of", classmethod(lambda cls, rows, device: cls(COUNTS, rank)))
        return others

    return joined


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("form", ["logits", "hidden"])
def test_the_terms_of_the_whole_matrix_are_those_of_all_rows(team, rank, form) -> None:
    team(rank).append(of_others(rank))
    mine, labels = ROWS[PLACES[rank]], torch.zeros(COUNTS[rank], dtype=torch.long)
    made = Objective(config())
    if form == "logits":
        terms = made.from_logits(mine, mine, labels)
        logits = ROWS
    else:
        head = torch.nn.Linear(WIDTH, 6, dtype=torch.float64).requires_grad_(False)
        terms = made.from_hidden(mine, mine, head, labels)
        logits = head(ROWS)
    assert float(terms.diversity) == pytest.approx(float(diversity_covariance(logits)), rel=1e-10)
    assert float(terms.spectral) == pytest.approx(float(spectral_ratio(logits, 2)), rel=1e-10)
    assert terms.inactive == ({} if COUNTS[rank] else {"consistency": "no rows"})
    if not COUNTS[rank]:
        assert float(terms.task) == 0
        assert float(terms.loss) == pytest.approx(0.5 * float(terms.diversity + terms.spectral), rel=1e-10)


@pytest.mark.parametrize(("scope", "together"), [("process", True), ("process", False), ("global", False)])
def test_alone_or_by_its_scope_every_process_has_its_own_rows(team, scope, together) -> None:
    if together:
        team(1).append(of_others(1))
    mine = ROWS[PLACES[1]]
    terms = Objective(config(scope)).from_logits(mine, mine, torch.zeros(5, dtype=torch.long))
    assert float(terms.diversity) == float(diversity_covariance(mine))


def test_nothing_is_exchanged_for_means_over_rows(team, monkeypatch) -> None:
    team(0)
    plain = ObjectiveConfig.preset("ba-lora", family="nlg").replace(scope="global", spectral={"weight": 0.0})
    monkeypatch.setattr(Everywhere, "of", None)
    mine = ROWS[PLACES[0]]
    assert Objective(plain.replace(diversity={"weight": 1.0})).from_logits(mine, mine, torch.zeros(3).long()).weights
