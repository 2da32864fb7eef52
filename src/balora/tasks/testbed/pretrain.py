"""Pre-train one tiny model on the testbed's text: one thread, a fixed recipe, the same result every time."""

import copy
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from balora.errors import TrainingError
from balora.settings import Family
from balora.tasks.silence import silence_transformers
from balora.tasks.testbed import decoder, encoder
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.document import Document
from balora.tasks.testbed.optimizer import Mixed
from balora.tasks.testbed.probes import check, failures, probe
from balora.tasks.testbed.text import documents
from balora.tasks.testbed.tokenizer import build_tokenizer, word_ids

MATRIX_RATE, OTHER_RATE = 2e-2, 3e-3
WARMUP_STEPS = 50
MOST_NORM = 1.0
CHUNK = 16
"""Batches whose documents are packed together."""
ATTEMPTS = 3
"""One encoder in eight fails a probe by bad luck."""
DOCUMENTS_IN_A_ROW = 4
"""About: a row of the decoder is WIDTH tokens long."""

OnSteps = Callable[[int, int, float], None]
"""Called with steps done, steps in all, and the last loss."""


class Pretrained(NamedTuple):
    """A pre-trained model with its probes and its cost."""

    model: Any
    """In float32, its weights rounded to half precision."""
    tokenizer: Any
    probes: dict[str, float]
    cpu_seconds: float
    """Of the training alone, on one thread."""
    text_seconds: float
    """How much of that went into drawing and encoding text."""
    attempts: int = 1

    def save(self, folder: Path) -> None:
        """Write the model in half precision and its tokenizer, as transformers reads them."""
        with silence_transformers():
            copy.deepcopy(self.model).half().save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)


def pretrain(
    config: TestbedConfig, family: Family, *, on_steps: OnSteps | None = None, checked: bool = True
) -> Pretrained:
    """Pre-train the encoder (`nlu`) or the decoder (`nlg`) of a testbed.

    The result depends on the configuration and on the versions of torch and numpy only: one thread computes it, and the
    global random state is neither used nor changed. A model that fails its probes is trained again, up to
    ``ATTEMPTS`` times in all, from other text of the same language and other initial weights.

    Raises:
        TrainingError: the loss is not finite; with ``checked``, no attempt passes its probes.
    """
    for number in range(1, ATTEMPTS + 1):
        made = _attempt(config, family, number, on_steps)
        if not checked or not failures(made.probes, config, family):
            break
    else:
        check(made.probes, config, family)
    return made


def _attempt(config: TestbedConfig, family: Family, number: int, on_steps: OnSteps | None) -> Pretrained:
    with _one_thread(), torch.random.fork_rng(devices=[]):
        seed = config.seed + (number - 1) * 2**32  # seeds of first attempts are below
        torch.manual_seed(seed)
        words = word_ids(config)
        steps = config.encoder_steps if family == "nlu" else config.decoder_steps
        drawing = _Clock()
        text = documents(config, family, stream="train" if number == 1 else f"attempt {number}")
        trained, batches = (_encoder if family == "nlu" else _decoder)(config, text, words, seed)
        started = time.process_time()
        _fit(trained, drawing.timed(islice(batches, steps)), steps, on_steps)
        seconds = time.process_time() - started
        model = trained.model.half().float().eval()  # as it will be stored
        probes = probe(model, config, family)
    return Pretrained(model, build_tokenizer(config, family), probes, seconds, drawing.seconds, number)


def _encoder(
    config: TestbedConfig, text: Iterator[Document], words: dict[str, int], seed: int
) -> tuple[Any, Iterator[Any]]:
    rng = np.random.default_rng(seed)
    encoded = (encoder.encode(document, words) for document in text)
    groups = iter(lambda: list(islice(encoded, config.batch_size)), [])
    batches = (encoder.hide(rows, rng, words) for rows in groups)
    return encoder.EncoderLoss(encoder.new_encoder(len(words))), batches


def _decoder(
    config: TestbedConfig, text: Iterator[Document], words: dict[str, int], seed: int
) -> tuple[Any, Iterator[Tensor]]:
    batches = _mixed(text, words, config.batch_size, Random(seed))
    return decoder.DecoderLoss(decoder.new_decoder(len(words))), batches


def _mixed(text: Iterator[Document], words: dict[str, int], size: int, rng: Random) -> Iterator[Tensor]:
    """Yield batches of about ``size`` documents of all kinds, several to a row.

    Batches of one length would be batches of one kind, and a step on facts alone undoes some of a step on sums.
    """
    rows_at_once = max(1, size // DOCUMENTS_IN_A_ROW)
    while True:
        rows = decoder.packed([decoder.tokens(document, words) for document in islice(text, size * CHUNK)], rng)
        for start in range(0, len(rows) - rows_at_once + 1, rows_at_once):
            yield decoder.padded(rows[start : start + rows_at_once])


def _fit(trained: nn.Module, batches: Iterable[Any], steps: int, on_steps: OnSteps | None) -> None:
    """Train with a linear warm-up and a linear decay to 0."""
    optimizer = Mixed(trained, MATRIX_RATE, OTHER_RATE)
    for step, batch in enumerate(batches):
        loss = trained(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), MOST_NORM)
        optimizer.step(min(1.0, (step + 1) / WARMUP_STEPS) * (1 - step / steps))
        value = float(loss.detach())
        if value - value != 0:
            raise TrainingError(f"pre-training: the loss of step {step + 1} is {value}: change the seed")
        if on_steps is not None:
            on_steps(step + 1, steps, value)


class _Clock:
    """Measures the processor time that an iterator's items take to make."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, items: Iterable[Any]) -> Iterator[Any]:
        iterator = iter(items)
        while True:
            before = time.process_time()
            item = next(iterator, None)
            self.seconds += time.process_time() - before
            if item is None:
                return
            yield item


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
