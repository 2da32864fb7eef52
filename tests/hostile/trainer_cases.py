"""The smallest models that a trainer takes, rows for them, and trainers of two steps."""

from pathlib import Path
from typing import Any

import torch
import transformers as tf

from balora import AdapterConfig, BALoraTrainer, attach

TINY = {
    "vocab_size": 31,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def decoder(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return attach(tf.LlamaForCausalLM(tf.LlamaConfig(**TINY)), AdapterConfig(rank=2))


def classifier(outputs: int = 3, problem: str | None = None, *, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    config = tf.LlamaConfig(**TINY, num_labels=outputs, problem_type=problem)
    return attach(tf.LlamaForSequenceClassification(config), AdapterConfig(rank=2))


def row(labels: Any, seed: int = 0) -> dict[str, Any]:
    """Six tokens with ``labels``, whatever they are."""
    ids = torch.randint(3, 31, (6,), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "attention_mask": torch.ones(6, dtype=torch.long), "labels": labels}


def rows(labels: list[Any]) -> list[dict[str, Any]]:
    return [row(label, seed) for seed, label in enumerate(labels)]


def settings(folder: Path, **changes: Any) -> dict[str, Any]:
    """What trainers of transformers and of TRL take alike."""
    return {
        "output_dir": str(folder),
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        **changes,
    }


def trainer(
    model: Any, data: Any, folder: Path, objective: Any = None, *, kind: type = BALoraTrainer, **changes: Any
) -> Any:
    """A trainer of ``kind``; ``balora`` holds its own arguments, every other change is one of the arguments'."""
    own = {"objective": objective, **changes.pop("balora", {})} if issubclass(kind, BALoraTrainer) else {}
    collate = changes.pop("collate", None)
    evaluated = changes.pop("eval_dataset", None)
    arguments = tf.TrainingArguments(**settings(folder, **changes))
    return kind(model, arguments, train_dataset=data, eval_dataset=evaluated, data_collator=collate, **own)


def losses(made: Any) -> list[float]:
    return [entry["loss"] for entry in made.state.log_history if "loss" in entry]
