"""Train with a balora objective in TRL's SFTTrainer."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from trl import SFTConfig, SFTTrainer

from balora.errors import ConfigError, shown
from balora.objective import ObjectiveConfig
from balora.objective.config import chosen_objective
from balora.training.counted_rows import CountedRows
from balora.training.engines import allow_cpu
from balora.training.loss import ModelLoss
from balora.training.reference.keys import ROW_KEYS
from balora.training.reference.reference_cache import ReferenceFolder
from balora.training.telemetry import Telemetry
from balora.training.trainer import (
    cache_reference,
    count_rows_of_steps,
    finish_training,
    prepare_reference,
    refuse_other_losses,
    refuse_rounded_factors,
    refuse_wrong_types,
    start_training,
    take_label_smoothing,
    training_loss,
    with_terms,
)


class BALoraSFTTrainer(SFTTrainer):  # type: ignore[misc]
    """A `trl.SFTTrainer` whose training loss is a balora objective; data, prompts and evaluation are TRL's.

    Args:
        model: a PeftModel made by `attach`, or a causal language model with ``reference``.
        args: TRL's arguments; ``loss_type`` must be left at its default.
        objective: what to minimise: a configuration, or the name of a preset with the weights for generation. None or
            "none": the task loss alone.
        reference: `frozen_copy(model)` for full fine-tuning with a consistency weight.
        telemetry_every: record each term's value, λ and gradient share every so many steps; 0 never.
        reference_cache: a folder that caches the reference's outputs for later epochs and other trainers.

    TRL's entropy and token accuracy of training come from its loss, which is not computed here: balora's terms are
    logged in their place. `num_tokens` counts as TRL does, and evaluation is TRL's in full.

    Raises:
        ModelError, AdapterError: a model that cannot be trained, or whose pre-trained state is lost.
        ConfigError: arguments that another loss or DataParallel would need; an objective that there is not.
        DataError: in `train`, no row has a counted label.
        TrainingError: a term became nan or inf; names the step and the term.
    """

    def __init__(
        self,
        model: nn.Module,
        args: SFTConfig | None = None,
        *,
        objective: ObjectiveConfig | str | None = "ba-lora",
        reference: nn.Module | None = None,
        telemetry_every: int = 10,
        reference_cache: ReferenceFolder | None = None,
        **trainer_arguments: Any,
    ) -> None:
        config = chosen_objective(objective, "nlg")
        refuse_wrong_types(reference, reference_cache, telemetry_every, 0.0)
        if args is not None:
            allow_cpu(args)
        super().__init__(model, args, **trainer_arguments)
        refuse_other_losses(self)
        refuse_rounded_factors(self)
        if self.args.loss_type != "nll":
            raise ConfigError(
                f"loss_type = {shown(self.args.loss_type)}: the objective's task loss is the negative log-likelihood, "
                "so it would be ignored: leave it at 'nll'"
            )
        count_rows_of_steps(self)
        smoothing = take_label_smoothing(self)
        self.model_loss = ModelLoss(self.model, config, prepare_reference(self, reference), label_smoothing=smoothing)
        cache_reference(self, reference_cache)
        self.telemetry, self.counted_rows = Telemetry(telemetry_every), CountedRows()
        self._uncounted_tokens: Tensor | None = None
        self._tokens_are_logged = True

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the objective of one micro-batch as its share of the optimizer step's loss."""
        if not model.training or return_outputs:
            self._count_tokens()
            inputs.pop(ROW_KEYS, None)
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        tokens, self._tokens_are_logged = tokens_of(inputs), False
        self._uncounted_tokens = tokens if self._uncounted_tokens is None else self._uncounted_tokens + tokens
        return training_loss(self, model, inputs, num_items_in_batch)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means of the terms since the last line, and the number of tokens, to TRL's log line."""
        if self.model.training and not self._tokens_are_logged:
            self._count_tokens()
            self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
            self._tokens_are_logged = True
        super().log(with_terms(self, logs), start_time)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, and fail with the step and the term if a loss was not finite."""
        start_training(self)
        result = super().train(*args, **kwargs)
        self._count_tokens()
        finish_training(self)
        return result

    def _count_tokens(self) -> None:
        """Add the tokens trained on since the last call, over all processes, to TRL's count (waits for the device)."""
        if self._uncounted_tokens is not None:
            tokens = self.accelerator.reduce(self._uncounted_tokens, "sum")
            self._total_train_tokens += int(tokens) // self._tp_size
            self._uncounted_tokens = None


def tokens_of(inputs: Mapping[str, Any]) -> Tensor:
    """Return how many tokens a batch has without its padding, as TRL counts them, and without reading the device."""
    ids: Tensor = inputs["input_ids"]
    mask = inputs.get("attention_mask")
    return torch.tensor(ids.numel(), device=ids.device) if mask is None else mask.sum()
