"""BALoraTrainer as a transformers Trainer: evaluation is the task's, and what would be ignored is refused."""

import pytest
import torch
from training_cases import adapted, answers, arguments, collate, examples, losses, objective, trainer

from balora.errors import ConfigError
from balora.objective import ObjectiveConfig
from balora.training.reference.keys import ROW_KEYS, row_keys
from balora.training.trainer import BALoraTrainer, refuse_other_losses


@pytest.mark.parametrize(
    ("name", "rows"), [("llama", answers()), ("bert", examples(8)), ("regressor", examples(8, regression=True))]
)
@pytest.mark.parametrize("changes", [{}, {"label_smoothing_factor": 0.2}], ids=["", "smoothing"])
def test_evaluation_is_the_tasks_loss_alone(tmp_path, name, rows, changes):
    model = adapted(name)
    family = "nlg" if name == "llama" else "nlu"
    made = trainer(model, objective(family, consistency=0.5), rows, tmp_path, per_device_eval_batch_size=8, **changes)
    found = made.evaluate(rows)["eval_loss"]
    batch = collate(rows)
    batch.pop("index")
    with torch.no_grad():
        assert found == pytest.approx(model.eval()(**batch).loss.item(), rel=1e-6)


def test_a_model_that_takes_no_counts_is_not_given_any(tmp_path, monkeypatch):
    model = adapted("bert")
    base = model.get_base_model()
    true = base.forward

    def strict(
        input_ids=None,
        attention_mask=None,
        inputs_embeds=None,
        labels=None,
        output_attentions=None,
        output_hidden_states=None,
        return_dict=None,
    ):
        return true(input_ids=input_ids, attention_mask=attention_mask, labels=labels)

    monkeypatch.setattr(base, "forward", strict)
    made = trainer(model, objective("nlu", consistency=0.5), examples(8), tmp_path)
    made.train()
    assert made.evaluate(examples(8))["eval_loss"] > 0


def test_none_is_the_task_loss_and_nothing_given_the_published_objective(tmp_path):
    for name, family in (("llama", "nlg"), ("bert", "nlu")):
        rows = answers() if name == "llama" else examples()
        made = trainer(adapted(name), None, rows, tmp_path)
        assert made.model_loss.config == ObjectiveConfig.preset("none", family=family)
        made = BALoraTrainer(adapted(name), arguments(tmp_path), train_dataset=rows, data_collator=collate)
        assert made.model_loss.config == ObjectiveConfig.preset("ba-lora", family=family)


def test_a_loss_function_of_ones_own_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="compute_loss_func: the loss is the objective's"):
        BALoraTrainer(adapted("llama"), arguments(tmp_path), compute_loss_func=lambda *args, **kwargs: None)


def test_several_gpus_in_one_process_are_refused(tmp_path):
    made = trainer(adapted("llama"), None, answers(), tmp_path)
    made.args._n_gpu = 2
    with pytest.raises(ConfigError, match="2 GPUs in one process"):
        refuse_other_losses(made)


def test_rows_keep_their_order_and_numbers(tmp_path):
    rows = examples(8)
    made = trainer(adapted("bert"), objective("nlu", consistency=0.5), rows, tmp_path)
    batches = list(made.get_train_dataloader())
    assert sorted(number for batch in batches for number in batch["index"].tolist()) == list(range(8))
    keys = row_keys(collate(rows), causal=False)
    for batch in batches:
        assert batch[ROW_KEYS] == tuple(keys[number] for number in batch["index"].tolist())
        assert {type(part) for key in batch[ROW_KEYS] for part in key} == {bytes, int}, "nothing waits for a device"


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_gradient_checkpointing_trains_the_same(tmp_path, name):
    family, rows = ("nlg", answers()) if name == "llama" else ("nlu", examples())
    made = []
    for saving in (False, True):
        config = objective(family, consistency=0.5, diversity=0.3)
        made.append(trainer(adapted(name), config, rows, tmp_path, activation_checkpointing=saving))
        made[-1].train()
    assert losses(made[1]) == pytest.approx(losses(made[0]), rel=1e-5)
    shares = [[row["consistency_share"] for row in one.telemetry.series()] for one in made]
    assert shares[1] == pytest.approx(shares[0], rel=1e-3)
