"""The generic controls: L2 to the start, smoothed labels, weight decay, dropout, a longer run, and what they leave."""

import pytest
import torch
from torch import nn
from training_cases import adapted, answers, arguments, collate, examples, losses, moved, objective, real_spec, trainer
from training_cases import trained_weights as weights_of
from transformers import Trainer

from balora.training import run as run_module
from balora.training.controls import StartPenalty
from balora.training.loss import ModelLoss
from balora.training.run import run
from balora.training.spec import TrainingConfig
from balora.training.trainer import BALoraTrainer

ALPHA = 3.0
CONTROLS = ("weight decay", "label smoothing", "adapter dropout", "L2 to the start", "stretched")


def told(record):
    """What the record notes of its controls, without what it notes of its data."""
    return [note for note in record.notes if note.startswith(CONTROLS)]


def test_the_penalty_is_half_the_squared_distance_of_what_is_trained():
    model = nn.Sequential(nn.Linear(2, 1), nn.Linear(2, 1)).double()
    model[1].requires_grad_(False)
    penalty = StartPenalty(model, ALPHA)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    assert penalty().item() == 0.0
    with torch.no_grad():
        model[0].weight += torch.tensor([[3.0, -4.0]])
        model[0].bias += 2.0
        model[1].weight += 100.0
    assert penalty().item() == pytest.approx((9 + 16 + 4) / 2, rel=1e-15)
    (5 * penalty()).backward()
    torch.testing.assert_close(model[0].weight.grad, 5 * (model[0].weight.detach() - start["0.weight"]))
    torch.testing.assert_close(model[0].bias.grad, 5 * (model[0].bias.detach() - start["0.bias"]))
    assert model[1].weight.grad is None


def test_the_penalty_s_gradient_is_that_of_its_value():
    model = nn.Linear(3, 2).double()
    penalty = StartPenalty(model, ALPHA)
    moved(model, size=1.0)
    assert torch.autograd.gradcheck(lambda *_: penalty(), tuple(model.parameters()))


@pytest.mark.parametrize("init", ["pissa", "standard"])
@pytest.mark.parametrize(("size", "accumulation"), [(4, 1), (2, 2)])
def test_training_adds_the_penalty_to_the_loss_of_each_step(tmp_path, init, size, accumulation):
    """Three steps of SGD by hand on task + α/2·‖θ − θ0‖², clipped as a whole."""
    rows, changes = answers(), {"optim": "sgd", "learning_rate": 0.05, "max_grad_norm": 0.5}
    model = moved(adapted("llama", init=init, dtype=torch.float64))
    made = BALoraTrainer(
        model,
        arguments(tmp_path, per_device_train_batch_size=size, gradient_accumulation_steps=accumulation, **changes),
        objective=objective("nlg"),
        l2_start=ALPHA,
        telemetry_every=1,
        train_dataset=rows,
        data_collator=collate,
    )
    made.train()
    other = moved(adapted("llama", init=init, dtype=torch.float64))
    chosen = [parameter for parameter in other.parameters() if parameter.requires_grad]
    start = [parameter.detach().clone() for parameter in chosen]
    order = [batch["index"] for batch in trainer(adapted("llama"), None, rows, tmp_path).get_train_dataloader()]
    optimizer, distances = torch.optim.SGD(chosen, lr=0.05), []
    for indices in [*order, order_of_second_epoch(tmp_path, rows)]:
        optimizer.zero_grad()
        batch = collate([rows[index] for index in indices])
        distance = sum((p - s).square().sum() for p, s in zip(chosen, start, strict=True)) / 2
        (ModelLoss(other, objective("nlg"))(other, batch)[0].loss + ALPHA * distance).backward()
        torch.nn.utils.clip_grad_norm_(chosen, 0.5)
        optimizer.step()
        distances.append(distance.item())
    expected = weights_of(other)
    for name, value in weights_of(model).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-8)
    assert [row["l2_start"] for row in made.telemetry.series()] == pytest.approx(distances, rel=1e-6)
    assert distances[0] == 0.0 < distances[1]


