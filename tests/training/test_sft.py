"""BA-LoRA in TRL's trainer: TRL's data, the same loss as in ours."""

from copy import deepcopy

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from sft_cases import CONFIG, PAIRS, same_rows, sft, sft_arguments
from sft_cases import model as model
from sft_cases import tokenizer as tokenizer
from training_cases import losses, objective, trained_weights, trainer
from trl import SFTTrainer

from balora import BALoraSFTTrainer
from balora.errors import AdapterError, ConfigError
from balora.tasks.catalogue import find_task
from balora.training.loading import load_model
from balora.training.spec import resolve

pytestmark = [
    pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*padding-free.*:UserWarning"),
]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_losses_and_weights_are_those_of_our_trainer(tmp_path, model, tokenizer, accumulation):
    twin = deepcopy(model)
    split = {"per_device_train_batch_size": 4 // accumulation, "gradient_accumulation_steps": accumulation}
    made = sft(model, tokenizer, tmp_path / "sft", **split)
    rows = same_rows(made)
    assert rows[0]["labels"][0] == -100  # the prompt is masked, the answer and its end are not
    assert rows[0]["labels"][-1] == tokenizer.eos_token_id
    made.train()
    ours = trainer(twin, CONFIG, rows, tmp_path / "ours", **split)
    ours.train()
    assert losses(made) == pytest.approx(losses(ours), rel=1e-5)
    other = trained_weights(twin)
    for name, value in trained_weights(model).items():
        torch.testing.assert_close(value, other[name], rtol=1e-4, atol=1e-5)
    assert [row["step"] for row in made.telemetry.series()] == [1, 2, 3]
    assert made.state.log_history[0]["balora/consistency_share"] > 0


def test_gradient_checkpointing_trains_the_same(tmp_path, model, tokenizer):
    twin = deepcopy(model)
    plain = sft(model, tokenizer, tmp_path / "a")
    plain.train()
    saving = sft(twin, tokenizer, tmp_path / "b", gradient_checkpointing=True)  # TRL's default
    saving.train()
    assert losses(saving) == pytest.approx(losses(plain), rel=1e-5)


@pytest.mark.filterwarnings("ignore:`label_smoothing_factor` is deprecated in `SFTTrainer`:FutureWarning")
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_task_loss_alone_trains_as_trl_does(tmp_path, model, tokenizer, smoothing):
    twin, changes = deepcopy(model), {"label_smoothing_factor": smoothing}
    made = sft(model, tokenizer, tmp_path / "ours", objective("nlg"), **changes)
    theirs = sft(twin, tokenizer, tmp_path / "trl", kind=SFTTrainer, **changes)
    made.train()
    theirs.train()
    assert losses(made) == pytest.approx(losses(theirs), rel=1e-5)


def test_evaluation_is_trls(tmp_path, model, tokenizer):
    made = sft(model, tokenizer, tmp_path / "ours", max_steps=1)
    theirs = sft(model, tokenizer, tmp_path / "trl", kind=SFTTrainer, max_steps=1)
    one, other = made.evaluate(), theirs.evaluate()
    names = {"eval_loss", "eval_entropy", "eval_mean_token_accuracy"}
    assert {name: one[name] for name in names} == {name: other[name] for name in names}


def test_padding_free_batches_count_the_same_tokens(tmp_path, model, tokenizer):
    padded = sft(model, tokenizer, tmp_path / "a")
    flat = sft(model, tokenizer, tmp_path / "b", padding_free=True)
    batches = [next(iter(made.get_train_dataloader())) for made in (padded, flat)]
    tokens = [made.model_loss.read(model, batch)[2] for made, batch in zip((padded, flat), batches, strict=True)]
    assert batches[1]["input_ids"].shape[0] == 1
    assert sorted(tokens[0].tolist()) == sorted(tokens[1].tolist())
    assert len(tokens[0]) == sum(label >= 0 for row in same_rows(padded) for label in row["labels"])


def test_the_default_is_the_published_objective_and_none_is_the_task_loss(tmp_path, model, tokenizer):
    assert not sft(model, tokenizer, tmp_path, None).model_loss.config.regularized
    rows = Dataset.from_list([{"prompt": prompt, "completion": completion} for prompt, completion in PAIRS])
    made = BALoraSFTTrainer(model, sft_arguments(tmp_path), train_dataset=rows, processing_class=tokenizer)
    assert made.model_loss.config.consistency.weight == 0.025
    assert made.model_loss.config.spectral.norm == "frobenius"


def test_another_loss_is_refused(tmp_path, model, tokenizer):
    text = "loss_type = 'dft': the objective's task loss is the negative log-likelihood"
    with pytest.raises(ConfigError, match=text) as caught:
        sft(model, tokenizer, tmp_path, loss_type="dft")
    assert "\n" not in str(caught.value)


def test_trls_own_pissa_is_refused(tmp_path, checkpoint, tokenizer):
    spec = resolve({"task": "gsm8k", "model": str(checkpoint)})
    model = load_model(spec, find_task("gsm8k"), tokenizer)
    rows = Dataset.from_list([{"prompt": prompt, "completion": completion} for prompt, completion in PAIRS])
    pissa = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights="pissa")
    with pytest.raises(AdapterError, match="overwrote the base"):
        BALoraSFTTrainer(
            model, sft_arguments(tmp_path), train_dataset=rows, processing_class=tokenizer, peft_config=pissa
        )
