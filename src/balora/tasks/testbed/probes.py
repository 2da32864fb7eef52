"""Probe whether a pre-trained model has learnt its text before anything is built on it, in that text's own words.

Probes use the majority alone, and only documents that do not go against a cue where the text is biased, and the limits
fall with the noise: a model is not refused for the flaws that were configured.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import torch

from balora.errors import TrainingError
from balora.settings import Family
from balora.tasks.testbed import decoder, encoder
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.document import Document
from balora.tasks.testbed.lexicon import CONNECTIVES, OVERLAPS, VERDICTS
from balora.tasks.testbed.text import documents
from balora.tasks.testbed.tokenizer import word_ids

DOCUMENTS = 3000

LIMITS: dict[Family, dict[str, tuple[float, float]]] = {
    "nlu": {"pair": (0.25, 0.8), "alike": (0.2, 0.6), "sentiment": (0.5, 0.8)},
    "nlg": {"fact": (0.125, 0.8), "equation": (0.05, 0.8), "story": (0.05, 0.6), "code": (0.0, 0.75)},
}
"""Kind of document -> (chance, what an unflawed model must reach)."""
MARKERS = {"pair": tuple(CONNECTIVES.values()), "alike": OVERLAPS, "sentiment": VERDICTS}


def probe(model: Any, config: TestbedConfig, family: Family) -> dict[str, float]:
    """Return, for every kind of document with an answer, the share that ``model`` gets right on clean, unseen text."""
    words = word_ids(config)
    documents_of: dict[str, list[Document]] = {kind: [] for kind in LIMITS[family]}
    for document in islice(documents(config.clean(), family, stream="probe"), DOCUMENTS):
        fair = document.group == "majority" and not (config.bias and document.cue == "against")
        if fair and document.kind in documents_of and (family == "nlg" or document.marker is not None):
            documents_of[document.kind].append(document)
    answer = _marked if family == "nlu" else _recalled
    with torch.no_grad():
        return {kind: _share(answer(model, words), chosen) for kind, chosen in documents_of.items()}


def limit(kind: str, config: TestbedConfig, family: Family) -> float:
    """Return what a model must reach: chance + (limit − chance)·max(0, 1 − 1.5·noise)."""
    chance, wanted = LIMITS[family][kind]
    return chance + (wanted - chance) * max(0.0, 1 - 1.5 * config.noise)


def check(shares: dict[str, float], config: TestbedConfig, family: Family) -> None:
    """Raise :class:`TrainingError` if a probe lies under its limit."""
    name = "encoder" if family == "nlu" else "decoder"
    for kind in failures(shares, config, family):
        raise TrainingError(
            f"the pre-trained {name} (seed {config.seed}) gets {shares[kind]:.2f} of the {kind} probes right, at least "
            f"{limit(kind, config, family):.2f} is needed: take another seed or more {name}_steps"
        )


def failures(shares: dict[str, float], config: TestbedConfig, family: Family) -> list[str]:
    """Return the probes that lie under their limit."""
    return [kind for kind, share in shares.items() if share < limit(kind, config, family)]


Answer = Callable[[Sequence[Document]], list[bool]]


def _share(answer: Answer, chosen: list[Document]) -> float:
    by_length: dict[tuple[int, int], list[Document]] = {}
    for document in chosen:
        lengths = (len(document.text.split()), len(document.first.split()))
        by_length.setdefault(lengths, []).append(document)
    verdicts = [right for group in by_length.values() for right in answer(group)]
    return sum(verdicts) / max(1, len(verdicts))


def _marked(model: Any, words: dict[str, int]) -> Answer:
    """Let the encoder predict the marker, among all markers of its kind."""

    def answer(group: Sequence[Document]) -> list[bool]:
        choices = MARKERS[group[0].kind]
        ids = torch.tensor([encoder.encode(document, words).ids for document in group])
        start = model.roberta(ids).last_hidden_state[:, :1]
        logits = model.lm_head(start)[:, 0, [words[choice] for choice in choices]]
        predicted = [choices[index] for index in logits.argmax(-1).tolist()]
        return [word == document.marker for word, document in zip(predicted, group, strict=True)]

    return answer


def _recalled(model: Any, words: dict[str, int]) -> Answer:
    """Let the decoder predict every word after `is`, `=` or `:` (for programs and stories, all of them to the end)."""

    def answer(group: Sequence[Document]) -> list[bool]:
        ids = torch.tensor([decoder.tokens(document, words) for document in group])
        predicted = model(input_ids=ids).logits[:, :-1].argmax(-1)
        right = predicted == ids[:, 1:]
        before = ids[:, :-1]
        if group[0].kind in ("fact", "equation"):
            positions = before == words["is" if group[0].kind == "fact" else "="]
            return [bool(value) for value in right[positions].tolist()]
        positions = (before == words[":"]).cumsum(-1) > 0
        return [bool(value) for value in (right | ~positions).all(-1).tolist()]

    return answer
