"""What fine-tuning made a testbed's model forget: its own pre-training text, clean and unseen, before and after."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from balora.settings import Family
from balora.tasks.evaluating import device_of, evaluating
from balora.tasks.testbed import decoder, encoder
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.document import Document
from balora.tasks.testbed.text import documents
from balora.tasks.testbed.tokenizer import PAD, word_ids
from balora.training.loading import quiet
from balora.training.rows import base_of

DOCUMENTS: dict[Family, int] = {"nlu": 256, "nlg": 128}
"""About 300 hidden words and markers, or 2,900 words: the same ones for every run of one pre-training."""
BATCH = 64


class Batch(NamedTuple):
    """Held-out documents, and the words that are asked for in them."""

    ids: Tensor
    targets: Tensor
    """As long as ``ids``: the word wanted at a position, IGNORED where nothing is asked."""


def forgetting(model: Any, folder: str, config: TestbedConfig, family: Family) -> dict[str, float]:
    """Return how a fine-tuned ``model`` and the pre-trained one in ``folder`` foretell held-out clean text.

    * `held_out_loss_before`, `held_out_loss`: −log p of the words asked for, in nats a word, of the pre-trained and of
      the fine-tuned model; `forgetting` is the second less the first.
    * `drift`: KL(pre-trained ‖ fine-tuned) = Σ_w p(w) log (p(w) / q(w)) at the same positions, mean, in nats.

    A decoder is asked for every next word. An encoder's tuned backbone is read by the *pre-trained* head for masked
    words (its classifier reads none), at hidden words and at the start token of documents with a marker.
    """
    reference = _pretrained(folder, family, model)
    sums, count = torch.zeros(3, dtype=torch.float64), 0
    with evaluating(model):
        for batch in held_out(config, family):
            ids, targets = (part.to(device_of(model)) for part in batch)
            asked = targets != encoder.IGNORED
            old, new = (_log_p(one, reference, ids, asked, family) for one in (reference, model))
            losses = [nll_loss(log_p, targets[asked], reduction="sum") for log_p in (old, new)]
            sums += torch.stack([*losses, (old.exp() * (old - new)).sum()]).double().cpu()
            count += int(asked.sum())
    before, after, drift = (sums / count).tolist()
    return {"forgetting": after - before, "drift": drift, "held_out_loss_before": before, "held_out_loss": after}


def held_out(config: TestbedConfig, family: Family) -> Iterator[Batch]:
    """Yield batches of clean documents in the language of ``config`` that pre-training did not draw."""
    words = word_ids(config)
    text = sorted(
        islice(documents(config.clean(), family, stream="held-out"), DOCUMENTS[family]),
        key=lambda document: len(document.text),
    )
    rng = np.random.default_rng(0)  # hides the same words in every run
    for start in range(0, len(text), BATCH):
        some = text[start : start + BATCH]
        yield _hidden(some, words, rng) if family == "nlu" else _following(some, words)


def _hidden(text: list[Document], words: dict[str, int], rng: np.random.Generator) -> Batch:
    batch = encoder.hide([encoder.lesson(document, words) for document in text], rng, words)
    return Batch(batch.ids, batch.targets)


def _following(text: list[Document], words: dict[str, int]) -> Batch:
    ids = decoder.padded([decoder.tokens(document, words) for document in text])
    targets = torch.full_like(ids, encoder.IGNORED)
    targets[:, :-1] = ids[:, 1:].masked_fill(ids[:, 1:] == PAD, encoder.IGNORED)
    return Batch(ids, targets)


def _log_p(model: Any, reference: Any, ids: Tensor, asked: Tensor, family: Family) -> Tensor:
    """Return log p over the words at every position that is asked about."""
    inputs = {"input_ids": ids, "attention_mask": (ids != PAD).long()}
    if family == "nlu":
        backbone: Any = base_of(model).base_model
        logits = reference.lm_head(backbone(**inputs).last_hidden_state[asked])
    else:
        logits = model(**inputs, use_cache=False).logits[asked]
    log_p: Tensor = logits.float().log_softmax(dim=-1)
    return log_p


def _pretrained(folder: str, family: Family, model: Any) -> Any:
    """Load the pre-trained model once more, in the number format and on the device of ``model``."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    kind: Any = AutoModelForMaskedLM if family == "nlu" else AutoModelForCausalLM
    base: Any = base_of(model).base_model
    with quiet():
        loaded = kind.from_pretrained(folder, dtype=base.get_input_embeddings().weight.dtype, use_safetensors=True)
    return loaded.to(device_of(model)).eval()
