"""A loss that is not finite stops the run, with the step and the term that went bad first."""

import json
import math

import pytest
import torch
from training_cases import adapted, answers, examples, objective, real_spec, trainer

from balora.errors import DataError, TrainingError
from balora.objective.terms import Terms
from balora.training import run as run_module
from balora.training import telemetry as telemetry_module
from balora.training.run import run
from balora.training.run_in_folder import run_in_folder
from balora.training.telemetry import Telemetry

ALL = {"consistency": 0.5, "diversity": 0.3, "spectral": 0.7}


def broken_after(model, steps):
    """Let the model's last norm turn into nan after so many training passes."""
    passes = 0

    def hook(module, args):
        nonlocal passes
        if module.training:
            passes += 1
            if passes > steps:
                module.weight.data.fill_(math.nan)

    next(m for n, m in model.named_modules() if n.endswith("model.norm")).register_forward_pre_hook(hook)


@pytest.mark.parametrize("name", ["llama", "classifier"])
def test_a_weight_that_turns_nan(tmp_path, name):
    model = adapted(name)
    broken_after(model, 2)
    family, rows = ("nlg", answers()) if name == "llama" else ("nlu", examples())
    with pytest.raises(TrainingError, match=r"^step 3: the task loss or its gradient is not finite"):
        trainer(model, objective(family, **ALL), rows, tmp_path, max_steps=5).train()


def test_labels_of_infinity_are_refused_with_their_row(tmp_path):
    rows = examples(8, regression=True)
    for row in rows:
        row["labels"] = math.inf
    with pytest.raises(DataError, match="row 0: its label is inf, but must be a finite number"):
        trainer(adapted("regressor"), None, rows, tmp_path).train()


def test_an_exploding_learning_rate(tmp_path):
    made = trainer(adapted("llama"), None, answers(), tmp_path, learning_rate=1e30, max_steps=6)
    with pytest.raises(TrainingError, match=r"step [23]: the task loss .*: lower the learning rate"):
        made.train()


def test_a_bad_reference_is_consistencys_fault(tmp_path):
    model = adapted("classifier")
    head = model.get_base_model().score.original_module
    head.weight.data.fill_(math.nan)  # what the reference uses; the student trains a copy
    with pytest.raises(TrainingError, match="step 1: the consistency loss"):
        trainer(model, objective("nlu", consistency=0.5), examples(), tmp_path).train()


def terms(**values):
    tensors = {name: torch.tensor(value) for name, value in {"task": 1.0, **values}.items()}
    parts = {name: tensors.get(name) for name in ALL}
    weights = dict.fromkeys(values, 1.0)
    return Terms(loss=sum(tensors.values()), task=tensors["task"], parts=parts, weights=weights)


def test_the_first_bad_term_is_named_although_others_follow(monkeypatch):
    monkeypatch.setattr(telemetry_module, "reading_is_free", lambda device: False)
    telemetry = Telemetry(0)
    telemetry.add(0, terms(consistency=0.1, spectral=-1.0), {})
    telemetry.add(1, terms(consistency=0.1, spectral=math.inf), {})
    telemetry.add(2, terms(task=math.nan, consistency=math.nan, spectral=math.nan), {})
    with pytest.raises(TrainingError, match=r"^step 2: the spectral loss"):
        telemetry.check()


def test_a_recorded_step_reads_even_a_device_that_has_to_be_waited_for(monkeypatch):
    monkeypatch.setattr(telemetry_module, "reading_is_free", lambda device: False)
    telemetry = Telemetry(2)
    norms = {"task": torch.tensor(1.0)}
    telemetry.add(0, terms(), norms)
    telemetry.add(1, terms(task=math.nan), {})  # noticed at the next recorded step, with its own number
    with pytest.raises(TrainingError, match=r"^step 2: the task loss"):
        telemetry.add(2, terms(), norms)


def test_a_gradient_without_bound_is_noticed_where_it_is_compared():
    norms = {"task": torch.tensor(1.0), "spectral": torch.tensor(math.inf)}
    with pytest.raises(TrainingError, match=r"^step 4: the spectral loss or its gradient"):
        Telemetry(1).add(3, terms(spectral=-1.0), norms)


def test_a_bad_run_leaves_a_record_that_says_why(tmp_path, checkpoint, data, monkeypatch):
    true = run_module.attach

    def attach_broken(*args, **kwargs):
        model = true(*args, **kwargs)
        broken_after(model, 1)
        return model

    monkeypatch.setattr(run_module, "attach", attach_broken)
    spec = real_spec(checkpoint, data)
    record = run(spec, tmp_path / "run")
    assert (record.status, record.score, record.metrics) == ("failed", None, {})
    assert record.error.kind == "TrainingError"
    assert record.error.message.startswith("step 2: the task loss or its gradient is not finite (nan or inf): lower")
    assert record.cost.steps == 1
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"
    with pytest.raises(TrainingError, match="run failed: TrainingError: step 2: the task loss"):
        run_in_folder(spec, tmp_path / "single")


def test_a_bug_in_the_set_up_is_recorded_too(tmp_path, checkpoint, data, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("out of memory\n  while adapting")

    monkeypatch.setattr(run_module, "attach", fail)
    record = run(real_spec(checkpoint, data), tmp_path / "run")
    assert (record.error.kind, record.error.message) == ("RuntimeError", "out of memory while adapting")
    assert record.cost.steps == 0
