"""Pre-train the encoder on four tasks at once: masked words, markers, replaced words, links between two sentences.

Four losses on one pass over a batch of documents of all kinds:

* masked words: the usual masked language model (the model's own head);
* the marker (a connective, a verdict, a number of shared parts), predicted by the same head at the start token;
* replaced words: of every token, whether it was replaced by another word (as ELECTRA; a linear head, dropped after);
* links: of every word of a second sentence, how it relates to the first (a linear head, dropped after).

The last one makes the comparison of two sentences reliable: trained on the connective alone, models learn it in a late
jump that luck decides; trained word by word, early and always.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from balora.tasks.encoding import IGNORED
from balora.tasks.testbed.document import Document
from balora.tasks.testbed.lexicon import VERDICTS
from balora.tasks.testbed.tokenizer import END, MASK, PAD, SPECIAL, START

MASKED, REPLACED = 0.10, 0.06
VERDICT_MASKED = 0.85
"""The verdict at the end of a feeling is masked more often: it alone shows what the adjective means."""
UNTOUCHED_PAIRS = 0.7
"""Share of the pair documents in which no word is masked or replaced."""
HIDDEN = 128


class Encoded(NamedTuple):
    """One document as tokens, with how each of them relates to the first sentence."""

    ids: list[int]
    links: list[int]
    marker: int
    """The word to predict at the start token; IGNORED where there is none."""


def encode(document: Document, words: dict[str, int]) -> Encoded:
    """Return a document in the form in which classifiers will read it: `<s> A </s></s> B </s>`."""
    ids = [START, *(words[word] for word in document.first.split()), END]
    links = [IGNORED] * len(ids)
    if document.second is not None:
        ids += [END, *(words[word] for word in document.second.split()), END]
        links += [IGNORED, *(IGNORED if link < 0 else link for link in document.links), IGNORED]
    return Encoded(ids, links, IGNORED if document.marker is None else words[document.marker])


class Batch(NamedTuple):
    """Documents as arrays, padded at the end."""

    ids: Tensor
    targets: Tensor
    """The word to predict where one is masked, and the marker at the start token; elsewhere IGNORED."""
    replaced: Tensor
    """1 where a word was replaced, 0 where it was not, IGNORED at masks and special tokens."""
    links: Tensor


def hide(documents: Sequence[Encoded], rng: np.random.Generator, words: dict[str, int]) -> Batch:
    """Mask and replace words at random; the targets are these words and the markers."""
    longest = max(len(document.ids) for document in documents)
    ids = np.array([document.ids + [PAD] * (longest - len(document.ids)) for document in documents])
    targets = np.full_like(ids, IGNORED)
    free = ids >= len(SPECIAL)
    chance = rng.random(ids.shape)
    links = np.array([document.links + [IGNORED] * (longest - len(document.links)) for document in documents])
    paired = (links != IGNORED).any(axis=1)
    touched = ~paired | (rng.random(len(ids)) >= UNTOUCHED_PAIRS)
    changeable = free & touched[:, None]
    threshold = np.where(np.isin(ids, [words[verdict] for verdict in VERDICTS]), VERDICT_MASKED, MASKED)
    masked = changeable & (chance < threshold)
    replaced = changeable & (chance > 1 - REPLACED)
    targets[masked] = ids[masked]
    with_replacements = np.where(replaced, rng.integers(len(SPECIAL), max(words.values()) + 1, ids.shape), ids)
    was_replaced = np.where(free & ~masked, with_replacements != ids, IGNORED)
    links = np.where(masked | replaced, IGNORED, links)
    targets[:, 0] = [document.marker for document in documents]
    shown = np.where(masked, MASK, with_replacements)
    return Batch(*(torch.from_numpy(array.astype(np.int64)) for array in (shown, targets, was_replaced, links)))


class EncoderLoss(nn.Module):
    """The model with its four losses; the two extra heads are dropped after pre-training."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.replaced = nn.Linear(HIDDEN, 2)
        self.links = nn.Linear(HIDDEN, 4)

    def forward(self, batch: Batch) -> Tensor:
        hidden = self.model.roberta(batch.ids, attention_mask=(batch.ids != PAD).long()).last_hidden_state
        has_target = batch.targets != IGNORED
        marked = has_target & (batch.ids == START)
        loss: Tensor = hidden.new_zeros(())
        for chosen in (marked, has_target & ~marked):
            if chosen.any():
                loss = loss + cross_entropy(self.model.lm_head(hidden[chosen]), batch.targets[chosen])
        loss = loss + cross_entropy(self.replaced(hidden).flatten(0, 1), batch.replaced.flatten(), ignore_index=IGNORED)
        related = batch.links != IGNORED
        if related.any():
            loss = loss + cross_entropy(self.links(hidden[related]), batch.links[related])
        return loss


def new_encoder(vocabulary: int) -> Any:
    """Return a RoBERTa with random weights whose first layers start out looking for repeated words.

    Queries and keys of the first two layers start equal, so that a word attends to its own repetition (after
    *Mimetic initialization of self-attention layers*, Trockman and Kolter, 2023).
    """
    from transformers import RobertaConfig, RobertaForMaskedLM

    from balora.tasks.testbed.tokenizer import POSITIONS

    model = RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=vocabulary, hidden_size=HIDDEN, num_hidden_layers=3, num_attention_heads=4,
            intermediate_size=384, max_position_embeddings=POSITIONS["nlu"] + PAD + 1, type_vocab_size=1,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.04,
            bos_token_id=START, pad_token_id=PAD, eos_token_id=END,
        )
    )  # fmt: skip
    with torch.no_grad():
        for layer in model.roberta.encoder.layer[:2]:
            attention = layer.attention.self
            attention.query.weight.normal_(0, HIDDEN**-0.5)
            attention.key.weight.copy_(attention.query.weight)
    return model
