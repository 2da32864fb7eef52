"""Calibration, entropy and effective rank: by hand, by another way of computing them, and whatever the batches are."""

import math

import pytest
import torch

from balora.tasks import behaviour
from balora.tasks.behaviour import Behaviour, bin_of, effective_rank


def logits_of(*probabilities: list[float]) -> torch.Tensor:
    """Logits whose softmax is these rows, each shifted by another constant, which no probability depends on."""
    shifts = torch.arange(len(probabilities))[:, None] * 3.0
    return torch.tensor(probabilities).log() + shifts


def seen(logits: torch.Tensor, labels: list[int], size: int = 100) -> dict[str, float]:
    found = Behaviour()
    for start in range(0, len(labels), size):
        found.add(logits[start : start + size], torch.tensor(labels[start : start + size]))
        found.add_to_rank(logits[start : start + size], range(start, min(start + size, len(labels))))
    return found.measures()


def test_calibration_error_is_the_gap_of_each_bin_weighted_by_its_answers() -> None:
    logits = logits_of([0.1, 0.9], [0.9, 0.1], [0.88, 0.12], [0.4, 0.6])
    # 0.9, 0.9, 0.88 share the bin (13/15, 14/15]: confidence 2.68 for 2 right; 0.6 is alone in (8/15, 9/15], wrong
    found = seen(logits, [1, 0, 1, 0])
    assert found["ece"] == pytest.approx((0.68 + 0.6) / 4, abs=1e-6)


def test_over_and_underconfidence_cancel_within_a_bin_and_not_between_bins() -> None:
    same = seen(logits_of([0.9, 0.1], [0.9, 0.1]), [0, 1])["ece"]
    apart = seen(logits_of([0.9, 0.1], [0.6, 0.4]), [0, 1])["ece"]
    assert same == pytest.approx(0.4, abs=1e-6)
    assert apart == pytest.approx((0.1 + 0.6) / 2, abs=1e-6)


def test_bins_are_fifteen_and_closed_above() -> None:
    confidence = torch.tensor([0.0, 1e-9, 1 / 15 + 1e-6, 0.2, 0.5, 14 / 15 + 1e-6, 1.0], dtype=torch.float64)
    assert bin_of(confidence).tolist() == [0, 0, 1, 2, 7, 14, 14]
    assert bin_of(torch.tensor([1 + 1e-7])).tolist() == [14], "a rounding error above 1 is in the last bin"


def test_mean_entropy_is_in_nats() -> None:
    found = seen(logits_of([0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 1e-12, 1e-12]), [0, 0])
    assert found["mean_entropy"] == pytest.approx((math.log(4) + math.log(2)) / 2, abs=1e-5)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("at_once", [1, 12, 2**22])
def test_batches_change_nothing(size: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(41, 7, generator=generator)
    labels = torch.randint(7, (41,), generator=generator).tolist()
    whole = seen(logits, labels)
    monkeypatch.setattr(behaviour, "LOGITS_AT_ONCE", at_once)
    assert seen(logits, labels, size) == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("shape", [(41, 7), (7, 41), (5, 5), (1, 9)])
@pytest.mark.parametrize("at_once", [1, 20, 2**22])
def test_effective_rank_is_the_exponential_of_the_entropy_of_singular_values(
    shape: tuple[int, int], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(1)) + 5
    sigma = torch.linalg.svdvals((logits - logits.mean(dim=1, keepdim=True)).double())
    expected = float(torch.distributions.Categorical(probs=sigma).entropy().exp())
    monkeypatch.setattr(behaviour, "LOGITS_AT_ONCE", at_once)
    assert effective_rank(logits) == pytest.approx(expected, rel=1e-5)


def test_effective_rank_by_hand() -> None:
    two_ways = torch.tensor([[3.0, -3.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])  # singular values 3√2 and √2
    assert effective_rank(two_ways) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    shifted = two_ways + torch.tensor([[100.0], [-7.0]])
    assert effective_rank(shifted) == pytest.approx(effective_rank(two_ways), rel=1e-6), "softmax does not see it"
    alike = two_ways[:1].repeat(50, 1) + 1e-3 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    assert effective_rank(alike) < 1.02, "rows that are all alike have collapsed, whatever their noise"
    assert effective_rank(torch.zeros(3, 4)) == 0


def test_effective_rank_says_nothing_of_two_classes_and_is_left_out() -> None:
    assert set(seen(logits_of([0.9, 0.1], [0.6, 0.4]), [0, 1])) == {"ece", "mean_entropy"}
    assert seen(logits_of([0.9, 0.05, 0.05], [0.05, 0.9, 0.05]), [0, 1])["effective_rank"] > 1.5


def test_texts_count_every_token_and_keep_the_first_of_the_first_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(behaviour, "RANK_ROWS", 3)
    found = Behaviour()
    found.add_texts(logits[:6], torch.arange(6) % 5, [2, 0, 3, 1], [7, 0, 2, 1])  # an empty answer has no first token
    found.add_texts(logits[6:], torch.arange(3), [3], [3])
    whole = Behaviour()
    whole.add(logits, torch.cat([torch.arange(6) % 5, torch.arange(3)]))
    whole.add_to_rank(logits[[2, 5]], [2, 1])
    assert found.measures() == pytest.approx(whole.measures(), rel=1e-9)


def test_forbidden_classes_leave_numbers_that_a_record_can_hold() -> None:
    found = seen(torch.tensor([[0.0, 0.0, -torch.inf], [0.0, 0.0, -torch.inf]]), [0, 1])
    assert found == pytest.approx({"ece": 0.0, "mean_entropy": math.log(2)})


def test_what_is_kept_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behaviour, "RANK_LOGITS", 20)
    found = Behaviour()
    found.add_to_rank(torch.randn(50, 5), range(50))
    assert found._rank_logits[0].shape == (4, 5)
    assert Behaviour().measures() == {}, "nothing seen, nothing said"
