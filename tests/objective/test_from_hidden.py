"""From hidden states equals from logits: values, gradients, shapes, biases, chunks; and the gradient is the loss's."""

import pytest
import torch
from objective_cases import FORMULATIONS, TERMS, Batch, batch_of, config_of, in_float64, relative, weighted

from balora.objective import Objective, rowwise
from balora.objective.terms import Terms

# float32: one rounding is 6e-8, sums over a vocabulary and differences of two models' probabilities cost some digits.
# float64: the same digits further down; singular values through a Gram matrix keep 1e-15 where they are not tiny.
TOLERANCES = {torch.float32: (1e-6, 1e-5), torch.float64: (1e-12, 1e-12)}


def chunk(rows: int, batch: Batch) -> int:
    """The `chunk_bytes` that make chunks of ``rows`` rows at most: the logits of two models."""
    return rows * 2 * batch.head.out_features * batch.hidden.element_size()


def assert_agree(objective: Objective, batch: Batch, *, each_gradient: bool = True) -> None:
    """Against the logits of the same rounded numbers, in float64: float32 logits are up to ten times further off."""
    value_tolerance, gradient_tolerance = TOLERANCES[batch.hidden.dtype]
    hidden, reference, head, labels = batch
    exact = in_float64(batch)
    by_hidden = objective.from_hidden(hidden, reference, head, labels, progress=0.5)
    by_logits = objective.from_logits(exact.logits, exact.reference_logits, labels, progress=0.5)
    assert by_hidden.weights == by_logits.weights
    assert by_hidden.inactive == by_logits.inactive
    assert by_hidden.values().keys() == by_logits.values().keys()
    for name, value in {**by_logits.values(), "loss": by_logits.loss}.items():
        assert relative(getattr(by_hidden, name), value) < value_tolerance, name
    if each_gradient:
        gradients = objective.gradients_from_hidden(hidden, reference, head, labels, progress=0.5)
        assert gradients.keys() == by_logits.values().keys()
        for name, value in by_logits.values().items():
            weight = by_logits.weights.get(name, 1.0)
            (expected,) = torch.autograd.grad(weight * value, exact.hidden, retain_graph=True)
            assert relative(gradients[name], expected) < gradient_tolerance, name
    (total,) = torch.autograd.grad(by_hidden.loss, hidden)
    (expected,) = torch.autograd.grad(by_logits.loss, exact.hidden)
    assert relative(total, expected) < gradient_tolerance


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("shape", [(1, 7, 3), (41, 401, 24), (200, 33, 16)], ids=str)
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_agrees_with_from_logits(edition, formulation, shape, bias, dtype) -> None:  # type: ignore[no-untyped-def]
    batch = batch_of(*shape, bias=bias, dtype=dtype)
    assert_agree(Objective(config_of(edition, formulation, outputs=shape[1]), chunk_bytes=chunk(17, batch)), batch)


def test_agrees_with_from_logits_where_the_head_takes_several_blocks() -> None:
    batch = batch_of(9, 20_000, 3, bias=True)  # W is read 4,096 rows at a time
    assert_agree(Objective(config_of("arxiv-v5", "nlu")), batch)


@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_agrees_with_from_logits_on_a_real_vocabulary_50257(edition, formulation) -> None:  # type: ignore[no-untyped-def]
    batch = batch_of(130, 50257, 64, bias=formulation == "nlu", dtype=torch.float32)
    objective = Objective(config_of(edition, formulation), chunk_bytes=chunk(32, batch))
    assert_agree(objective, batch, each_gradient=False)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_each_term_agrees_on_a_real_vocabulary_50257(edition, formulation, bias, dtype) -> None:  # type: ignore[no-untyped-def]
    batch = batch_of(130, 50257, 64, bias=bias, dtype=dtype)
    assert_agree(Objective(config_of(edition, formulation), chunk_bytes=chunk(32, batch)), batch)


@pytest.mark.parametrize("family", ["nlu", "nlg"])
def test_the_family_decides_nothing_but_weights(family) -> None:  # type: ignore[no-untyped-def]
    assert_agree(Objective(config_of("iclr-2026", "nlg", family=family)), batch_of(41, 401, 24))


@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_chunks_change_nothing(edition, formulation) -> None:  # type: ignore[no-untyped-def]
    batch = batch_of(42, 101, 12, bias=True)
    config = config_of(edition, formulation)
    results = []
    for rows in (1, 5, 14, 41, 42, 1000):  # dividing N = 42 or not
        terms = Objective(config, chunk_bytes=chunk(rows, batch)).from_hidden(*batch)
        results.append((terms.loss, *terms.values().values(), *torch.autograd.grad(terms.loss, batch.hidden)))
    for result in results[1:]:
        for value, expected in zip(result, results[0], strict=True):
            assert relative(value, expected) < 1e-14  # only the order of float64 sums differs


