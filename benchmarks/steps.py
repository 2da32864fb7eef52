"""Build training steps of small Llama and BERT shapes under several methods, as calls that can be measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForCausalLM

from balora import AdapterConfig, ObjectiveConfig, attach
from balora.training.loss import ModelLoss
from balora.training.reference.keys import ROW_KEYS, row_keys
from balora.training.reference.reference_cache import ReferenceCache
from balora.training.reference.shards import Entry

ROWS, LENGTH = 8, 128


class Shape(NamedTuple):
    """A Llama and its batch."""

    vocabulary: int
    width: int = 256
    layers: int = 4
    rank: int = 8
    rows: int = ROWS
    length: int = LENGTH

    def words(self) -> str:
        """Return the text that names the shape in the tables."""
        return f"V = {self.vocabulary:,}, d = {self.width}, {self.layers} layers, {self.rows}×{self.length} tokens"


def llama(shape: Shape) -> LlamaForCausalLM:
    """Return a Llama with random weights, the same at every call."""
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=shape.vocabulary,
            hidden_size=shape.width,
            intermediate_size=int(2.75 * shape.width),
            num_hidden_layers=shape.layers,
            num_attention_heads=4 if shape.width < 512 else shape.width // 64,
            max_position_embeddings=shape.length,
        )
    )


def causal_batch(shape: Shape) -> dict[str, torch.Tensor]:
    """Return one batch; the first quarter of each row is the prompt."""
    size = (shape.rows, shape.length)
    tokens = torch.randint(shape.vocabulary, size, generator=torch.Generator().manual_seed(1))
    labels = tokens.clone()
    labels[:, : shape.length // 4] = -100
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": labels}


def causal_step(method: str, shape: Shape, folder: Path | None = None) -> Callable[[], object]:
    """Return one optimizer step of ``method`` on a causal model.

    ``peft-pissa`` and ``lora`` use PEFT's adapters and ``pissa`` uses ours, each with transformers' own loss.
    ``ba-lora`` uses our adapter with all three terms and a live reference; ``ba-lora-warm`` reads the reference from a
    cache on disk in ``folder``.
    """
    model: nn.Module = llama(shape)
    inputs: dict[str, Any] = dict(causal_batch(shape))
    if method in ("peft-pissa", "lora"):
        start = "pissa" if method == "peft-pissa" else True
        config = LoraConfig(r=shape.rank, lora_alpha=shape.rank, init_lora_weights=start, target_modules="all-linear")
        model = get_peft_model(model, config)
    else:
        # the values of the factors do not matter here, and the randomized SVD is much faster than the exact one
        model = attach(model, AdapterConfig(rank=shape.rank, init="pissa", svd="randomized"))
    if not method.startswith("ba-lora"):
        return _step(model, lambda: model(**inputs).loss)
    loss = ModelLoss(model, _all_on("nlg"))
    if method == "ba-lora-warm":
        assert folder is not None
        loss.reference_cache = _warm(model, inputs, folder)
        inputs[ROW_KEYS] = row_keys(inputs, causal=True)
    return _step(model, lambda: loss(model, inputs, 0.5)[0].loss)


def _warm(model: nn.Module, inputs: dict[str, Any], folder: Path) -> ReferenceCache:
    """Return a cache on disk that holds the reference's hidden states of one batch."""
    loss = ModelLoss(model, _all_on("nlg"), reference_cache=ReferenceCache(Entry(folder, {"model": "benchmark"})))
    loss.read(model, {**inputs, ROW_KEYS: row_keys(inputs, causal=True)})
    assert loss.reference_cache is not None
    loss.reference_cache.flush()
    return ReferenceCache(Entry(folder, {"model": "benchmark"}))


def classification_step(method: str, width: int = 256, rank: int = 8) -> Callable[[], object]:
    """Return one optimizer step on a BERT classifier; ``ba-lora`` trains on cached examples, as later epochs do."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=1000,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        num_labels=3,
    )
    model = attach(BertForSequenceClassification(config), AdapterConfig(rank=rank, init="pissa"))
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(1000, (ROWS, LENGTH), generator=generator)
    labels = torch.randint(3, (ROWS,), generator=generator)
    inputs: dict[str, Any] = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": labels}
    model.train()
    if method == "pissa":
        return _step(model, lambda: model(**inputs).loss)
    loss = ModelLoss(model, _all_on("nlu"))
    loss.reference_cache = ReferenceCache()
    inputs[ROW_KEYS] = row_keys(inputs, causal=False)
    return _step(model, lambda: loss(model, inputs, 0.5)[0].loss)


def _all_on(family: str) -> ObjectiveConfig:
    return ObjectiveConfig.preset("ba-lora", family=family)  # type: ignore[arg-type]


def _step(model: nn.Module, loss_of: Callable[[], torch.Tensor]) -> Callable[[], object]:
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()

    return step
