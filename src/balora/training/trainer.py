"""Train with a balora objective in transformers' Trainer."""

import math
from collections.abc import Sized
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments

from balora.adapters.offset import offset_adapters
from balora.errors import ConfigError, DataError, shown
from balora.objective import ObjectiveConfig
from balora.objective.config import chosen_objective
from balora.training.class_labels import IGNORED_ROWS, CheckedLabels
from balora.training.controls import StartPenalty
from balora.training.counted_rows import CountedRows, collated
from balora.training.engines import allow_cpu
from balora.training.loss import ModelLoss
from balora.training.reference.keys import ROW_KEYS, KeyedRows
from balora.training.reference.reference_cache import BUDGET_MIB, MIB, ReferenceCache, ReferenceFolder
from balora.training.reference.reference_identity import reference_identity
from balora.training.reference.shards import Entry
from balora.training.rows import base_of, family_of, model_kind
from balora.training.shared_base import cache_of_run, shares_base
from balora.training.shares import set_shares
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
        objective: what to minimise: a configuration, or the name of a preset with the weights of the model's family.
            None or "none": the task loss alone (plain LoRA, PiSSA or full fine-tuning).
        reference: `frozen_copy(model)` for full fine-tuning with a consistency weight; otherwise not needed.
        l2_start: α of L2 to the start over the parameters that are trained when the trainer is made.
        telemetry_every: record each term's value, λ and gradient share every so many steps; 0 never.
        reference_cache: a folder that caches the reference's outputs for later epochs and other trainers; None:
            a classifier's logits are cached in memory, a language model's reference runs at every step.

    The evaluation loss is the task's alone, without the arguments' label smoothing. Means are taken over the rows of
    the whole optimizer step: accumulated micro-batches and devices weigh by their rows (method.md §5).

    Raises:
        ModelError, AdapterError: a model that cannot be trained, or whose pre-trained state is lost.
        ConfigError: arguments that another loss or DataParallel would need; an objective that there is not.
        DataError: a classifier's labels do not fit its outputs; in `train`, no row has a counted label.
        TrainingError: a term became nan or inf; names the step and the term.
    """

    def __init__(
        self,
        model: nn.Module,
        args: TrainingArguments,
        *,
        objective: ObjectiveConfig | str | None = "ba-lora",
        reference: nn.Module | None = None,
        l2_start: float = 0.0,
        telemetry_every: int = 10,
        reference_cache: ReferenceFolder | None = None,
        **trainer_arguments: Any,
    ) -> None:
        config = chosen_objective(objective, family_of(model))
        refuse_wrong_types(reference, reference_cache, telemetry_every, l2_start)
        allow_cpu(args)
        super().__init__(model, args, **trainer_arguments)
        refuse_sharded_start(self, l2_start)
        refuse_rounded_factors(self)
        refuse_other_losses(self)
        self._model_takes_counts = self.model_accepts_loss_kwargs
        count_rows_of_steps(self)
        smoothing = take_label_smoothing(self)
        self.model_loss = ModelLoss(model, config, prepare_reference(self, reference), label_smoothing=smoothing)
        cache_reference(self, reference_cache)
        check_labels(self)
        self.start_penalty = StartPenalty(model, l2_start) if l2_start else None
        self.telemetry, self.counted_rows = Telemetry(telemetry_every), CountedRows()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return the objective of one micro-batch as its share of the optimizer step's loss."""
        if not model.training or return_outputs:
            for name in ("index", ROW_KEYS, IGNORED_ROWS):
                inputs.pop(name, None)
            items = num_items_in_batch if self._model_takes_counts else None
            return super().compute_loss(model, inputs, return_outputs, items)
        return training_loss(self, model, inputs, num_items_in_batch, self.start_penalty)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means of the terms since the last line to the Trainer's log line."""
        super().log(with_terms(self, logs), start_time)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, and fail with the step and the term if a loss was not finite."""
        start_training(self)
        result = super().train(*args, **kwargs)
        finish_training(self)
        return result

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """Count rows where labels are numbers: −100 is one of them, and a row may have several."""
        if self.model_loss.kind == "classification":
            batch_samples = [_one_a_row(batch, self.model_loss) for batch in batch_samples]
        return super()._get_num_items_in_batch(batch_samples, device)


def _one_a_row(batch: Any, loss: ModelLoss) -> Any:
    labels = batch.get("labels")
    if not isinstance(labels, Tensor) or loss.outputs(labels).problem == "classes":
        return batch
    return {"labels": torch.zeros(len(labels), device=labels.device)}


def start_training(trainer: Any) -> None:
    """Forget what an earlier training of the same trainer has left, and set each λ that is given by a share.

    Raises:
        DataError: the training data has no rows.
        ConfigError, TrainingError: a share of the gradient cannot be measured, or not be reached.
    """
    if isinstance(trainer.train_dataset, Sized) and not len(trainer.train_dataset):
        raise DataError(
            "the training data has no rows: give some, or check what left them out (TRL drops rows without a counted "
            "label when it cuts them to max_length)"
        )
    set_shares(trainer)
    trainer.telemetry.start()
    trainer.counted_rows = CountedRows()


def finish_training(trainer: Any) -> None:
    """Refuse a training whose terms were not finite or that had no counted row, and write the reference's cache."""
    trainer.telemetry.check()
    trainer.counted_rows.finish(trainer)
    if trainer.model_loss.reference_cache is not None:
        trainer.model_loss.reference_cache.flush()