@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_tiles_of_a_chunk_change_nothing(edition, formulation, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    batch = batch_of(42, 101, 12, bias=True)
    objective = Objective(config_of(edition, formulation), chunk_bytes=chunk(17, batch))
    for rows in (1, 4, 7):  # in chunks of 9
        monkeypatch.setattr(rowwise, "CPU_TILE", rows * 101 * 8)
        assert rowwise.Chunks.of(42, 101, batch.head.weight, objective.chunk_bytes) == (9, rows)
        assert_agree(objective, batch)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("term", ["task", *TERMS])
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_gradcheck_of_every_term(edition, formulation, term, bias) -> None:  # type: ignore[no-untyped-def]
    hidden, reference, head, labels = batch_of(6, 9, 4, bias=bias)
    config = weighted(config_of(edition, formulation, outputs=9), **({} if term == "task" else {term: 3.0}))
    config = config.replace(spectral=config.spectral.replace(k=2))
    objective = Objective(config, chunk_bytes=1)  # chunks of one row

    def loss(h: torch.Tensor) -> torch.Tensor:
        return objective.from_hidden(h, reference, head, labels).loss

    assert term == "task" or term in objective.from_hidden(hidden, reference, head, labels).weights
    assert torch.autograd.gradcheck(loss, hidden)


@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_no_gradient_flows_into_reference_or_head(edition, formulation) -> None:  # type: ignore[no-untyped-def]
    hidden, reference, head, labels = batch_of(12, 30, 8, bias=True)
    reference.requires_grad_()
    terms = Objective(config_of(edition, formulation)).from_hidden(hidden, reference, head, labels)
    terms.loss.backward()
    assert hidden.grad is not None
    assert reference.grad is None
    assert head.weight.grad is None
    assert not any(value.requires_grad for value in terms.values().values())  # values only, as documented


def test_the_loss_can_be_scaled_before_and_after() -> None:
    hidden, reference, head, labels = batch_of(12, 30, 8)
    objective = Objective(config_of("iclr-2026", "nlg"))

    def terms() -> Terms:
        return objective.from_hidden(hidden, reference, head, labels)

    (once,) = torch.autograd.grad(terms().loss, hidden)
    (scaled,) = torch.autograd.grad(1024 * terms().loss / 8, hidden)
    torch.testing.assert_close(scaled, 128 * once)


def test_the_gradient_reaches_what_made_the_hidden_states() -> None:
    hidden, reference, head, labels = batch_of(12, 30, 8)
    layer = torch.nn.Linear(8, 8, dtype=torch.float64)
    objective = Objective(config_of("iclr-2026", "nlg"))
    inputs = hidden.detach()
    objective.from_hidden(layer(inputs), reference, head, labels).loss.backward()
    gradient = layer.weight.grad
    layer.zero_grad()
    objective.from_logits(head(layer(inputs)), head(reference), labels).loss.backward()
    assert gradient is not None
    assert layer.weight.grad is not None
    assert relative(gradient, layer.weight.grad) < 1e-12


@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_gradients_of_the_terms_sum_to_the_gradient_of_the_loss(edition, formulation) -> None:  # type: ignore[no-untyped-def]
    batch = batch_of(41, 101, 12)
    objective = Objective(config_of(edition, formulation))
    with torch.no_grad():  # a telemetry call inside a no_grad block still has gradients
        gradients = objective.gradients_from_hidden(*batch)
    assert set(gradients) == {"task", *TERMS}
    (total,) = torch.autograd.grad(objective.from_hidden(*batch).loss, batch.hidden)
    assert relative(sum(gradients.values(), torch.zeros_like(total)), total) < 1e-12
    assert batch.hidden.grad is None


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (1, 3, 4)])
@pytest.mark.parametrize(("edition", "formulation"), FORMULATIONS)
def test_micro_batches_by_their_share_of_rows_make_up_the_batch(edition, formulation, sizes) -> None:  # type: ignore[no-untyped-def]
    hidden, reference, head, labels = batch_of(8, 30, 6)
    config = config_of(edition, formulation)
    token_means = {"consistency": 0.7} | ({"diversity": 0.3} if config.diversity.form == "entropy" else {})
    objective = Objective(weighted(config, **token_means))
    whole = objective.from_hidden(hidden, reference, head, labels).loss
    loss = torch.zeros((), dtype=torch.float64)
    for h, r, y in zip(hidden.split(sizes), reference.split(sizes), labels.split(sizes), strict=True):
        loss = loss + objective.from_hidden(h, r, head, y).loss * len(h) / 8
    assert loss.item() == pytest.approx(whole.item(), rel=1e-14)  # float64: a few roundings
    torch.testing.assert_close(*(torch.autograd.grad(x, hidden)[0] for x in (loss, whole)), rtol=1e-13, atol=1e-16)
