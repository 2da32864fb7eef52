"""The trainers of transformers and TRL train the offset form as they train any PEFT model."""

import logging

import datasets
import pytest
import tokenizers
import torch
import transformers as tf
from tiny_models import VOCAB, build, logits

from balora.adapters import AdapterConfig, attach, reference_of
from balora.adapters.offset import offset_adapters

pytestmark = [
    pytest.mark.filterwarnings("ignore:`.*` is deprecated and will be removed in v6:FutureWarning"),
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning"),
]
PISSA = AdapterConfig(rank=4, alpha=6)


class Recorder(tf.Trainer):
    """A Trainer that keeps every loss unrounded."""

    def compute_loss(self, *args, **kwargs):
        result = super().compute_loss(*args, **kwargs)
        loss = result[0] if isinstance(result, tuple) else result
        self.losses = [*getattr(self, "losses", []), loss.item()]
        return result


def arguments(folder, kind=tf.TrainingArguments, **changes):
    values = {
        "output_dir": str(folder),
        "max_steps": 8,
        "save_steps": 4,
        "per_device_train_batch_size": 2,
        "learning_rate": 3e-3,
        "weight_decay": 0.1,
        "report_to": [],
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 7,
    }
    return kind(**values | changes)


def rows(number=12):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, VOCAB - 1, (number, 9), generator=generator)
    return [{"input_ids": row, "labels": row} for row in ids]


@pytest.mark.parametrize("family", ["llama", "bert"])
@pytest.mark.parametrize(
    "config",
    [PISSA, PISSA.replace(variant="dora"), *(PISSA.replace(init=i) for i in ("standard", "random-matched", "minor"))],
    ids=["pissa", "dora", "standard", "random-matched", "minor"],
)
def test_resuming_repeats_the_uninterrupted_run(config, family, tmp_path):
    data = rows() if family == "llama" else [row | {"labels": index % 3} for index, row in enumerate(rows())]

    def trainer(folder, seed):
        # another seed: a resumed run must take its state from the checkpoint and not from this start
        return Recorder(attach(build(family), config, seed=seed), arguments(tmp_path / folder), train_dataset=data)

    whole = trainer("whole", seed=0)
    whole.train()
    resumed = trainer("resumed", seed=1)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4"))
    assert len(whole.losses) == 8
    assert resumed.losses == whole.losses[4:]
    expected = whole.model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.model.state_dict().items())


def test_the_best_model_is_loaded_back(tmp_path):
    changes = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 4, "learning_rate": 0.5}
    trainer = Recorder(
        attach(build("llama"), PISSA), arguments(tmp_path, **changes), train_dataset=rows(), eval_dataset=rows(4)
    )
    trainer.train()
    best = attach(build("llama"), PISSA)
    best.load_adapter(trainer.state.best_model_checkpoint, "default")
    inputs = {"input_ids": torch.stack([row["input_ids"] for row in rows(4)])}
    assert torch.equal(logits(trainer.model.eval(), inputs), logits(best.eval(), inputs))


@pytest.fixture(scope="module")
def tokenizer():
    words = {"<pad>": 0, "<s>": 1, "</s>": 2, **{f"w{index}": index for index in range(3, VOCAB)}}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<pad>"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", bos_token="<s>", eos_token="</s>", model_max_length=32
    )


def test_trl_supervised(tmp_path, tokenizer):
    import trl

    tuned = attach(build("llama"), PISSA)
    data = datasets.Dataset.from_list([{"text": f"w{3 + i} w{4 + i} w{5 + i} w9"} for i in range(12)])
    inputs = {"input_ids": torch.tensor([[3, 4, 5, 9]])}
    trainer = trl.SFTTrainer(
        tuned,
        arguments(tmp_path, trl.SFTConfig, max_length=16, logging_steps=1, bf16=False),
        train_dataset=data,
        processing_class=tokenizer,
    )
    trainer.train()
    history = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert history[-1] < history[0]
    with reference_of(trainer.model) as reference:
        assert torch.equal(logits(reference, inputs), logits(build("llama"), inputs))
    trainer = trl.SFTTrainer(
        attach(build("llama"), PISSA),
        arguments(tmp_path, trl.SFTConfig, max_length=16, logging_steps=1, bf16=False),
        train_dataset=data,
        processing_class=tokenizer,
    )
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-4:] == history[-4:]


def test_trl_preferences_compare_with_the_base(tmp_path, tokenizer):
    """Without a reference model DPO uses a copy of the adapter as it was given: untrained, that is the base."""
    import trl

    pairs = [{"prompt": f"w{3 + i} w{4 + i}", "chosen": " w7 w8", "rejected": " w9 w10 w11"} for i in range(8)]
    logging.getLogger("trl").setLevel(logging.ERROR)

    def trainer(model, folder, **changes):
        return trl.DPOTrainer(
            model,
            args=arguments(tmp_path / folder, trl.DPOConfig, max_length=16, bf16=False, **changes),
            train_dataset=datasets.Dataset.from_list(pairs),
            processing_class=tokenizer,
        )

    def reference_scores(dpo):
        batch = next(iter(dpo.get_eval_dataloader(dpo.train_dataset)))  # unshuffled
        return torch.stack(list(dpo.compute_ref_log_probs(dpo.model, batch)))

    dpo = trainer(attach(build("llama"), PISSA), "tuned", logging_steps=1)
    assert offset_adapters(dpo.model) == ["default", "ref"]
    before = reference_scores(dpo)
    with reference_of(dpo.model):
        assert torch.equal(reference_scores(dpo), before), "the scores of the base"
    dpo.train()
    history = [entry["loss"] for entry in dpo.state.log_history if "loss" in entry]
    assert history[0] == pytest.approx(0.6931, abs=1e-3), "log 2: the policy starts as the reference"
    assert history[-1] < 0.6
    assert torch.equal(reference_scores(dpo), before)
    assert dpo.model.active_adapters == ["default"]
    with reference_of(dpo.model), torch.no_grad():
        ids = torch.tensor([[3, 4, 7, 8]])
        assert torch.equal(dpo.model(input_ids=ids).logits, build("llama")(input_ids=ids).logits)
