"""Labels as people have them: what a classifier's outputs mean decides; else they are refused by name, on the host."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from trainer_cases import classifier, losses, row, rows, trainer
from transformers import Trainer, default_data_collator

from balora import ConfigError, DataError, InputError, ModelError, ObjectiveConfig
from balora.training.class_labels import IGNORED_ROWS, CheckedLabels, Outputs
from balora.training.loss import ModelLoss

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
ALL = ObjectiveConfig.preset("ba-lora", family="nlu")

floats = torch.tensor

# name: outputs, problem_type, labels of eight rows; transformers' own Trainer trains on each of them
AS_TRANSFORMERS = {
    "multi-label": (3, MULTI, [floats([1.0, 0.0, 1.0]), floats([0.0, 0.0, 0.0])] * 4),
    "multi-label by its floats": (3, None, [floats([1.0, 0.0, 1.0]), floats([0.0, 1.0, 0.0])] * 4),
    "soft labels": (2, MULTI, [floats([0.25, 0.5]), floats([1.0, 0.0])] * 4),
    "multi-label of one output": (1, MULTI, [floats([1.0]), floats([0.0])] * 4),
    "two numbers": (2, REGRESSION, [floats([0.1 * i, -100.0]) for i in range(8)]),
    "two numbers in half precision": (2, REGRESSION, [floats([0.5, i], dtype=torch.float16) for i in range(8)]),
    "ignored rows": (3, None, [-100 if i % 4 == 0 else i % 3 for i in range(8)]),
    "ignored rows, named": (3, SINGLE, [-100 if i < 3 else i % 3 for i in range(8)]),
    "column": (3, None, [floats([i % 3]) for i in range(8)]),
    "column with ignored rows": (3, None, [floats([-100 if i == 5 else i % 3]) for i in range(8)]),
    "one number": (1, None, [0.5 * i for i in range(8)]),
    "one number that is -100": (1, None, [-100.0 if i == 2 else 0.5 * i for i in range(8)]),
    "column of numbers": (1, REGRESSION, [floats([0.5 * i]) for i in range(8)]),
}


def both(case, folder, **changes):
    """Our trainer and transformers' on the same rows."""
    outputs, problem, labels = AS_TRANSFORMERS[case]
    return [
        trainer(classifier(outputs, problem), rows(labels), folder, kind=kind, eval_dataset=rows(labels), **changes)
        for kind in (trainer.__kwdefaults__["kind"], Trainer)
    ]


@pytest.mark.parametrize("case", AS_TRANSFORMERS)
def test_the_task_loss_is_transformers_own(case, tmp_path):
    ours, theirs = both(case, tmp_path)
    for made in (ours, theirs):
        made.train()
    assert losses(ours) == pytest.approx(losses(theirs), rel=1e-5)
    assert ours.evaluate()["eval_loss"] == pytest.approx(theirs.evaluate()["eval_loss"], rel=1e-5)


@pytest.mark.parametrize("case", AS_TRANSFORMERS)
@pytest.mark.slow
def test_accumulated_steps_are_means_over_all_their_rows(case, tmp_path):
    whole, _ = both(case, tmp_path, max_steps=1, per_device_train_batch_size=8)
    parts, _ = both(case, tmp_path, max_steps=1, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    for made in (whole, parts):
        made.train()
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-5)


@pytest.mark.parametrize("case", ["ignored rows", "column with ignored rows"])
@pytest.mark.slow
def test_smoothing_leaves_ignored_rows_out_as_transformers_does(case, tmp_path):
    ours, theirs = both(case, tmp_path, label_smoothing_factor=0.2)
    for made in (ours, theirs):
        made.train()
    assert losses(ours) == pytest.approx(losses(theirs), rel=1e-5)


def test_an_ignored_row_is_in_no_term():
    """With regularizers a batch is worth what it is without its ignored rows."""
    config = ALL.replace(consistency={"weight": 0.5}, spectral={"weight": 0.5, "k": 1})
    loss = ModelLoss(classifier(), config)
    kept, ignored = rows([0, 1, 2, 1]), [row(-100, 7), row(-100, 8)]
    with_them = default_data_collator([ignored[0], *kept[:2], ignored[1], *kept[2:]])
    for batch in (with_them, CheckedLabels(lambda rows: dict(with_them), loss.model.config, mark=True)(kept)):
        terms, count, _ = loss(loss.model, batch)
        assert count == 4
        torch.testing.assert_close(terms.loss, loss(loss.model, default_data_collator(kept))[0].loss)


