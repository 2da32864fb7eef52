"""BA-LoRA in TRL's SFTTrainer."""

from typing import Any

from torch import Tensor, nn
from trl import SFTConfig, SFTTrainer

from balora.objective import ObjectiveConfig
from balora.training.loss import ModelLoss
from balora.training.telemetry import Telemetry
from balora.training.trainer import share_of_step


class BALoraSFTTrainer(SFTTrainer):  # type: ignore[misc]
    """A `trl.SFTTrainer` whose training loss is a balora objective; data, prompts and evaluation are TRL's.

    Args:
        model: a PeftModel made by `attach`, or a causal language model with ``reference``.
        args: TRL's arguments; ``loss_type`` must be left at its default.
        objective: what to minimise. None: BA-LoRA's NLG objective with the ICLR 2026 formulas and weights.
        reference: `frozen_copy(model)` for full fine-tuning with a consistency weight.
        telemetry_every: record each term's value, λ and gradient share every so many steps; 0 never.

    TRL's own training metrics (entropy, token accuracy) come from its loss, which is not computed here: balora's terms
    are logged in their place. Evaluation is TRL's in full.
    """

    def __init__(
        self,
        model: nn.Module,
        args: SFTConfig | None = None,
        *,
        objective: ObjectiveConfig | None = None,
        reference: nn.Module | None = None,
        telemetry_every: int = 10,
        **trainer_arguments: Any,
    ) -> None:
        super().__init__(model, args, **trainer_arguments)
        self.loss_is_scaled_for_ga = True
        config = objective or ObjectiveConfig.preset("ba-lora", family="nlg")
        self.model_loss = ModelLoss(self.model, config, reference)
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
        """Add the latest recorded terms to TRL's log line."""
        if "loss" in logs:
            logs = {**logs, **self.telemetry.latest()}
        super().log(logs, start_time)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, and fail with the step and the term if a loss was not finite."""
        result = super().train(*args, **kwargs)
        self.telemetry.check()
        return result
