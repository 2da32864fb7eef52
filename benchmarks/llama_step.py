"""Measure whole training steps of a Llama shape on one device: BA-LoRA's against PiSSA's and against the published way.

All methods share one model in bfloat16, its adapter (float32, under autocast, as `balora train` has them) and the
optimizer; only the loss differs. The values of the weights and of the adapter's start are random, since they do not
change the time. Each method's peak memory is that of everything on the device.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from peft import LoraConfig, get_peft_model
from torch import Generator, Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from balora import AdapterConfig, ObjectiveConfig, attach, reference_of
from balora.training.loss import ModelLoss
from balora.training.reference.keys import ROW_KEYS, row_keys
from balora.training.reference.reference_cache import ReferenceCache
from balora.training.reference.shards import Entry
from balora.training.rows import next_token_rows
from benchmarks.measure import interleaved, peak_memory, whole_peak
from benchmarks.objective import CONFIG, PROGRESS, published_loss
from benchmarks.results import Row

LIVE, WARM, PISSA, CHUNKED, PUBLISHED = "ba-lora live", "ba-lora warm", "pissa", "pissa chunked", "published"
FASTER = round(1 / 1.5, 3)
"""At 1.5 × the tokens/s, a token takes this share of the time."""
OURS = {LIVE: "live reference", WARM: "warm cache"}
STEP_GOALS = {LIVE: 1.6, WARM: 1.05}
MEMORY_GOAL, OFFSET_GOAL = 1.05, 1.1
ROUNDS = 3


class Llama(NamedTuple):
    """A Llama, its adapter and its batch."""

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    key_heads: int
    rank: int
    rows: int
    length: int
    checkpointing: bool = True

    @property
    def tokens(self) -> int:
        """Tokens of a batch."""
        return self.rows * self.length

    def words(self) -> str:
        """Return the text that names the shape in the tables."""
        way = "with" if self.checkpointing else "without"
        return (
            f"d = {self.width:,}, {self.layers} layers, V = {self.vocabulary:,}, r = {self.rank}, "
            f"{self.rows}×{self.length} tokens, {way} gradient checkpointing"
        )

    def config(self) -> LlamaConfig:
        """Return the model's configuration."""
        return LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_heads,
            max_position_embeddings=self.length,
        )


LLAMA_8B = Llama(128_256, 4096, 14_336, 32, 32, 8, rank=128, rows=16, length=512)
"""Llama-3.1-8B and 8,192 tokens; by estimate its activations have no room beside it without gradient checkpointing."""
SMALL = Llama(512, 64, 176, 2, 4, 2, rank=4, rows=4, length=32)
"""For a dry run on a CPU."""


class RandomFactors:
    """Stands in for the cache of factors and gives random ones: to decompose every weight would take minutes."""

    def factors(self, weight: Tensor, rank: int, *_: Any) -> tuple[Tensor, Tensor]:
        """Return A (r×in) and B (out×r) on the device of the weight."""
        out, into = weight.shape
        generator = Generator(weight.device).manual_seed(0)
        like = {"generator": generator, "device": weight.device}
        return torch.randn(rank, into, **like) / into**0.5, torch.randn(out, rank, **like) / out**0.5


def base_model(shape: Llama, device: str) -> LlamaForCausalLM:
    """Return a Llama with random weights in bfloat16, made on the device."""
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = LlamaForCausalLM(shape.config())
    finally:
        torch.set_default_dtype(before)
    if shape.checkpointing:
        model.activation_checkpointing_enable()
    return model


def batch_of(shape: Llama, device: str) -> dict[str, Any]:
    """Return a batch in which every token but the first of a row is learned, with the keys of its rows."""
    tokens = torch.randint(shape.vocabulary, (shape.rows, shape.length), generator=Generator().manual_seed(1))
    batch: dict[str, Any] = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": tokens}
    keys = row_keys(batch, causal=True)
    return {name: value.to(device) for name, value in batch.items()} | {ROW_KEYS: keys}


class Steps:
    """Training steps by every method on one attached model."""

    def __init__(self, shape: Llama, device: str, folder: Path) -> None:
        self.shape, self.device, self.folder = shape, device, folder
        with patch("balora.adapters.attachment.FactorCache", RandomFactors):
            self.model = attach(base_model(shape, device), AdapterConfig(rank=shape.rank, init="pissa")).train()
        self.batch = batch_of(shape, device)
        self.inputs = {name: value for name, value in self.batch.items() if name != ROW_KEYS}
        self.optimizer = _optimizer(self.model)
        self.chunked = ModelLoss(self.model, ObjectiveConfig.preset("none", family="nlg"))
        self.objective = ModelLoss(self.model, CONFIG)
        self.published_rows = shape.rows
        self._cache: ReferenceCache | None = None

    def methods(self) -> dict[str, Callable[[], object]]:
        """Return a step of each method, in the order in which their peaks are to be measured.

        BA-LoRA's come last: its factors of the head stay on the device, and would count as memory of the others.
        """
        losses = {
            PISSA: lambda: self.model(**self.inputs, use_cache=False).loss,
            CHUNKED: lambda: self.chunked(self.model, self.batch, PROGRESS)[0].loss,
            PUBLISHED: self._published,
            WARM: lambda: self._ours(self._warm_cache()),
            LIVE: lambda: self._ours(None),
        }
        return {name: _step(self.optimizer, loss, self.device) for name, loss in losses.items()}

    def _ours(self, cache: ReferenceCache | None) -> Tensor:
        self.objective.reference_cache = cache
        return self.objective(self.model, self.batch, PROGRESS)[0].loss

    def _warm_cache(self) -> ReferenceCache:
        """Return a cache on disk that holds the reference's hidden states of the batch; the first call fills it."""
        if self._cache is None:
            entry = Entry(self.folder, {"model": "benchmark"})
            self.objective.reference_cache = ReferenceCache(entry)
            with torch.no_grad():
                self.objective.read(self.model, self.batch)
            self.objective.reference_cache.flush()
            self._cache = ReferenceCache(entry)
        return self._cache

    def _published(self) -> Tensor:
        """Return the loss from all logits of both models, on as many rows of the batch as there is memory for."""
        fed = {name: self.inputs[name][: self.published_rows] for name in ("input_ids", "attention_mask")}
        counted, labels = next_token_rows(self.inputs["labels"][: self.published_rows])
        with torch.no_grad(), reference_of(self.model):
            z_ref = self.model(**fed, use_cache=False).logits[:, :-1][counted].float()
        z = self.model(**fed, use_cache=False).logits[:, :-1][counted].float()
        return published_loss(CONFIG, z, z_ref, labels)