def order_of_second_epoch(folder, rows):
    """What a trainer with these seeds draws first in its second epoch."""
    seen = []

    class Watching(BALoraTrainer):
        def compute_loss(self, model, inputs, *args, **kwargs):
            seen.append(inputs["index"])
            return super().compute_loss(model, inputs, *args, **kwargs)

    Watching(adapted("llama"), arguments(folder), train_dataset=rows, data_collator=collate).train()
    return seen[2]


@pytest.mark.parametrize("name", ["llama", "classifier"])
@pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning")
def test_smoothed_labels_train_as_in_transformers(tmp_path, name):
    family, rows = ("nlg", answers()) if name == "llama" else ("nlu", examples())
    ours, theirs, plain = (moved(adapted(name)) for _ in range(3))
    made = trainer(ours, objective(family), rows, tmp_path, label_smoothing_factor=0.3)
    made.train()
    unsmoothed = trainer(plain, objective(family), rows, tmp_path)
    unsmoothed.train()
    hugging = Trainer(
        theirs,
        arguments(tmp_path, label_smoothing_factor=0.3),
        train_dataset=rows,
        data_collator=lambda batch: {key: value for key, value in collate(batch).items() if key != "index"},
    )
    hugging.train()
    assert losses(made) == pytest.approx([entry["loss"] for entry in hugging.state.log_history[:-1]], rel=1e-5)
    assert losses(made) != pytest.approx(losses(unsmoothed), rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"steps": 50}, 50),
        ({"steps": 50, "stretch": 1.33}, 67),  # 66.5
        ({"steps": 100, "stretch": 1.33}, 133),
        ({"steps": 3, "stretch": 0.5}, 2),  # 1.5
        ({"steps": 5, "stretch": 0.5}, 3),  # 2.5, not to even
        ({"steps": 2, "stretch": 0.01}, 1),
        ({"stretch": 2.0}, None),
    ],
)
def test_stretched_steps_are_whole(settings, steps):
    assert TrainingConfig(**settings).stretched_steps == steps


