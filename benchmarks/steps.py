"""Whole training steps of small Llama and BERT shapes under several methods, ready to be called and measured."""

from collections.abc import Callable

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForCausalLM

from balora import AdapterConfig, ObjectiveConfig, attach
from balora.training.loss import ModelLoss

ROWS, LENGTH = 8, 128


def llama(vocabulary: int, width: int = 256, layers: int = 4) -> LlamaForCausalLM:
    """Return a random Llama; the same numbers at every call."""
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=int(2.75 * width),
            num_hidden_layers=layers,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
        )
    )


def causal_batch(vocabulary: int) -> dict[str, torch.Tensor]:
    """Return one batch, the first quarter of each row being prompt."""
    tokens = torch.randint(vocabulary, (ROWS, LENGTH), generator=torch.Generator().manual_seed(1))
    labels = tokens.clone()
    labels[:, : LENGTH // 4] = -100
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": labels}


def causal_step(method: str, vocabulary: int, width: int = 256, rank: int = 8) -> Callable[[], object]:
    """Return one optimizer step of ``method`` on a causal model.

    ``peft-pissa`` and ``lora``: PEFT's adapters, ``pissa``: ours, each with transformers' own loss; ``ba-lora``: ours,
    all three terms on, reference live.
    """
    model: nn.Module = llama(vocabulary, width)
    inputs = causal_batch(vocabulary)
    if method in ("peft-pissa", "lora"):
        start = "pissa" if method == "peft-pissa" else True
        config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights=start, target_modules="all-linear")
        model = get_peft_model(model, config)
    else:
        model = attach(model, AdapterConfig(rank=rank, init="pissa"))
    if method != "ba-lora":
        return _step(model, lambda: model(**inputs).loss)
    loss = ModelLoss(model, _all_on("nlg"))
    return _step(model, lambda: loss(model, inputs, 0.5)[0].loss)


def classification_step(method: str, width: int = 256, rank: int = 8) -> Callable[[], object]:
    """Return one optimizer step on a BERT classifier; ``ba-lora`` sees the same examples again, as later epochs do."""
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
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": labels}
    model.train()
    if method == "pissa":
        return _step(model, lambda: model(**inputs).loss)
    loss = ModelLoss(model, _all_on("nlu"))
    inputs["index"] = torch.arange(ROWS)
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
