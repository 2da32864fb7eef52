"""Pre-train the decoder, a small Llama, to predict the next word of every document: model, batches and loss."""

from collections.abc import Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from balora.tasks.testbed.document import Document
from balora.tasks.testbed.tokenizer import END, PAD, POSITIONS, START

WIDTH = 96
"""Tokens in a row of training text."""


def tokens(document: Document, words: dict[str, int]) -> list[int]:
    """Return a document as the decoder reads it: `<s> … </s>`."""
    return [START, *(words[word] for word in document.text.split()), END]


def new_decoder(vocabulary: int) -> Any:
    """Return a Llama with random weights, whose output head is its word table."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=128, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4,
            intermediate_size=256, max_position_embeddings=POSITIONS["nlg"], tie_word_embeddings=True,
            initializer_range=0.04, bos_token_id=START, pad_token_id=PAD, eos_token_id=END,
        )
    )  # fmt: skip


class DecoderLoss(nn.Module):
    """The model with its loss: −log p of the next word, mean over the batch."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        """Return the loss of rows of documents; a document sees nothing of those before it in its row."""
        document = (ids == START).cumsum(dim=1)
        visible = (document[:, :, None] == document[:, None, :]).tril()[:, None]
        logits = self.model(input_ids=ids, attention_mask=visible, use_cache=False).logits[:, :-1]
        following = ids[:, 1:].masked_fill(ids[:, 1:] == START, PAD)
        return cross_entropy(logits.flatten(0, 1), following.flatten(), ignore_index=PAD)


def packed(documents: Sequence[list[int]], rng: Random) -> list[list[int]]:
    """Put documents into rows of at most ``WIDTH`` tokens, in random order within and among the rows.

    The longest are placed first, each in the first row with room, which leaves next to no room unused.
    """
    rows: list[list[list[int]]] = []
    for document in sorted(documents, key=len, reverse=True):
        fitting = next((row for row in rows if sum(map(len, row)) + len(document) <= WIDTH), None)
        if fitting is None:
            rows.append([document])
        else:
            fitting.append(document)
    rng.shuffle(rows)
    return [[token for document in rng.sample(row, len(row)) for token in document] for row in rows]


def padded(rows: Sequence[list[int]]) -> Tensor:
    """Return documents as one array, padded at the end."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])
