"""The objective from hidden states at its limits: memory, half precision, masked and repeated values, nan."""

import math
from typing import Any

import pytest
import torch
from objective_cases import FORMULATIONS, TERMS, batch_of, config_of, in_float64, relative, weighted
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from balora.objective import Objective
from balora.objective.head import FrozenHead
from balora.objective.rowwise import Chunks
from balora.objective.tile import SCRATCH
from balora.objective.vocabulary import parts_from_hidden

# --- memory -----------------------------------------------------------------------------------------------------------


class LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor that any operation returns, forward or backward."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.numel = max([self.numel, *sizes])
        return result


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_nothing_as_large_as_the_logits_is_ever_made(edition, formulation, bias) -> None:  # type: ignore[no-untyped-def]
    N, V, d = 300, 500, 6
    batch = batch_of(N, V, d, bias=bias)
    objective = Objective(config_of(edition, formulation), chunk_bytes=2 * V * 8 * 7)  # 7 rows a chunk
    with LargestTensor() as largest:
        terms = objective.from_hidden(*batch)
        torch.autograd.grad(terms.loss, batch.hidden)
        objective.gradients_from_hidden(*batch)
    assert set(terms.values()) == {"task", *TERMS}
    assert largest.numel <= max(SCRATCH * 7, d + bias) * V  # the buffers of a tile, here a chunk; or W with its bias
    with LargestTensor() as largest:  # the recorder sees what it should
        objective.from_logits(batch.logits, batch.reference_logits, batch.labels)
    assert largest.numel >= N * V


@pytest.mark.parametrize(
    ("N", "V", "chunk_bytes", "rows", "tile"),
    [
        (2048, 32_000, None, 256, 16),  # 1,048 rows would fit; on the CPU no more than 256 are worth it
        (384, 32_000, None, 96, 16),  # a fourth of the rows
        (2048, 32_000, 10 * 256_000, 10, 10),  # a row of two models takes 2 · 4 bytes · 32,000
        (2048, 32_000, 1, 1, 1),
        (10_000, 100, None, 5000, 5000),  # 2 MiB of 400 bytes: 5,242 rows; chunks of about the same size
        (130, 128_256, None, 26, 4),  # 32 rows, made even
        (7, 10**9, None, 1, 1),
    ],
)
def test_rows_of_a_chunk_and_of_a_tile(N: int, V: int, chunk_bytes: int | None, rows: int, tile: int) -> None:
    assert Chunks.of(N, V, torch.zeros(()), chunk_bytes) == (rows, tile)


def test_tiles_are_counted_in_the_type_of_their_sums() -> None:
    assert Chunks.of(2048, 32_000, torch.zeros((), dtype=torch.bfloat16)) == (256, 16)
    assert Chunks.of(2048, 32_000, torch.zeros((), dtype=torch.float64)) == (256, 8)


# --- half precision ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hidden_dtype", "head_dtype", "value_error", "gradient_error"),
    [
        # Logits are rounded to the head's 8 bits once (4e-3 each, averaged over rows), sums are in float32. The
        # gradient is rounded before and after the product with W: 2 · 2e-3.
        (torch.bfloat16, torch.bfloat16, 3e-4, 6e-3),
        (torch.bfloat16, torch.float32, 1e-5, 4e-3),  # only the gradient is rounded, to the type of the hidden states
        (torch.float32, torch.bfloat16, 3e-3, 6e-3),  # the hidden states are rounded first, in both models
        (torch.float16, torch.float16, 3e-4, 3e-3),  # 11 bits: 5e-4
    ],
    ids=str,
)
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_half_precision_error_against_float64(  # type: ignore[no-untyped-def]
    edition, formulation, hidden_dtype, head_dtype, value_error, gradient_error
) -> None:
    made = batch_of(41, 401, 24, dtype=torch.float32)
    hidden = made.hidden.detach().to(hidden_dtype).requires_grad_()
    batch = made._replace(hidden=hidden, reference=made.reference.to(hidden_dtype), head=made.head.to(head_dtype))
    objective = Objective(config_of(edition, formulation))
    terms = objective.from_hidden(*batch)
    (gradient,) = torch.autograd.grad(terms.loss, hidden)
    exact = in_float64(batch)
    by_logits = objective.from_logits(exact.logits, exact.reference_logits, exact.labels)
    (expected,) = torch.autograd.grad(by_logits.loss, exact.hidden)
    assert terms.loss.dtype == torch.float32
    assert gradient.dtype == hidden_dtype
    assert relative(terms.loss, by_logits.loss) < value_error
    for name, value in terms.values().items():
        assert relative(value, by_logits.values()[name]) < value_error, name
    assert relative(gradient, expected) < gradient_error


