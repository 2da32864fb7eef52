"""Measure what a testbed's model has forgotten in fine-tuning, on clean, unseen text like that of its pre-training."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from balora.settings import Family
from balora.tasks.encoding import IGNORED
from balora.tasks.evaluating import device_of, evaluating
from balora.tasks.silence import silence_transformers
from balora.tasks.testbed import decoder, encoder
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.document import Document
from balora.tasks.testbed.text import documents
from balora.tasks.testbed.tokenizer import PAD, word_ids
from balora.training.rows import base_of

DOCUMENTS: dict[Family, int] = {"nlu": 256, "nlg": 96}
"""About 300 hidden words and markers, or 2,200 words: the same ones for every run of one pre-training."""
BATCH = 128


class HeldOut(NamedTuple):
    """A batch of held-out documents, and the words to predict in them."""

    ids: Tensor
    targets: Tensor
    """Shaped as ``ids``: the word to predict at a position, IGNORED where there is none."""


class Baseline(NamedTuple):
    """The predictions of the pre-trained model on the held-out documents."""

    batches: list[HeldOut]
    log_p: list[Tensor]
    """Of each batch: over the words, at every position that has a target."""
    head: Any
    """An encoder's head for masked words, which turns hidden states into words."""


def forgetting(model: Any, folder: str, config: TestbedConfig, family: Family) -> dict[str, float]:
    """Return how a fine-tuned ``model`` and the pre-trained one in ``folder`` predict held-out clean text.

    * `held_out_loss_before`, `held_out_loss`: −log p of the target words, in nats a word, of the pre-trained and of
      the fine-tuned model; `forgetting` is the second less the first.
    * `drift`: KL(pre-trained ‖ fine-tuned) = Σ_w p(w) log (p(w) / q(w)) at the same positions, mean, in nats.

    A decoder predicts every next word. An encoder's tuned backbone is followed by the *pre-trained* head for masked
    words (its classifier predicts none), at hidden words and at the start token of documents with a marker.
    """
    backbone: Any = base_of(model).base_model
    baseline = _pretrained(folder, config, family, backbone.get_input_embeddings().weight.dtype, device_of(model))
    sums, count = torch.zeros(3, dtype=torch.float64), 0
    with evaluating(model):
        for batch, old in zip(baseline.batches, baseline.log_p, strict=True):
            new, words = _log_p(model, baseline.head, batch), batch.targets[batch.targets != IGNORED]
            losses = [nll_loss(log_p, words, reduction="sum") for log_p in (old, new)]
            sums += torch.stack([*losses, (old.exp() * (old - new)).sum()]).double().cpu()
            count += len(words)
    before, after, drift = (sums / count).tolist()
    return {"forgetting": after - before, "drift": drift, "held_out_loss_before": before, "held_out_loss": after}


@lru_cache(maxsize=4)  # the runs of one pre-training follow each other in a study's workers
def _pretrained(
    folder: str, config: TestbedConfig, family: Family, dtype: torch.dtype, device: torch.device
) -> Baseline:
    """Load the pre-trained model as the fine-tuned one is (number format, device), and return its predictions."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    kind: Any = AutoModelForMaskedLM if family == "nlu" else AutoModelForCausalLM
    with silence_transformers():
        model = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True).to(device).eval()
    head = model.lm_head if family == "nlu" else None
    batches = [HeldOut(batch.ids.to(device), batch.targets.to(device)) for batch in held_out(config, family)]
    with torch.no_grad():
        return Baseline(batches, [_log_p(model, head, batch) for batch in batches], head)


def held_out(config: TestbedConfig, family: Family) -> Iterator[HeldOut]:
    """Yield batches of clean documents in the language of ``config`` that pre-training did not draw."""
    words = word_ids(config)
    text = sorted(
        islice(documents(config.clean(), family, stream="held-out"), DOCUMENTS[family]),
        key=lambda document: len(document.text),
    )
    rng = np.random.default_rng(0)  # hides the same words in every run
    for start in range(0, len(text), BATCH):
        part = text[start : start + BATCH]
        yield _masked(part, words, rng) if family == "nlu" else _next_words(part, words)


def _masked(text: list[Document], words: dict[str, int], rng: np.random.Generator) -> HeldOut:
    batch = encoder.hide([encoder.encode(document, words) for document in text], rng, words)
    return HeldOut(batch.ids, batch.targets)


def _next_words(text: list[Document], words: dict[str, int]) -> HeldOut:
    ids = decoder.padded([decoder.tokens(document, words) for document in text])
    targets = torch.full_like(ids, IGNORED)
    targets[:, :-1] = ids[:, 1:].masked_fill(ids[:, 1:] == PAD, IGNORED)
    return HeldOut(ids, targets)


def _log_p(model: Any, head: Any, batch: HeldOut) -> Tensor:
    """Return log p over the words at every position with a target; ``head`` is that of an encoder."""
    inputs = {"input_ids": batch.ids, "attention_mask": (batch.ids != PAD).long()}
    has_target = batch.targets != IGNORED
    if head is None:
        logits = model(**inputs, use_cache=False).logits[has_target]
    else:
        backbone: Any = base_of(model).base_model
        logits = head(backbone(**inputs).last_hidden_state[has_target])
    log_p: Tensor = logits.float().log_softmax(dim=-1)
    return log_p
