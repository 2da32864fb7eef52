"""Train with a balora objective in TRL's SFTTrainer."""

from typing import Any

from torch import Tensor, nn
from trl import SFTConfig, SFTTrainer

from balora.errors import ConfigError
from balora.objective import ObjectiveConfig
from balora.training.loss import ModelLoss
from balora.training.reference.keys import ROW_KEYS
from balora.training.reference.reference_cache import ReferenceFolder
from balora.training.telemetry import Telemetry
from balora.training.trainer import (
    cache_reference,
    count_rows_of_steps,
    flush_reference_cache,
    prepare_reference,
    refuse_other_losses,
    take_label_smoothing,
    training_loss,
)


class BALoraSFTTrainer(SFTTrainer):  # type: ignore[misc]
    """A `trl.SFTTrainer` whose training loss is a balora objective; data, prompts and evaluation are TRL's.

    Args:
        model: a PeftModel made by `attach`, or a causal language model with ``reference``.
        args: TRL's arguments; ``loss_type`` must be left at its default.
        objective: what to minimise. None: BA-LoRA's NLG objective with the ICLR 2026 formulas and weights.
        reference: `frozen_copy(model)` for full fine-tuning with a consistency weight.
        telemetry_every: record each term's value, λ and gradient share every so many steps; 0 never.
        reference_cache: a folder that caches the reference's outputs for later epochs and other trainers.

    TRL's own training metrics (entropy, token accuracy) come from its loss, which is not computed here: balora's terms
    are logged in their place. Evaluation is TRL's in full.

    Raises:
        ModelError, AdapterError: a model that cannot be trained, or whose pre-trained state is lost.
        ConfigError: arguments that another loss or DataParallel would need.
        TrainingError: a term became nan or inf; names the step and the term.
    """

    def __init__(
        self,
        model: nn.Module,
        args: SFTConfig | None = None,
        *,
        objective: ObjectiveConfig | None = None,
        reference: nn.Module | None = None,
        telemetry_every: int = 10,
        reference_cache: ReferenceFolder | None = None,
        **trainer_arguments: Any,
    ) -> None:
        super().__init__(model, args, **trainer_arguments)
        refuse_other_losses(self)
        if self.args.loss_type != "nll":
            raise ConfigError(
                f"loss_type = {self.args.loss_type!r}: the objective's task loss is the negative log-likelihood, so it "
                "would be ignored: leave it at 'nll'"
            )
        count_rows_of_steps(self)
        config = objective or ObjectiveConfig.preset("ba-lora", family="nlg")
        smoothing = take_label_smoothing(self)
        self.model_loss = ModelLoss(self.model, config, prepare_reference(self, reference), label_smoothing=smoothing)
        cache_reference(self, reference_cache)
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
            inputs.pop(ROW_KEYS, None)
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        return training_loss(self, model, inputs, num_items_in_batch)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the latest recorded terms to TRL's log line."""
        if "loss" in logs:
            self.telemetry.check()
            logs = {**logs, **self.telemetry.latest()}
        super().log(logs, start_time)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, and fail with the step and the term if a loss was not finite."""
        result = super().train(*args, **kwargs)
        self.telemetry.check()
        flush_reference_cache(self)
        return result