def with_terms(trainer: Any, logs: dict[str, float]) -> dict[str, float]:
    """Return a log line of training with the terms' means since the last one, after checking that all were finite."""
    if "loss" not in logs:
        return logs
    trainer.telemetry.check()
    return {**logs, **trainer.telemetry.log_line(lambda sums: trainer.accelerator.reduce(sums, "sum"))}


def training_loss(
    trainer: Any,
    model: nn.Module,
    inputs: dict[str, Any],
    items: Tensor | int | None,
    start_penalty: StartPenalty | None = None,
) -> Tensor:
    """Return the objective of one micro-batch as its share of the step's loss, and note its terms."""
    step = trainer.state.global_step
    progress = step / max(trainer.state.max_steps, 1)
    loss_of = trainer.model_loss
    terms, rows, norms = loss_of(model, inputs, progress, norms=trainer.telemetry.wants(step), step=step)
    trainer.counted_rows.add(inputs["labels"], rows, causal=loss_of.kind == "causal")
    trainer.counted_rows.look(trainer)
    distance = None if start_penalty is None else start_penalty()
    processes = trainer.accelerator.num_processes if trainer.args.average_tokens_across_devices else 1
    micro_batches = trainer.current_gradient_accumulation_steps
    share = 1 / micro_batches if items is None else share_of_step(rows, items, processes)
    alpha = 0.0 if start_penalty is None else start_penalty.weight
    trainer.telemetry.add(step, terms, norms, distance, share=share, l2_weight=alpha)
    loss: Tensor = terms.loss * share
    if start_penalty is not None and distance is not None:
        loss = loss + start_penalty.weight * distance / micro_batches
    return loss


def share_of_step(rows: int, num_items: Tensor | int, processes: int) -> Tensor:
    """Return the factor that makes a micro-batch's mean its part of the step's mean.

    rows / rows of the step, times the number of processes where that number was gathered over them, because gradients
    are then averaged over the processes.
    """
    whole = torch.as_tensor(num_items).float().mean().clamp_min(1.0)
    return rows * processes / whole


def refuse_other_losses(trainer: Trainer) -> None:
    """Raise ConfigError for arguments that the objective would silently ignore, or that would break its rows."""
    if trainer.compute_loss_func is not None:
        raise ConfigError("compute_loss_func: the loss is the objective's, so it would be ignored: leave it out")
    if trainer.args.n_gpu > 1:
        raise ConfigError(
            f"{trainer.args.n_gpu} GPUs in one process (DataParallel) split a batch behind the objective's back: start "
            "with `torchrun --nproc-per-node`, or show one GPU with CUDA_VISIBLE_DEVICES"
        )


def will_be_sharded(trainer: Any) -> bool:
    """Whether each process will have a part of the weights while it trains: with FSDP or ZeRO-3."""
    is_zero_3 = trainer.is_deepspeed_enabled and trainer.accelerator.state.deepspeed_plugin.zero_stage == 3
    return bool(trainer.is_fsdp_enabled or is_zero_3)


def refuse_sharded_start(trainer: Any, l2_start: float) -> None:
    """Raise ConfigError where L2 to the start is to hold back weights of which each process will have a part."""
    if l2_start and will_be_sharded(trainer):
        raise ConfigError(
            f"l2_start = {l2_start:g}: FSDP and ZeRO-3 leave each process a part of the weights, and their start would "
            "stay whole: leave it out, or train with DDP or ZeRO-2"
        )


def refuse_rounded_factors(trainer: Any) -> None:
    """Raise ConfigError where FSDP or DeepSpeed would cast the factors of an adapter in the offset form to half."""
    precision = trainer.accelerator.mixed_precision
    if precision == "no" or not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return
    if offset_adapters(trainer.model):
        raise ConfigError(
            f"{precision} in the arguments: FSDP and DeepSpeed would round the adapter's factors to it, and with them "
            "their small distance from the start: leave it out, and load the base in bfloat16 (dtype=torch.bfloat16)"
        )


