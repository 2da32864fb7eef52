"""What is recorded, when, and that it is true."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from training_cases import adapted, answers, collate, examples, moved, objective, trainer

from balora.adapters import reference_of
from balora.maths import consistency_kl, diversity_covariance, diversity_entropy, spectral_ratio
from balora.objective import ObjectiveConfig
from balora.objective import objective as objective_module
from balora.objective import task_loss as task_loss_module
from balora.objective.terms import Terms
from balora.training import telemetry as telemetry_module
from balora.training.loss import ModelLoss
from balora.training.reference.keys import ROW_KEYS, row_keys
from balora.training.reference.reference_cache import ReferenceCache
from balora.training.rows import next_token_rows
from balora.training.telemetry import Telemetry

NAMES = ("task", "consistency", "diversity", "spectral")


def config_of(family):
    config = objective(family, consistency=0.5, diversity=0.3, spectral=0.7)
    return config.replace(spectral={"weight": 0.7, "k": 2, "norm": "nuclear"})


def expected_row(name, batch, config):
    """Values, and λ·‖gradient at the last hidden state‖, with one autograd call a term through the whole head."""
    model = moved(adapted(name, dtype=torch.float64))
    base, caught = model.get_base_model(), []
    hook = base.model.register_forward_hook(lambda module, args, output: caught.append(output.last_hidden_state))
    fed = {key: batch[key] for key in ("input_ids", "attention_mask")}
    with reference_of(model):
        reference = model(**fed).logits
    caught.clear()
    student, labels = model(**fed).logits, batch["labels"]
    hook.remove()
    if name == "llama":
        counted, labels = next_token_rows(labels)
        student, reference = student[:, :-1][counted], reference[:, :-1][counted]
    diversity = diversity_entropy(student, 20) if name == "llama" else diversity_covariance(student)
    terms = {
        "task": F.cross_entropy(student, labels),
        "consistency": consistency_kl(student, reference, 2.0),
        "diversity": diversity,
        "spectral": spectral_ratio(student, 2, "nuclear"),
    }
    weights = {"task": 1.0} | {term: getattr(config, term).weight for term in NAMES[1:]}
    gradients = {term: torch.autograd.grad(value, caught[0], retain_graph=True)[0] for term, value in terms.items()}
    norms = {term: weights[term] * gradient.norm().item() for term, gradient in gradients.items()}
    return {term: value.item() for term, value in terms.items()}, norms


@pytest.mark.parametrize("name", ["llama", "classifier"])
def test_a_row_holds_what_autograd_finds(name):
    family, rows = ("nlg", answers()) if name == "llama" else ("nlu", examples())
    config, batch = config_of(family), collate(rows)
    telemetry = Telemetry(1)
    model = moved(adapted(name, dtype=torch.float64))
    terms, _, norms = ModelLoss(model, config)(model, batch, norms=True)
    telemetry.add(6, terms, norms)
    (row,) = telemetry.series()
    values, expected = expected_row(name, batch, config)
    total = sum(expected.values())
    assert row["step"] == 7
    assert row["loss"] == pytest.approx(terms.loss.item(), rel=1e-12)
    for term in NAMES:
        assert row[term] == pytest.approx(values[term], rel=1e-9), term
        assert row[f"{term}_gradient"] == pytest.approx(expected[term], rel=1e-5), term  # norms are float32
        assert row[f"{term}_share"] == pytest.approx(expected[term] / total, rel=1e-5), term
        assert row[f"{term}_share"] > 1e-4, term
    assert row["task_weight"] == 1.0
    assert row["spectral_weight"] == 0.7
    assert sum(row[f"{term}_share"] for term in NAMES) == pytest.approx(1.0)


@pytest.mark.parametrize(("every", "steps"), [(1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (4, [1, 5]), (0, [])])
def test_every_so_many_steps_whatever_the_accumulation(tmp_path, every, steps):
    changes = {"max_steps": 5, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 3}
    made = trainer(adapted("llama"), config_of("nlg"), answers(), tmp_path, every=every, **changes)
    made.train()
    assert [row["step"] for row in made.telemetry.series()] == steps


def test_recording_changes_nothing(tmp_path):
    ended = []
    for every in (0, 1):
        model = adapted("bert")  # with dropout: another draw of random numbers would show
        trainer(model, config_of("nlu"), examples(), tmp_path, every=every).train()
        ended.append([p.detach() for p in model.parameters() if p.requires_grad])
    assert all(torch.equal(a, b) for a, b in zip(*ended, strict=True))


def test_the_log_and_the_file_hold_the_series(tmp_path):
    made = trainer(adapted("llama"), config_of("nlg"), answers(), tmp_path, every=1)
    made.train()
    made.telemetry.write(tmp_path / "series.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "series.jsonl").read_text().splitlines()]
    assert rows == made.telemetry.series()
    logged = [entry for entry in made.state.log_history if "loss" in entry]
    assert [entry["balora/consistency_share"] for entry in logged] == [row["consistency_share"] for row in rows]
    summary = made.telemetry.summary({"consistency": 0.5, "diversity": 0.3, "spectral": 0.7})
    assert summary["consistency"].weight == 0.5
    assert summary["consistency"].first == rows[0]["consistency"]
    assert summary["consistency"].last == rows[-1]["consistency"]
    assert summary["consistency"].mean == pytest.approx(sum(row["consistency"] for row in rows) / 3)
    shares = [sum(row[f"{term}_share"] for row in rows) / 3 for term in NAMES]
    assert [summary[term].gradient_share for term in NAMES] == pytest.approx(shares)
    assert sum(shares) == pytest.approx(1.0)


def test_a_step_without_the_term_counts_as_no_share():
    telemetry = Telemetry(1)
    one = torch.tensor(1.0)
    telemetry.add(0, Terms(loss=one, task=one, parts={"diversity": None}), {"task": one})
    both = Terms(loss=one, task=one, parts={"diversity": one}, weights={"diversity": 0.5})
    telemetry.add(1, both, {"task": one, "diversity": 3 * one})
    assert telemetry.summary({"diversity": 0.5})["diversity"].gradient_share == pytest.approx(0.75 / 2)
    assert telemetry.summary({"spectral": 0.0})["spectral"].mean is None


def test_published_settings_that_cannot_act_are_named(tmp_path):
    # 8 rows in batches of 3: the last of each epoch has 2 rows, and two classes of three have none
    made = trainer(
        adapted("classifier"),
        ObjectiveConfig.preset("ba-lora", family="nlu"),
        examples(8),
        tmp_path,
        max_steps=6,
        per_device_train_batch_size=3,
    )
    made.train()
    reason = "k = 5 ≥ min(N, D) = 3: the nuclear ratio is -1 whatever the logits are"
    assert made.telemetry.inactive() == {"spectral": reason}  # for two reasons, the other one being min(N, D) = 2
    assert made.telemetry.notes() == []


def test_a_term_that_could_not_act_on_some_batches_is_a_note(tmp_path):
    changes = {"max_steps": 6, "per_device_train_batch_size": 4}
    made = trainer(adapted("classifier"), config_of("nlu"), examples(9), tmp_path, **changes)
    made.train()
    assert made.telemetry.inactive() == {}
    assert made.telemetry.notes() == [
        "diversity could not act on 2 of 6 batches: a covariance needs two rows, the batch has 1",
        "spectral could not act on 2 of 6 batches: logits of 1 row(s) × 3 output(s) have one singular value: the ratio "
        "is -1",
    ]


class Readings(TorchDispatchMode):
    """Counts values that are read from a tensor: on a GPU each would wait for the device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["llama", "classifier"])
