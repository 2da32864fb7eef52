"""Estimate the memory that a run will take, from its settings and its model's configuration alone.

The model is made of shapes without values. One optimizer step and one batch of the scoring are carried out on it with
the run's own code, while every tensor that comes and goes is counted. Nothing is computed, and no weight is read.
"""

import resource
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from balora.adapters.attachment import attach_shapes
from balora.objective.config import ObjectiveConfig
from balora.tasks.catalogue import Task
from balora.tasks.generation import LOGITS_AT_ONCE
from balora.tasks.testbed.config import TestbedConfig
from balora.training.loading import model_of_shapes, with_model_folder
from balora.training.loss import ModelLoss
from balora.training.spec import RunSpec

aten = torch.ops.aten
ADAM_STATES = 2
"""Numbers of AdamW beside each trained one: the means of its gradient and of the gradient's square."""


BITS = {"nf4": 4 + 32 / 64, "int8": 8.0}
"""Of a weight that is held as a code, with the scale of its block of 64; those of int8's rows are too few to count."""
DOUBLE_SAVED = 0.373
"""Bits of the scales that double quantization saves a weight (QLoRA, arXiv 2305.14314, §3)."""


class MemoryNeed(NamedTuple):
    """What a run takes, in bytes; a step's peak is the sum of all parts but ``scoring``, which comes after it."""

    program: int
    """Python and its libraries, as this process has them now; 0 on a GPU."""
    base: int
    """The pre-trained weights."""
    adapter: int
    """The adapter's trained weights and its start, and a trained head; nothing in full fine-tuning."""
    reference: int
    """A frozen copy of the model; an adapter that is switched off needs none."""
    optimizer: int
    """Gradients and AdamW's two means of the trained weights."""
    step: int
    """What one training batch adds at its peak: activations, the frozen model's outputs, the loss."""
    scoring: int
    """What one batch of the scoring adds at its peak, without a gradient: keys and values, logits."""
    spared: int
    """The logits of a training batch, the model's and the reference's, which are not made; 0 where they are."""

    @property
    def loading(self) -> int:
        """The peak of loading: weights of a file that is mapped into memory, beside the model's."""
        return self.program + 2 * self.base

    @property
    def training(self) -> int:
        """The peak of training."""
        return self.program + self.base + self.adapter + self.reference + self.optimizer + self.step

    @property
    def peak(self) -> int:
        """The peak of the run."""
        after = self.program + self.base + self.adapter + self.reference + self.optimizer + self.scoring
        return max(self.training, after, 0 if torch.cuda.is_available() else self.loading)


def estimate_memory(spec: RunSpec) -> MemoryNeed:
    """Return what the run of ``spec`` will take, with rows as long as ``data.max_length`` allows.

    Raises:
        ModelError: the model's configuration cannot be loaded, or has no head for the task.
        AdapterError: the adapter does not fit the model.
        ConfigError: the objective does not fit the task.
    """
    task, program = spec.find(spec.task), 0 if torch.cuda.is_available() else _resident()
    if spec.testbed is not None:  # its models are all of one size, and those of the usual settings are shipped
        usual = spec.model_copy(update={"testbed": TestbedConfig()})
        spec = with_model_folder(usual, lambda progress: None).model_copy(update={"testbed": None})
    model = model_of_shapes(spec, task)
    base = _bytes(model) - _saved_by_codes(model, spec)
    whole = _bytes(model)
    if spec.adapter is not None:
        model = attach_shapes(model, spec.adapter)
    trained = sum(_size(one) for one in model.parameters() if one.requires_grad)
    copy = base if spec.adapter is None and spec.objective.needs_reference else 0
    counted = _Counted()
    with FakeTensorMode(allow_non_fake_inputs=True), counted, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Accessing the data pointer of FakeTensor")  # to see whether a head changed
        _give_room(model)
        before = counted.live
        spared = _step(model, spec, task, counted)
        step = counted.peak - before
        counted.peak = before
        _score(model, spec, task)
        scoring = counted.peak - before
    gradients = (1 + ADAM_STATES) * trained
    adapter = _bytes(model) - whole
    return MemoryNeed(program, base, adapter, copy, gradients, max(0, step - trained), scoring, spared)


def _step(model: nn.Module, spec: RunSpec, task: Task, counted: "_Counted") -> int:
    """Carry out forward and backward pass of one training batch; return the bytes of the logits that were not made."""
    model.train()
    if spec.training.gradient_checkpointing:
        model.activation_checkpointing_enable()  # type: ignore[operator]
    reference = model if spec.adapter is None and spec.objective.needs_reference else None
    loss = ModelLoss(model, _weighted(spec.objective), reference)
    if loss.kind == "causal":
        loss.causal_rows().trust()
    batch = _batch(spec, task, spec.training.batch_size)
    half = spec.training.precision == "bfloat16"
    with torch.autocast(_device().type, dtype=torch.bfloat16, enabled=half):
        if task.family == "nlu":  # labels are checked by their values, which there are none
            inputs = {name: one for name, one in batch.items() if name != "labels"}
            student = model(**inputs).logits
            target = None
            if loss.config.needs_reference:
                with loss.frozen() as frozen:
                    target = frozen(**inputs).logits
            terms, rows = loss.objective.from_logits(student, target, batch["labels"], 0.0), len(student)
        else:
            terms, rows, _ = loss(model, batch, norms=spec.training.telemetry_every > 0)
    terms.loss.backward()  # type: ignore[no-untyped-call]
    for parameter in model.parameters():
        parameter.grad = None
    if loss.kind != "causal" or loss.causal_rows().fallback is not None:
        return 0
    models = 2 if spec.objective.needs_reference else 1
    return models * rows * int(model.config.vocab_size) * 4  # type: ignore[union-attr, arg-type]


