"""Pairs of prompt and completion, and trainers of TRL's kind on them."""

import pytest
from datasets import Dataset
from training_cases import arguments, moved, objective
from transformers import AutoTokenizer
from trl import SFTConfig

from balora import BALoraSFTTrainer
from balora.adapters import AdapterConfig, attach
from balora.tasks.catalogue import find_task
from balora.training.loading import load_model
from balora.training.spec import resolve

PAIRS = [
    ("Once upon a time", " there was a little girl named Lily."),
    ("Tom had a", " ball."),
    ("The sun was", " very bright and the birds sang in the big green tree all day long."),
    ("One day, a dog", " ran away."),
]
CONFIG = objective("nlg", consistency=0.5, diversity=0.3, spectral=0.2)


@pytest.fixture(scope="module")
def tokenizer(checkpoint):
    return AutoTokenizer.from_pretrained(checkpoint)


@pytest.fixture
def model(checkpoint, tokenizer):
    spec = resolve({"task": "gsm8k", "model": str(checkpoint)})
    return moved(attach(load_model(spec, find_task("gsm8k"), tokenizer), AdapterConfig(rank=2)), size=0.02)


def sft_arguments(folder, **changes):
    settings = arguments(folder).to_dict()
    kept = ("per_device_train_batch_size", "max_steps", "learning_rate", "lr_scheduler_type", "use_cpu", "report_to")
    kept += ("disable_tqdm", "save_strategy", "logging_steps", "dataloader_pin_memory", "seed")
    chosen = {name: settings[name] for name in kept}
    return SFTConfig(
        output_dir=str(folder),
        **{**chosen, "bf16": False, "gradient_checkpointing": False, "max_length": None, **changes},
    )


def sft(model, tokenizer, folder, config=CONFIG, kind=BALoraSFTTrainer, **changes):
    rows = Dataset.from_list([{"prompt": prompt, "completion": completion} for prompt, completion in PAIRS])
    balora = {"objective": config, "telemetry_every": 1} if kind is BALoraSFTTrainer else {}
    if "reference_cache" in changes:
        balora["reference_cache"] = changes.pop("reference_cache")
    return kind(
        model,
        sft_arguments(folder, **changes),
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer,
        **balora,
    )


def same_rows(made):
    """The rows as TRL encoded them, for our own trainer."""
    rows = []
    for index, row in enumerate(made.train_dataset):
        batch = made.data_collator([row])
        ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
        rows.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels, "index": index})
    return rows
