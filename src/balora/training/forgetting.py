"""What fine-tuning made a testbed's model forget: its own pre-training text, clean and unseen, before and after."""

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


class Asked(NamedTuple):
    """Held-out documents, and the words that are asked for in them."""

    ids: Tensor
    targets: Tensor
    """As long as ``ids``: the word wanted at a position, IGNORED where nothing is asked."""


class Known(NamedTuple):
    """What a pre-trained model says about the held-out documents."""

    asked: list[Asked]
    log_p: list[Tensor]
    """Over the words, at every position of ``asked`` that has a target."""
    head: Any
    """Of an encoder, what reads words off its hidden states."""


def forgetting(model: Any, folder: str, config: TestbedConfig, family: Family) -> dict[str, float]:
    """Return how a fine-tuned ``model`` and the pre-trained one in ``folder`` foretell held-out clean text.

    * `held_out_loss_before`, `held_out_loss`: −log p of the words asked for, in nats a word, of the pre-trained and of
      the fine-tuned model; `forgetting` is the second less the first.
    * `drift`: KL(pre-trained ‖ fine-tuned) = Σ_w p(w) log (p(w) / q(w)) at the same positions, mean, in nats.

    A decoder is asked for every next word. An encoder's tuned backbone is read by the *pre-trained* head for masked
    words (its classifier reads none), at hidden words and at the start token of documents with a marker.
    """
    backbone: Any = base_of(model).base_model
    known = _pretrained(folder, config, family, backbone.get_input_embeddings().weight.dtype, device_of(model))
    sums, count = torch.zeros(3, dtype=torch.float64), 0
    with evaluating(model):
        for one, old in zip(known.asked, known.log_p, strict=True):
            new, wanted = _log_p(model, known.head, one), one.targets[one.targets != IGNORED]
            losses = [nll_loss(log_p, wanted, reduction="sum") for log_p in (old, new)]
            sums += torch.stack([*losses, (old.exp() * (old - new)).sum()]).double().cpu()
            count += len(wanted)
    before, after, drift = (sums / count).tolist()
    return {"forgetting": after - before, "drift": drift, "held_out_loss_before": before, "held_out_loss": after}


@lru_cache(maxsize=4)  # the runs of one pre-training follow each other in a study's workers
def _pretrained(folder: str, config: TestbedConfig, family: Family, dtype: torch.dtype, device: torch.device) -> Known:
    """Ask the pre-trained model, loaded once more in the number format and on the device of the fine-tuned one."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    kind: Any = AutoModelForMaskedLM if family == "nlu" else AutoModelForCausalLM
    with silence_transformers():
        model = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True).to(device).eval()
    head = model.lm_head if family == "nlu" else None
    asked = [Asked(one.ids.to(device), one.targets.to(device)) for one in held_out(config, family)]
    with torch.no_grad():
        return Known(asked, [_log_p(model, head, one) for one in asked], head)


def held_out(config: TestbedConfig, family: Family) -> Iterator[Asked]:
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


def _hidden(text: list[Document], words: dict[str, int], rng: np.random.Generator) -> Asked:
    batch = encoder.hide([encoder.lesson(document, words) for document in text], rng, words)
    return Asked(batch.ids, batch.targets)


def _following(text: list[Document], words: dict[str, int]) -> Asked:
    ids = decoder.padded([decoder.tokens(document, words) for document in text])
    targets = torch.full_like(ids, IGNORED)
    targets[:, :-1] = ids[:, 1:].masked_fill(ids[:, 1:] == PAD, IGNORED)
    return Asked(ids, targets)


def _log_p(model: Any, head: Any, asked: Asked) -> Tensor:
    """Return log p over the words at every position that is asked about; ``head`` reads an encoder's hidden states."""
    inputs = {"input_ids": asked.ids, "attention_mask": (asked.ids != PAD).long()}
    wanted = asked.targets != IGNORED
    if head is None:
        logits = model(**inputs, use_cache=False).logits[wanted]
    else:
        backbone: Any = base_of(model).base_model
        logits = head(backbone(**inputs).last_hidden_state[wanted])
    log_p: Tensor = logits.float().log_softmax(dim=-1)
    return log_p