def test_a_batch_of_ignored_rows_weighs_nothing(tmp_path):
    labels = [-100] * 4 + [0, 1, 2, 1]
    alone = trainer(classifier(), rows(labels)[4:], tmp_path, ALL, max_steps=1, lr_scheduler_type="constant")
    made = trainer(
        classifier(), rows(labels), tmp_path, ALL, max_steps=1, gradient_accumulation_steps=2,
        train_sampling_strategy="sequential",
    )  # fmt: skip
    for one in (alone, made):
        one.train()
    assert losses(made) == pytest.approx(losses(alone), rel=1e-5)


# name: outputs, problem_type, label of every row, words
MISFITS = {
    "whole numbers as multi-label": (3, MULTI, [1, 0, 1], "labels are int64 of shape (1, 3), but the model has 3"),
    "a class as multi-label": (3, MULTI, 1, "several labels a row (multi_label_classification): give floats of shape"),
    "a vector too short": (3, MULTI, [1.0, 0.0], "give floats of shape (rows, 3)"),
    "a vector too long": (2, REGRESSION, [1.0, 0.0, 2.0], "several numbers a row (regression on more than one output)"),
    "one number of two": (2, REGRESSION, 1.5, "give floats of shape (rows, 2)"),
    "several whole numbers as a class": (3, None, [1, 0, 1], "problem_type 'multi_label_classification'"),
    "float classes": (3, None, 2.0, "labels are float32 of shape (1,), but the model has 3 output(s) for one class"),
    "float classes, named": (3, SINGLE, 2.0, "give one whole number (torch.long) a row"),
    "a vector as a named class": (3, SINGLE, [1.0, 0.0, 0.0], "floats of shape (rows, 3) and problem_type"),
    "yes and no": (2, None, torch.tensor(True), "labels are bool of shape (1,)"),
    "a vector as one number": (1, None, [1.0, 2.0], "give one number a row, or load the model with more num_labels"),
    "a class too large": (3, None, 3, "row 0 of the batch: its label is 3, but the model has 3 outputs"),
    "a negative class": (3, None, -1, "must be between 0 and 2, or -100 to be ignored"),
    "a class one from -100": (3, SINGLE, -99, "its label is -99"),
    "a probability above one": (3, MULTI, [0.0, 2.0, 0.0], "its label for output 1 is 2, but must be a probability"),
    "a probability below zero": (3, MULTI, [0.0, 0.0, -100.0], "its label for output 2 is -100"),
    "nan": (1, None, float("nan"), "row 0 of the batch: its label is nan, but must be a finite number"),
    "infinity of two": (2, REGRESSION, [0.0, float("inf")], "its label for output 1 is inf"),
}


@pytest.mark.parametrize(("case", "objective"), [*product(MISFITS, (None, "ba-lora"))])
def test_labels_that_do_not_fit_are_refused_at_construction(case, objective, tmp_path):
    outputs, problem, label, words = MISFITS[case]
    with pytest.raises(InputError) as caught:
        trainer(classifier(outputs, problem), rows([label] * 4), tmp_path, objective)
    if not (objective and (problem == MULTI or (problem == REGRESSION and outputs > 1))):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


SEVERAL = ["multi-label", "multi-label by its floats", "soft labels", "multi-label of one output", "two numbers"]


@pytest.mark.parametrize(("case", "weight"), [*product(SEVERAL, ("consistency", "diversity", "spectral"))])
def test_a_regularizer_on_several_labels_a_row_is_refused_at_construction(case, weight, tmp_path):
    outputs, problem, labels = AS_TRANSFORMERS[case]
    config = ObjectiveConfig.preset("none", family="nlu").replace(**{weight: {"weight": 0.1}})
    kind = "regression on more than one output" if problem == REGRESSION else "multi_label_classification"
    with pytest.raises(ConfigError, match=rf"{kind}\): the {weight} term.*objective=None"):
        trainer(classifier(outputs, problem), rows(labels), tmp_path, config)


