"""BA-LoRA in transformers' Trainer."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments

from balora.objective import ObjectiveConfig
from balora.training.loss import ModelLoss
from balora.training.rows import model_kind
from balora.training.telemetry import Telemetry


class BALoraTrainer(Trainer):  # type: ignore[misc]
    """A `transformers.Trainer` whose training loss is a balora objective; everything else is the Trainer's.

    ``` python
    model = attach(AutoModelForCausalLM.from_pretrained("…"), AdapterConfig(rank=16))
    trainer = BALoraTrainer(model, args, objective=ObjectiveConfig.preset("ba-lora", family="nlg"), train_dataset=…)
    ```

    Args:
        model: a PeftModel made by `attach` (or any PEFT model whose base is untouched), or a transformers model trained
            in full. Causal language models and sequence classifiers.
        args: transformers' arguments.
        objective: what to minimise. None: the task loss alone (plain LoRA, PiSSA or full fine-tuning).
        reference: `frozen_copy(model)` for full fine-tuning with a consistency weight; otherwise not needed.
        telemetry_every: record each term's value, λ and gradient share every so many steps; 0 never.

    The evaluation loss is the task's alone. Means are taken over the rows of the whole optimizer step: accumulated
    micro-batches and devices weigh by their rows (method.md §5). A dataset column `index` (the example's number) lets
    the reference's logits of classification tasks be computed once; it needs ``remove_unused_columns=False``.

    Raises:
        ModelError, AdapterError: a model that cannot be trained, or whose pre-trained state is lost.
        TrainingError: a term became nan or inf; names the step and the term.
    """

    def __init__(
        self,
        model: nn.Module,
        args: TrainingArguments,
        *,
        objective: ObjectiveConfig | None = None,
        reference: nn.Module | None = None,
        telemetry_every: int = 10,
        **trainer_arguments: Any,
    ) -> None:
        super().__init__(model, args, **trainer_arguments)
        # Counts the rows of a whole optimizer step for us; our loss is normalised by them, so no second division.
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        config = objective or default_objective(model)
        self.model_loss = ModelLoss(model, config, reference)
        self.telemetry = Telemetry(telemetry_every)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the objective of one micro-batch as its share of the optimizer step's loss."""
        if not model.training or return_outputs:
            inputs.pop("index", None)
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        step = self.state.global_step
        terms, rows, norms = self.model_loss(
            model, inputs, step / max(self.state.max_steps, 1), norms=self.telemetry.wants(step)
        )
        self.telemetry.add(step, terms, norms)
        processes = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        if num_items_in_batch is None:
            return terms.loss / self.current_gradient_accumulation_steps
        return terms.loss * share_of_step(rows, num_items_in_batch, processes)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the latest recorded terms to the Trainer's log line."""
        if "loss" in logs:
            logs = {**logs, **self.telemetry.latest()}
        super().log(logs, start_time)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, and fail with the step and the term if a loss was not finite."""
        result = super().train(*args, **kwargs)
        self.telemetry.check()
        return result


def share_of_step(rows: int, num_items: Tensor | int, processes: int) -> Tensor:
    """Return the factor that makes a micro-batch's mean its part of the step's mean.

    rows / rows of the step, times the number of processes where that number was gathered over them, because gradients
    are then averaged over the processes.
    """
    whole = torch.as_tensor(num_items).float().mean().clamp_min(1.0)
    return rows * processes / whole


def default_objective(model: nn.Module) -> ObjectiveConfig:
    """Return the task loss alone for the kind of ``model``."""
    return ObjectiveConfig.preset("none", family="nlg" if model_kind(model) == "causal" else "nlu")