def take_label_smoothing(trainer: Any) -> float:
    """Return the arguments' label smoothing for the objective; the Trainer's own is off, also in evaluation."""
    trainer.label_smoother = None
    return float(trainer.args.label_smoothing_factor)


def count_rows_of_steps(trainer: Any) -> None:
    """Have the Trainer count the rows of a whole optimizer step for us, and not divide our loss a second time."""
    trainer.model_accepts_loss_kwargs = True
    trainer.loss_is_scaled_for_ga = True
    # It knows shifted labels by class names and misses GPT2LMHeadModel: a label at position 0 would count.
    trainer._loss_shifts_labels = model_kind(trainer.model) == "causal"


def prepare_reference(trainer: Trainer, reference: nn.Module | None) -> nn.Module | None:
    """Return a frozen copy on the device and in the precision in which the trained model will compute."""
    if reference is None:
        return None
    prepared: nn.Module = trainer.accelerator.prepare_model(reference, evaluation_mode=True)
    return prepared


def refuse_wrong_types(reference: object, reference_cache: object, telemetry_every: object, l2_start: object) -> None:
    """Raise ConfigError for arguments of a trainer that would fail later, and without their names."""
    if reference is not None and not isinstance(reference, nn.Module):
        raise ConfigError(f"reference: expected a model, such as frozen_copy(model), or None, got {shown(reference)}")
    if reference_cache is not None and not isinstance(reference_cache, ReferenceFolder):
        raise ConfigError(
            f"reference_cache: expected a ReferenceFolder (of a path) or None, got {shown(reference_cache)}"
        )
    if isinstance(telemetry_every, bool) or not isinstance(telemetry_every, int) or telemetry_every < 0:
        raise ConfigError(
            f"telemetry_every: expected a whole number of steps, or 0 for never, got {shown(telemetry_every)}"
        )
    if isinstance(l2_start, bool) or not isinstance(l2_start, int | float) or not 0 <= l2_start < math.inf:
        raise ConfigError(f"l2_start: expected a number of at least 0, got {shown(l2_start)}")


def check_labels(trainer: Any) -> None:
    """Have a classifier's labels checked in every batch, and in the first row of the training data at once.

    Raises:
        ConfigError, DataError: its labels are of another kind than its outputs or its objective need.
    """
    loss: ModelLoss = trainer.model_loss
    if loss.kind != "classification":
        return
    sized = isinstance(trainer.train_dataset, Sized)
    trainer.data_collator = CheckedLabels(trainer.data_collator, base_of(loss.model).config, mark=sized)
    if sized and len(trainer.train_dataset):
        labels = collated(trainer, range(1)).get("labels")
        if isinstance(labels, Tensor):
            loss.outputs(labels).refuse_settings(loss.config, loss.objective.label_smoothing)


def cache_reference(trainer: Any, folder: ReferenceFolder | None) -> None:
    """Cache the reference's outputs if the objective reads them and the data set has numbered rows.

    Where each process has a part of the weights, all must run the reference or none, whatever rows they know.
    """
    loss: ModelLoss = trainer.model_loss
    causal = loss.kind == "causal"
    materialised = causal and loss.causal_rows().fallback is not None
    dataset = trainer.train_dataset
    if not loss.config.needs_reference or materialised or not isinstance(dataset, Sized) or will_be_sharded(trainer):
        return
    if folder is None and causal and not shares_base():
        return  # hidden states would fill the memory
    loss.reference_cache = cache_of_run(lambda: _open_cache(trainer, loss, folder, len(dataset)))
    trainer.data_collator = KeyedRows(trainer.data_collator, causal=causal)


def _computing(device: torch.device) -> str:
    """Name the kind of device; on the CPU with its threads, since outputs may differ with them by rounding."""
    return f"cpu, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type


def _open_cache(trainer: Any, loss: ModelLoss, folder: ReferenceFolder | None, rows: int) -> ReferenceCache:
    arguments = trainer.args
    recent = arguments.train_batch_size * arguments.gradient_accumulation_steps if shares_base() else 0
    if folder is None:
        return ReferenceCache(budget=0 if loss.kind == "causal" else BUDGET_MIB * MIB, examples=rows, recent=recent)
    if arguments.max_steps > 0:
        a_step = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
        rows = min(rows, arguments.max_steps * a_step)
    marks = reference_identity(
        loss.model if loss.reference is None else loss.reference,
        outputs="hidden states" if loss.kind == "causal" else "logits",
        precision=trainer.accelerator.mixed_precision,
        device=_computing(arguments.device),
        scope=folder.scope,
    )
    entry, budget = Entry(folder.path, marks), folder.budget_mib * MIB
    return ReferenceCache(entry, budget=budget, examples=rows, recent=recent)