@pytest.fixture
def watched(monkeypatch):
    """The numbers of the examples of every batch of the runs made here, a list a run."""
    seen = []

    class Watching(BALoraTrainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            seen.append([])

        def compute_loss(self, model, inputs, *args, **kwargs):
            seen[-1].append(inputs["index"].tolist())
            return super().compute_loss(model, inputs, *args, **kwargs)

    monkeypatch.setattr(run_module, "BALoraTrainer", Watching)
    return seen


@pytest.mark.slow
def test_a_stretched_run_is_a_longer_one_over_the_same_rows(tmp_path, checkpoint, data, watched):
    def go(name, **changes):
        settings = {f"training.{key}": value for key, value in changes.items()}
        return run(real_spec(checkpoint, data, **{"data.eval_rows": 4, **settings}), tmp_path / name)

    short, stretched, long = go("short", steps=5), go("stretched", steps=5, stretch=1.3), go("long", steps=7)
    assert (short.cost.steps, stretched.cost.steps, long.cost.steps) == (5, 7, 7)
    assert watched[1][:5] == watched[0]
    assert watched[1] == watched[2]
    assert stretched.terms == long.terms  # schedules follow the whole length
    assert stretched.files == long.files
    assert told(stretched) == ["stretched: 1.3 times the steps or epochs that the settings name"]
    assert stretched.id != long.id
    assert told(long) == []
    epochs = go("epochs", steps=None, epochs=1.0, stretch=1.6)  # 16 rows in batches of 4: 6.4 steps
    assert epochs.cost.steps == 7


@pytest.mark.slow
def test_l2_to_the_start_is_a_term_of_the_record(tmp_path, checkpoint, data):
    def go(name, weight):
        changes = {"data.eval_rows": 4, "training.l2_start": weight, "training.steps": 6}
        spec = real_spec(checkpoint, data, **changes)
        return run(spec, tmp_path / name)

    free, held, tight = go("free", 0.0), go("held", 0.01), go("tight", 1e3)
    assert "l2_start" not in free.terms
    term = held.terms["l2_start"]
    assert (term.weight, term.first, term.gradient_share) == (0.01, 0.0, None)
    assert term.last > 1e-6
    assert tight.terms["l2_start"].last < 0.9 * term.last
    assert told(held) == ["L2 to the start with weight 0.01 on 71 trained tensors"]  # 35 layers, a head
    assert held.terms["task"].first == free.terms["task"].first
    shares = [held.terms[name].gradient_share for name in ("task", "consistency", "diversity")]
    assert sum(shares) == pytest.approx(1.0, rel=1e-9)


def test_smoothed_labels_show_in_the_record(tmp_path, checkpoint, data):
    def go(name, weight):
        spec = real_spec(checkpoint, data, **{"data.eval_rows": 4, "training.label_smoothing": weight})
        return run(spec, tmp_path / name)

    plain, smoothed = go("plain", 0.0), go("smoothed", 0.2)
    assert told(smoothed) == ["label smoothing 0.2 in the task loss of training"]
    assert smoothed.terms["task"].first != pytest.approx(plain.terms["task"].first, rel=1e-3)
    assert "label_smoothing" not in smoothed.inactive


@pytest.mark.slow
def test_smoothing_cannot_act_on_regression(tmp_path, checkpoint, data):
    changes = {"task": "stsb", "data.eval_rows": 4}
    plain = run(real_spec(checkpoint, data, **changes), tmp_path / "plain")
    smoothed = run(real_spec(checkpoint, data, **changes, **{"training.label_smoothing": 0.2}), tmp_path / "smoothed")
    assert smoothed.inactive["label_smoothing"] == "regression: a squared error has no classes to smooth over"
    assert smoothed.terms == plain.terms
    assert told(smoothed) == []
    assert "consistency.temperature" not in plain.inactive


def test_a_changed_setting_that_cannot_act_is_in_the_record(tmp_path, checkpoint, data):
    settings = {"data.eval_rows": 4, "objective.consistency.temperature": 3.0, "objective.diversity.top_k": 2}
    record = run(real_spec(checkpoint, data, task="stsb", **settings), tmp_path / "run")
    assert record.inactive["consistency.temperature"] == "one output: consistency is the plain mean squared error"
    assert record.inactive["diversity.top_k"] == "the covariance has no K"
    assert record.inactive["diversity"].startswith("one output")


def test_weight_decay_reaches_factors_magnitudes_and_heads_but_no_bias(tmp_path):
    made = trainer(adapted("bert", variant="dora"), None, examples(), tmp_path, weight_decay=0.1)
    made.create_optimizer()
    by_decay = {group["weight_decay"]: group["params"] for group in made.optimizer.param_groups}
    names = {id(parameter): name for name, parameter in made.model.named_parameters()}
    free = [names[id(parameter)] for parameter in by_decay[0.0]]
    assert free == [name for name in names.values() if name.endswith("bias") and "modules_to_save" in name]
    decayed = [names[id(parameter)] for parameter in by_decay[0.1]]
    for part in ("lora_A", "lora_B", "lora_magnitude_vector", "classifier.modules_to_save.default.weight"):
        assert any(part in name for name in decayed), part
    assert len(free) + len(decayed) == sum(parameter.requires_grad for parameter in made.model.parameters())


def test_decay_and_dropout_show_in_the_record(tmp_path, checkpoint, data):
    changes = {"training.weight_decay": 0.1, "adapter.dropout": 0.2, "data.eval_rows": 4}
    record = run(real_spec(checkpoint, data, method="lora", **changes), tmp_path / "run")
    assert told(record) == [
        "weight decay 0.1 on 71 of 71 trained tensors (biases and norms are left out)",
        "adapter dropout 0.2 on the input of 35 layers",
    ]