def _optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)


def _step(optimizer: torch.optim.Optimizer, loss_of: Callable[[], Tensor], device: str) -> Callable[[], object]:
    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = loss_of()
        loss.backward()
        optimizer.step()

    return step


def step_rows(shape: Llama, device: str) -> Iterator[Row]:
    """Give the rows of memory and time, and at last that of PEFT's LoRA on the same base."""
    with TemporaryDirectory() as folder:
        steps = Steps(shape, device, Path(folder))
        methods = steps.methods()
        peaks = _peaks(steps, methods, device)
        yield from _memory_rows(shape, peaks)
        seconds = interleaved({name: methods[name] for name in peaks}, ROUNDS, warmup=1)
        yield from _time_rows(shape, seconds, steps.published_rows, steps.objective.notes())
        base = steps.model.unload()
        del steps, methods
    gc.collect()
    if PISSA in seconds:
        yield _offset_row(shape, base, seconds[PISSA], device)


def _peaks(steps: Steps, methods: dict[str, Callable[[], object]], device: str) -> dict[str, float]:
    """Return the peak MiB of each method, after a step of it; of those that there is memory for.

    The published way gets fewer rows of the batch until it has enough.
    """
    peak = whole_peak if device == "cuda" else peak_memory
    peaks: dict[str, float] = {}
    for name, step in methods.items():
        while name not in peaks:
            try:
                step()
                peaks[name] = peak(step)
            except torch.OutOfMemoryError:
                steps.published_rows //= 2 if name == PUBLISHED else 1
                if name != PUBLISHED or not steps.published_rows:
                    break
            finally:
                _free(steps, device)
    return peaks


def _free(steps: Steps, device: str) -> None:
    """Give back what a step leaves in memory, so that the next one finds what the first one did."""
    steps.optimizer.zero_grad()
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def _memory_rows(shape: Llama, peaks: dict[str, float]) -> Iterator[Row]:
    held = ", ".join(f"{name} {peak:,.0f} MiB" for name, peak in peaks.items())
    for name, words in OURS.items():
        if {name, CHUNKED} <= peaks.keys():
            what = f"peak memory of a step with {words} ÷ PiSSA's with a chunked cross-entropy ({shape.words()})"
            yield Row(what, peaks[name] / peaks[CHUNKED], MEMORY_GOAL, held)


def _time_rows(
    shape: Llama, seconds: dict[str, float], published_rows: int, notes: Sequence[str] = ()
) -> Iterator[Row]:
    times = "; ".join((", ".join(f"{name} {1000 * taken:.0f} ms" for name, taken in seconds.items()), *notes))
    missing = [name for name in (PISSA, CHUNKED, PUBLISHED, WARM, LIVE) if name not in seconds]
    if missing:
        times += f"; no memory for {', '.join(missing)}"
    rates = {name: shape.tokens / taken for name, taken in seconds.items()}
    note = ""
    if PUBLISHED in rates and published_rows < shape.rows:
        rates[PUBLISHED] *= published_rows / shape.rows
        note = f"; {PUBLISHED} on {published_rows} of {shape.rows} rows, for which there is memory"
    speeds = ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items()) + f" tokens/s{note}"
    for name, words in OURS.items():
        if {name, PISSA} <= seconds.keys():
            what = f"step with {words} ÷ PiSSA step (same)"
            yield Row(what, seconds[name] / seconds[PISSA], STEP_GOALS[name], times)
        if {name, PUBLISHED} <= rates.keys():
            what = f"time a token with {words} ÷ the published way's (same; 0.667 is 1.5 × its tokens/s)"
            yield Row(what, rates[PUBLISHED] / rates[name], FASTER, speeds)


def _offset_row(shape: Llama, base: nn.Module, offset_seconds: float, device: str) -> Row:
    """Return the offset form's step against that of PEFT's LoRA, which is PEFT's PiSSA with other values."""
    config = LoraConfig(r=shape.rank, lora_alpha=shape.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, config).train()  # type: ignore[arg-type]
    batch = {name: value for name, value in batch_of(shape, device).items() if name != ROW_KEYS}
    step = _step(_optimizer(model), lambda: model(**batch, use_cache=False).loss, device)
    seconds = interleaved({"peft": step}, ROUNDS, warmup=1)["peft"]
    detail = f"offset {1000 * offset_seconds:.0f} ms, peft {1000 * seconds:.0f} ms"
    return Row("offset form ÷ PEFT's LoRA, PiSSA step (same)", offset_seconds / seconds, OFFSET_GOAL, detail)