@pytest.mark.filterwarnings("ignore:Label smoothing is not compatible with multi-label:UserWarning")
@pytest.mark.parametrize("case", SEVERAL)
def test_smoothing_on_several_labels_a_row_is_refused_at_construction(case, tmp_path):
    outputs, problem, labels = AS_TRANSFORMERS[case]
    with pytest.raises(ConfigError, match=r"label_smoothing_factor = 0\.1: it spreads one class over the others"):
        trainer(classifier(outputs, problem), rows(labels), tmp_path, label_smoothing_factor=0.1)


def test_what_a_stream_holds_is_refused_at_its_first_batch(tmp_path):
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(rows([floats([1.0, 0.0, 1.0])] * 8))

    made = trainer(classifier(), Stream(), tmp_path, "ba-lora")
    with pytest.raises(ConfigError, match="the consistency, diversity, spectral term"):
        made.train()


def test_a_later_row_is_named_by_its_index(tmp_path):
    data = [{**one, "index": number} for number, one in enumerate(rows([0, 1, 2, 1, 0, 5, 1, 2]))]
    made = trainer(classifier(), data, tmp_path, remove_unused_columns=False)
    with pytest.raises(DataError, match=r"^row 5: its label is 5, but the model has 3 outputs"):
        made.train()


@pytest.mark.parametrize(
    ("outputs", "problem", "words"),
    [(1, SINGLE, "one output, but problem_type is 'single_label_classification'"), (3, "ranking", "'ranking'")],
)
def test_a_problem_that_there_is_not_is_refused(outputs, problem, words, tmp_path):
    model = classifier(outputs)
    object.__setattr__(model.get_base_model().config, "problem_type", problem)
    with pytest.raises(ModelError, match=words):
        trainer(model, rows([0] * 4), tmp_path)


def test_looking_at_the_first_row_draws_no_random_numbers(tmp_path):
    import random

    import numpy as np

    def drawing(batch):
        random.random(), np.random.rand(), torch.rand(1)
        return default_data_collator(batch)

    def drawn():
        return random.random(), np.random.rand(), torch.rand(1).item()

    ended = []
    for collate in (drawing, default_data_collator):
        model = classifier()
        random.seed(3), np.random.seed(3), torch.manual_seed(3)
        trainer(model, rows([0, 1, 2, 1]), tmp_path, collate=collate)
        ended.append(drawn())
    assert ended[0] == ended[1]


class Readings(TorchDispatchMode):
    """Counts what would wait for a device: values read, and shapes that depend on values."""

    WAITS = ("_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "index.Tensor_mask")

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = str(function)
        masked = name == "aten.index.Tensor" and any(
            one is not None and one.dtype == torch.bool for one in args[1] if isinstance(one, torch.Tensor)
        )
        if masked or name.split(".")[1] in self.WAITS:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


def test_checked_labels_are_not_read_again_on_the_device(monkeypatch):
    from balora.objective import task_loss

    monkeypatch.setattr(task_loss, "check_labels", lambda labels, outputs: None)  # made on the CPU only
    loss = ModelLoss(classifier(), ALL)
    data = rows([0, -100, 2, 1])
    batch = CheckedLabels(default_data_collator, loss.model.config, mark=True)(data)
    assert batch[IGNORED_ROWS] == (1,)
    with Readings() as plain, loss.frozen() as frozen:
        loss.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        frozen(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    with Readings() as ours:
        loss(loss.model, batch)
    assert ours.found == plain.found


def test_labels_are_read_by_the_formulas_that_the_model_names():
    logits = torch.tensor([[0.5, -1.0], [2.0, 0.0]])
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert Outputs(2, "multi-label").check(labels, str) == ()
    from balora import Objective

    objective = Objective(ObjectiveConfig.preset("none", family="nlu"))
    numbers = objective.from_logits(logits, None, labels).loss
    assert numbers.item() == pytest.approx(((0.5**2) + 1.0 + 4.0 + 1.0) / 4)
    binary = objective.from_logits(logits, None, labels, multi_label=True).loss
    expected = [
        F.softplus(-logits[0, 0]),
        F.softplus(logits[0, 1]),
        F.softplus(logits[1, 0]),
        F.softplus(-logits[1, 1]),
    ]
    assert binary.item() == pytest.approx(sum(expected).item() / 4)
