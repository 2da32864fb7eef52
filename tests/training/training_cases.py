"""Tiny random models, rows of very unequal length, and trainers on them."""

from pathlib import Path
from typing import Any

import torch
import transformers as tf
from torch import nn

from balora.adapters import AdapterConfig, attach
from balora.objective import ObjectiveConfig
from balora.tasks.collate import Collator
from balora.tasks.encoding import IGNORED
from balora.training.spec import RunSpec, resolve
from balora.training.trainer import BALoraTrainer

VOCAB, PAD, EOS = 61, 0, 2

DECODER = {
    "vocab_size": VOCAB,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": PAD,
    "bos_token_id": 1,
    "eos_token_id": EOS,
}
ENCODER = {
    "vocab_size": VOCAB,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "pad_token_id": PAD,
    "num_labels": 3,
}
MODELS = {
    "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**DECODER)),
    "tied": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**DECODER, tie_word_embeddings=True)),
    "gemma2": lambda: tf.Gemma2ForCausalLM(tf.Gemma2Config(**DECODER, head_dim=8, query_pre_attn_scalar=8)),
    "granite": lambda: tf.GraniteForCausalLM(tf.GraniteConfig(**DECODER, logits_scaling=4.0)),
    "cohere": lambda: tf.CohereForCausalLM(tf.CohereConfig(**DECODER, logit_scale=0.0625)),
    "gpt2": lambda: tf.GPT2LMHeadModel(
        tf.GPT2Config(
            vocab_size=VOCAB,
            n_embd=16,
            n_layer=2,
            n_head=4,
            n_positions=64,
            bos_token_id=1,
            eos_token_id=EOS,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    ),
    "bert": lambda: tf.BertForSequenceClassification(tf.BertConfig(**ENCODER)),
    "still-bert": lambda: tf.BertForSequenceClassification(
        tf.BertConfig(**ENCODER, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    ),
    "classifier": lambda: tf.LlamaForSequenceClassification(tf.LlamaConfig(**DECODER, num_labels=3)),
    "regressor": lambda: tf.LlamaForSequenceClassification(tf.LlamaConfig(**DECODER, num_labels=1)),
}


def build(name: str, seed: int = 0, dtype: torch.dtype = torch.float32, scale: float = 5.0) -> Any:
    """A tiny model in evaluation mode; ``scale`` makes its weights as large as trained ones."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MODELS[name]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(scale)
    return model.to(dtype)


def answers(count: int = 8, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of a prompt, an answer and an end token; the answers have 1 to 20 tokens."""
    generator = torch.Generator().manual_seed(seed)
    lengths = [1, 20, 2, 3, 17, 1, 5, 9]
    rows = []
    for index in range(count):
        answer = lengths[index % len(lengths)]
        prompt = 2 + int(torch.randint(6, (), generator=generator))
        ids = [*torch.randint(3, VOCAB, (prompt + answer - 1,), generator=generator).tolist(), EOS]
        labels = [IGNORED] * prompt + ids[prompt:]
        rows.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels, "index": index})
    return rows


def examples(count: int = 12, seed: int = 0, regression: bool = False) -> list[dict[str, Any]]:
    """Rows with a class of three, or a number."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for index in range(count):
        length = 3 + int(torch.randint(9, (), generator=generator))
        ids = torch.randint(3, VOCAB, (length,), generator=generator).tolist()
        label = float(index % 5) if regression else index % 3
        rows.append({"input_ids": ids, "attention_mask": [1] * length, "labels": label, "index": index})
    return rows


collate = Collator(PAD)


def objective(family: str, **weights: float) -> ObjectiveConfig:
    """The ICLR 2026 formulas with these weights, constant over the steps."""
    config = ObjectiveConfig.preset("none", family=family)
    terms = {
        term: getattr(config, term).replace(weight=weight, schedule="constant") for term, weight in weights.items()
    }
    return config.replace(**{term: value.model_dump() for term, value in terms.items()})


def adapted(name: str, *, rank: int = 2, init: str = "pissa", dtype: torch.dtype = torch.float32, **more: Any) -> Any:
    return attach(build(name, dtype=dtype), AdapterConfig(rank=rank, init=init, **more), seed=3)


def moved(model: nn.Module, size: float = 0.05, seed: int = 1) -> Any:
    """Move the trained parameters, so that student and reference differ."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def arguments(folder: Path, **changes: Any) -> tf.TrainingArguments:
    settings = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "max_steps": 3,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "constant",
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "remove_unused_columns": False,
        "label_names": ["labels"],
        "dataloader_pin_memory": False,
        "seed": 5,
    }
    return tf.TrainingArguments(**{**settings, **changes})


def trainer(
    model: nn.Module, config: ObjectiveConfig | None, rows: Any, folder: Path, *, every: int = 1, **changes: Any
) -> BALoraTrainer:
    """A trainer on ``rows``; ``reference`` is passed on, every other change is one of the arguments'."""
    reference = changes.pop("reference", None)
    return BALoraTrainer(
        model,
        arguments(folder, **changes),
        objective=config,
        reference=reference,
        telemetry_every=every,
        train_dataset=rows,
        data_collator=collate,
    )


def trained_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def losses(made: BALoraTrainer) -> list[float]:
    return [entry["loss"] for entry in made.state.log_history if "loss" in entry]


def real_spec(checkpoint: Path, data: Path, **changes: Any) -> RunSpec:
    """A run of seconds on the real checkpoint and data."""
    settings = {
        "task": "cola",
        "model": str(checkpoint),
        "data.folder": str(data),
        "training.steps": 3,
        "training.batch_size": 4,
        "training.telemetry_every": 1,
        "training.learning_rate": 1e-3,
        "data.train_rows": 16,
        "data.eval_rows": 12,
        "data.max_length": 40,
        "data.max_new_tokens": 6,
        "adapter.rank": 2,
    }
    if changes.get("task") == "gsm8k":
        settings |= {"data.max_length": 200, "data.train_rows": 8, "data.eval_rows": 3}
    if changes.get("method", "").startswith("full"):
        del settings["adapter.rank"]
    return resolve(settings | changes)
