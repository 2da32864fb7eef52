"""`reference_head: probe`: the head alone is fitted, and student and reference start from it."""

import pytest
import torch
from training_cases import build, collate, examples, moved, objective, real_spec

from balora.adapters import AdapterConfig, attach
from balora.training import probe
from balora.training import run as run_module
from balora.training.loss import ModelLoss
from balora.training.probe import fit_head
from balora.training.run import run


def task_loss(model, rows):
    batch = collate(rows)
    batch.pop("index")
    with torch.no_grad():
        return model(**batch).loss.item()


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(probe, "STEPS", 60)


@pytest.mark.parametrize("name", ["classifier", "bert", "regressor"])
def test_the_head_learns_and_nothing_else_moves(name):
    rows = examples(24, regression=name == "regressor")
    model = build(name, scale=3.0)
    for parameter in list(model.parameters())[::3]:
        parameter.requires_grad_(False)
    model.train()
    flags = [parameter.requires_grad for parameter in model.parameters()]
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    state = torch.get_rng_state()
    model.eval()
    first = task_loss(model, rows)
    model.train()
    last = fit_head(model, rows, collate, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert all(parameter.grad is None for parameter in model.parameters())
    head = {"score.weight"} if name != "bert" else {"classifier.weight", "classifier.bias"}
    assert {key for key, value in model.named_parameters() if not torch.equal(value, before[key])} == head
    model.eval()
    assert task_loss(model, rows) < first - 0.03  # the classes are random: most cannot be learnt
    assert last == pytest.approx(task_loss(model, rows), rel=0.5)


def test_the_seed_decides_the_rows():
    heads = []
    for seed in (1, 1, 2):
        model = build("classifier")
        fit_head(model, examples(64), collate, seed=seed)
        heads.append(model.score.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_student_and_reference_are_equal_at_the_first_step():
    model = build("classifier")
    fit_head(model, examples(), collate, seed=1)
    model = attach(model, AdapterConfig(rank=2))
    loss = ModelLoss(model, objective("nlu", consistency=1.0))
    student, reference, _ = loss.read(model, collate(examples()))
    torch.testing.assert_close(student.logits, reference.logits, rtol=1e-6, atol=1e-6)
    assert loss(moved(model), collate(examples()))[0].consistency > 1e-4


@pytest.mark.slow
def test_a_half_precision_run_with_a_probe_starts_better(tmp_path, checkpoint, data, monkeypatch):
    losses = []
    true = run_module.fit_head

    def watched(model, rows, make, seed):
        losses.append(task_loss(model, rows))
        return true(model, rows, make, seed)

    monkeypatch.setattr(run_module, "fit_head", watched)
    monkeypatch.setattr(probe, "STEPS", 20)
    changes = {"objective.reference_head": "probe", "training.precision": "bfloat16", "training.learning_rate": 1e-6}
    record = run(real_spec(checkpoint, data, **changes), tmp_path / "run")
    assert record.status == "ok"
    (note,) = [note for note in record.notes if note.startswith("reference head: fitted on frozen features, last")]
    assert float(note.rsplit(" ", 1)[1]) < losses[0]
    assert record.terms["task"].first < 1.2 * losses[0]  # with a head whose updates autocast's cache hid, it was 25
    assert record.terms["consistency"].first == pytest.approx(0.0, abs=1e-3)