def _saved_by_codes(model: nn.Module, spec: RunSpec) -> int:
    """Return how many bytes fewer the linear layers of the backbone take as codes than as numbers."""
    kind = spec.loading.quantization
    if kind is None:
        return 0
    bits = BITS[kind] - (DOUBLE_SAVED if kind == "nf4" and spec.loading.double_quantization else 0.0)
    layers = [one.weight for one in model.base_model.modules() if isinstance(one, nn.Linear)]  # type: ignore[union-attr]
    return sum(_size(weight) - int(weight.numel() * bits / 8) for weight in layers)


def _weighted(objective: ObjectiveConfig) -> ObjectiveConfig:
    """Return the objective with a weight in place of each share: λ changes nothing about what a step takes."""
    terms = {
        name: objective.terms()[name].model_copy(update={"share": None, "weight": 1.0}) for name in objective.shares
    }
    return objective.model_copy(update=terms)


def _score(model: nn.Module, spec: RunSpec, task: Task) -> None:
    """Carry out a forward pass as scoring does: a batch to be read and continued, then one whose logits are read."""
    model.eval()
    size = spec.training.eval_batch_size
    with torch.no_grad():
        batch = {name: one for name, one in _batch(spec, task, size).items() if name != "labels"}
        if task.family == "nlu":
            model(**batch)
            return
        output = model(**batch, use_cache=True, logits_to_keep=1)
        del output
        at_once = max(1, LOGITS_AT_ONCE // (spec.data.max_length * int(model.config.vocab_size)))  # type: ignore[union-attr, arg-type]
        batch = {name: one[:at_once] for name, one in batch.items()}
        logits = model(**batch, use_cache=False).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), batch["input_ids"].flatten(), reduction="sum")


def _batch(spec: RunSpec, task: Task, rows: int) -> dict[str, Tensor]:
    tokens = torch.zeros(rows, spec.data.max_length, dtype=torch.long, device=_device())
    labels = tokens
    if task.family == "nlu":
        labels = torch.zeros(rows, dtype=torch.float32 if task.regression else torch.long, device=_device())
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": labels}


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _give_room(model: nn.Module) -> None:
    """Replace the weights of shapes by ones that claim to lie on the device of the run; tied ones stay tied."""
    made: dict[int, Any] = {}

    def on_device(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            new: Tensor = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=_device())
            is_parameter = isinstance(tensor, nn.Parameter)
            made[id(tensor)] = nn.Parameter(new, requires_grad=tensor.requires_grad) if is_parameter else new
        found: Tensor = made[id(tensor)]
        return found

    kept = [tensor for _, tensor in _tensors(model)]  # no id is used twice while they live
    for holder in [one for module in model.modules() for one in (module._parameters, module._buffers)]:
        for name, tensor in holder.items():
            if tensor is not None:
                holder[name] = on_device(tensor)  # type: ignore[assignment]
    del kept


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _bytes(model: nn.Module) -> int:
    return sum(_size(tensor) for _, tensor in _tensors(model))


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _resident() -> int:
    """Return the bytes of memory that this process has now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class _Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of all tensors that are made inside and still live, and their peak.

    Tensors have no values here. What a value would decide is decided so that no memory is left out: every position
    counts, every mask is full, every check passes.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is aten._local_scalar_dense.default:
            return args[0].dtype == torch.bool
        if func is aten.nonzero.default:
            made = torch.empty(args[0].numel(), args[0].ndim, dtype=torch.long, device=args[0].device)
        elif func is aten.index.Tensor:
            made = func(args[0], _full(args[1]))
        else:
            made = func(*args, **(kwargs or {}))
        for tensor in tree_iter(made):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return made

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if id(storage) in self._sizes:
            return
        self._sizes[id(storage)] = storage.nbytes()
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._forget, id(storage))

    def _forget(self, key: int) -> None:
        self.live -= self._sizes.pop(key)


def _full(indices: list[Tensor | None]) -> list[Tensor | None]:
    """Return the indices with each mask as the positions that it would choose if all of it were true."""
    whole: list[Tensor | None] = []
    for index in indices:
        if index is None or index.dtype != torch.bool:
            whole.append(index)
        else:
            each = (torch.empty(index.numel(), dtype=torch.long, device=index.device) for _ in range(index.ndim))
            whole.extend(each)
    return whole