def test_an_unrecorded_step_reads_nothing_from_the_device(name, monkeypatch):
    monkeypatch.setattr(telemetry_module, "reading_is_free", lambda device: False)
    for module in (objective_module, task_loss_module):
        monkeypatch.setattr(module, "check_labels", lambda labels, outputs: None)  # made on the CPU only
    family, rows = ("nlg", answers()) if name == "llama" else ("nlu", examples())
    model, batch = moved(adapted(name)), collate(rows)
    batch[ROW_KEYS] = row_keys(batch, causal=name == "llama")  # as the trainer's collator leaves it
    cache = None if name == "llama" else ReferenceCache()
    loss, telemetry = ModelLoss(model, config_of(family), reference_cache=cache), Telemetry(2)
    telemetry.add(0, *loss(model, batch, norms=True)[::2])  # the first step settles what is settled once
    fed = {key: batch[key] for key in ("input_ids", "attention_mask")}
    with Readings() as plain:
        model(**fed)
        if name == "llama":
            with reference_of(model):
                model(**fed)
    with Readings() as unrecorded:
        terms, _, norms = loss(model, batch, norms=telemetry.wants(1))
        telemetry.add(1, terms, norms)
        terms.loss.backward()
    assert unrecorded.count == plain.count  # what transformers' own forward passes read
    with Readings() as recorded:
        telemetry.add(2, *loss(model, batch, norms=telemetry.wants(2))[::2])
        telemetry.series()
    assert recorded.count > plain.count
