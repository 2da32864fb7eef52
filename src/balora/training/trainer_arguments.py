"""Translate the settings of a run's training into the arguments of transformers' Trainer."""

from pathlib import Path

import torch
from torch import nn
from transformers import TrainingArguments

from balora.training.engines import engine_arguments
from balora.training.launch_config import Strategy
from balora.training.spec import TrainingConfig

LR_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""transformers' names; its plain `constant` would leave the warm-up out."""
COMPILER = "inductor"
"""The backend of torch.compile."""


def trainer_arguments(
    training: TrainingConfig, scratch: Path, model: nn.Module, strategy: Strategy = "ddp"
) -> TrainingArguments:
    """Return the Trainer's arguments; it writes nothing into ``scratch`` but insists on a folder."""
    arguments = TrainingArguments(
        output_dir=str(scratch),
        per_device_train_batch_size=training.batch_size,
        gradient_accumulation_steps=training.accumulation,
        max_steps=training.stretched_steps or -1,
        num_train_epochs=training.stretched_epochs,
        learning_rate=training.learning_rate,
        lr_scheduler_type=LR_SCHEDULES[training.lr_schedule],
        warmup_steps=training.warmup,
        optim=training.optimizer,
        weight_decay=training.weight_decay,
        label_smoothing_factor=training.label_smoothing,
        max_grad_norm=training.max_grad_norm,
        seed=training.seed,
        data_seed=training.seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=training.precision == "bfloat16" and strategy == "ddp",  # else `compute_in_bfloat16`
        torch_compile=training.compile,
        torch_compile_backend=COMPILER if training.compile else None,
        logging_steps=training.telemetry_every or 10,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=torch.cuda.is_available(),
        **engine_arguments(strategy, model),
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several visible GPUs would make it DataParallel
    return arguments