def test_small_probabilities_do_not_vanish_in_float16_when_the_loss_is_scaled() -> None:
    # λ·p is about 2e-5, λ·p/N 2e-8: below the least float16 (6e-8), and so is the gradient before the loss scale
    N, scale = 1024, 2.0**14
    made = batch_of(N, 500, 8, dtype=torch.float32)
    gradients = []
    for dtype in (torch.float16, torch.float64):
        hidden = made.hidden.detach().half().to(dtype).requires_grad_()
        head = FrozenHead(made.head.weight.half().to(dtype), None)
        config, weights = config_of("arxiv-v5", "nlg"), {"diversity": 0.01}
        loss, _ = parts_from_hidden(config, head, hidden, None, made.labels, weights, 10**6)
        gradients.append(torch.autograd.grad(scale * loss, hidden)[0])
    assert gradients[0].dtype == torch.float16
    assert relative(*gradients) < 5e-3  # logits and probabilities are rounded to 11 bits, some below 6e-5 to fewer


# --- masked, repeated and vanishing values ----------------------------------------------------------------------------


@pytest.mark.parametrize(("T", "top_k"), [(1.0, None), (2.0, 5), (2.0, 8)])
def test_tokens_masked_by_an_infinite_bias(T: float, top_k: int | None) -> None:
    hidden, reference, head, labels = batch_of(6, 9, 4, bias=True)
    head.bias[7:] = -math.inf
    config = weighted(config_of("arxiv-v5", "nlg"), consistency=0.7, diversity=0.3)
    config = config.replace(
        consistency=config.consistency.replace(temperature=T), diversity=config.diversity.replace(top_k=top_k)
    )
    objective, labels = Objective(config), labels % 7
    by_hidden = objective.from_hidden(hidden, reference, head, labels)
    by_logits = objective.from_logits(head(hidden), head(reference), labels)
    assert relative(by_hidden.loss, by_logits.loss) < 1e-12
    gradients = [torch.autograd.grad(terms.loss, hidden)[0] for terms in (by_hidden, by_logits)]
    assert relative(*gradients) < 1e-12
    masked = objective.from_hidden(hidden, reference, head, torch.full_like(labels, 8))
    assert masked.task.item() == math.inf  # a label that cannot be is not just unlikely


@pytest.mark.parametrize("hidden", ["zero", "equal rows", "two directions"])
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_repeated_and_vanishing_singular_values_are_finite(edition, formulation, hidden) -> None:  # type: ignore[no-untyped-def]
    made = batch_of(12, 30, 8)
    h = {
        "zero": torch.zeros(12, 8, dtype=torch.float64),
        "equal rows": made.hidden[:1].expand(12, 8).clone(),
        "two directions": made.hidden * (torch.arange(8) < 2),
    }[hidden]
    batch = made._replace(hidden=h.detach().requires_grad_())
    objective = Objective(config_of(edition, formulation))
    terms = objective.from_hidden(*batch)
    by_logits = objective.from_logits(batch.logits, batch.reference_logits, batch.labels)
    (gradient,) = torch.autograd.grad(terms.loss, batch.hidden)
    (expected,) = torch.autograd.grad(by_logits.loss, batch.hidden)
    assert gradient.isfinite().all()
    # values below 1e-7·σ_1 count as zero on both ways
    torch.testing.assert_close(terms.loss, by_logits.loss, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_a_bad_value_comes_out_as_nan_in_exactly_the_terms_it_touches(edition, formulation, bad) -> None:  # type: ignore[no-untyped-def]
    hidden, reference, head, labels = batch_of(12, 30, 8)
    objective = Objective(config_of(edition, formulation), chunk_bytes=1)
    for side, touched in (("reference", {"consistency"}), ("student", {"task", *TERMS})):
        pair = [hidden.detach().clone(), reference.clone()]
        pair[side == "reference"][3, 4] = bad
        terms = objective.from_hidden(*pair, head, labels)
        assert {name for name, value in terms.values().items() if value.isnan()} == touched
        assert terms.loss.isnan()


@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_no_valid_row_gives_a_zero_loss_with_a_graph(edition, formulation) -> None:  # type: ignore[no-untyped-def]
    _, _, head, _ = batch_of(1, 30, 8)
    hidden = torch.zeros(0, 8, dtype=torch.float64, requires_grad=True)
    terms = Objective(config_of(edition, formulation)).from_hidden(hidden, None, head, torch.zeros(0, dtype=torch.long))
    assert terms.loss.item() == 0.0
    assert terms.inactive == dict.fromkeys(TERMS, "no rows")
    terms.loss.backward()
    assert hidden.grad is not None
