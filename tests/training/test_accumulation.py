"""A step of 8 rows is the same step however it is split; the terms of a whole matrix are weighted by rows."""

import pytest
import torch
from training_cases import adapted, answers, collate, examples, losses, moved, objective, trained_weights, trainer

from balora.objective import ObjectiveConfig
from balora.training.loss import ModelLoss
from balora.training.trainer import share_of_step

TOKEN_MEANS = {"none": {}, "consistency and entropy": {"consistency": 0.5, "diversity": 0.3}}
SPLITS = [(8, 1), (4, 2), (2, 4)]


def after_training(tmp_path, rows, config, size, accumulation, *, name="llama", steps=2, **changes):
    model = moved(adapted(name, dtype=torch.float64))
    made = trainer(
        model,
        config,
        rows,
        tmp_path / f"{size}x{accumulation}",
        per_device_train_batch_size=size,
        gradient_accumulation_steps=accumulation,
        max_steps=steps,
        optim="sgd",
        learning_rate=0.05,
        **changes,
    )
    made.train()
    return trained_weights(model), losses(made)


def same(one, other, tolerance=1e-6):
    # share_of_step is float32: the weights of two splits may differ in its last digit
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("weights", TOKEN_MEANS.values(), ids=TOKEN_MEANS)
def test_eight_rows_are_one_step_however_they_are_split(tmp_path, weights):
    config = objective("nlg", **weights)
    (one, first), *others = [after_training(tmp_path, answers(), config, *split) for split in SPLITS]
    start = trained_weights(moved(adapted("llama", dtype=torch.float64)))
    assert max((one[name] - start[name]).abs().max() for name in one) > 1e-3
    for other, second in others:
        same(one, other)
        assert second == pytest.approx(first, rel=1e-6)  # the logged loss too is the whole step's


def test_adamw_too(tmp_path):
    config = objective("nlg", consistency=0.5, diversity=0.3)
    model_a, model_b = (moved(adapted("llama", dtype=torch.float64)) for _ in range(2))
    for model, size, accumulation in ((model_a, 8, 1), (model_b, 2, 4)):
        trainer(
            model,
            config,
            answers(),
            tmp_path / str(size),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            max_steps=2,
        ).train()
    same(trained_weights(model_a), trained_weights(model_b), tolerance=1e-5)


def test_a_last_step_of_fewer_micro_batches(tmp_path):
    # 8 rows in micro-batches of 2, three to a step: the second step has one micro-batch and its own count of tokens
    one, first = after_training(tmp_path, answers(), None, 2, 3, steps=2, num_train_epochs=1)
    rows = answers()
    model = moved(adapted("llama", dtype=torch.float64))
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
    order = order_of(tmp_path, rows)
    for chosen in (order[:6], order[6:]):
        optimizer.zero_grad()
        loss = ModelLoss(model, objective("nlg"))(model, collate([rows[i] for i in chosen]))[0].loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    same(one, trained_weights(model))
    assert first[-1] == pytest.approx(loss.item(), rel=1e-6)


def order_of(tmp_path, rows, name="llama"):
    """The order in which a trainer with these seeds draws the rows."""
    made = trainer(adapted(name), None, rows, tmp_path / "order", per_device_train_batch_size=1)
    return [batch["index"][0] for batch in made.get_train_dataloader()]


def test_gpt2_counts_no_label_at_the_first_position(tmp_path):
    # every token is a label, the first one too: transformers alone would divide by one more token a row
    rows = [{**row, "labels": row["input_ids"]} for row in answers()]
    _, (logged, *_) = after_training(tmp_path, rows, None, 8, 1, name="gpt2")
    model = moved(adapted("gpt2", dtype=torch.float64))
    assert logged == pytest.approx(ModelLoss(model, objective("nlg"))(model, collate(rows))[0].loss.item(), rel=1e-6)


@pytest.mark.parametrize("regression", [False, True])
def test_classification_steps_are_means_over_examples(tmp_path, regression):
    name = "regressor" if regression else "classifier"
    rows = examples(8, regression=regression)
    config = objective("nlu", consistency=0.5)
    one, _ = after_training(tmp_path, rows, config, 8, 1, name=name)
    other, _ = after_training(tmp_path, rows, config, 3, 3, name=name)
    same(one, other)


MATRIX_TERMS = [
    ("nlg", "nlu", "llama", {"diversity": 0.3}),
    ("nlg", "nlg", "llama", {"spectral": 0.7}),
    ("nlu", "nlu", "classifier", {"diversity": 0.3}),
]


@pytest.mark.parametrize(("family", "formulation", "name", "weights"), MATRIX_TERMS)
def test_terms_of_a_whole_matrix_weigh_by_their_share_of_rows(tmp_path, family, formulation, name, weights):
    config = weighted(family, formulation, weights)
    rows = answers() if family == "nlg" else examples(8)
    model = moved(adapted(name, dtype=torch.float64))
    before = trained_weights(model)
    after, _ = after_training(
        tmp_path, rows, config, 3, 3, name=name, steps=1, max_grad_norm=1e9
    )  # micro-batches of 3, 3 and 2
    loss, order = ModelLoss(model, config), order_of(tmp_path, rows, name)
    parts = [loss(model, collate([rows[i] for i in order[start : start + 3]])) for start in (0, 3, 6)]
    whole = sum(count for _, count, _ in parts)
    total = sum(count / whole * terms.loss for terms, count, _ in parts)
    chosen = {n: p for n, p in model.named_parameters() if p.requires_grad}
    found = dict(zip(chosen, torch.autograd.grad(total, list(chosen.values())), strict=True))
    same(after, {n: before[n] - 0.05 * found[n] for n in before})
    equal_parts = sum(terms.loss for terms, _, _ in parts) / 3
    if family == "nlg":
        assert abs(equal_parts - total) > 1e-3  # rows of answers differ so much that another weighting would show


def weighted(family, formulation, weights):
    config = ObjectiveConfig.preset("none", family=family, formulation=formulation)
    terms = {
        term: getattr(config, term).replace(weight=weight, schedule="constant") for term, weight in weights.items()
    }
    if "spectral" in terms:
        terms["spectral"] = terms["spectral"].replace(k=2, norm="nuclear")
    return config.replace(**{term: value.model_dump() for term, value in terms.items()})


def test_the_share_of_a_micro_batch():
    assert share_of_step(3, torch.tensor(12), 1).item() == 0.25
    assert share_of_step(3, 12, 2).item() == 0.5  # gradients are averaged over two processes afterwards
    assert share_of_step(0, torch.tensor(0), 1).item() == 0.0
