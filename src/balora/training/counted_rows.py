"""Count the rows of a training that have a label at all, and refuse one that has none."""

import logging
import random
from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from balora.errors import DataError
from balora.tasks.encoding import IGNORED

logger = logging.getLogger(__name__)

WAY_OUT = (
    "every label is −100, or stands at the first position, which nothing predicts: check what made the labels "
    "(completion or assistant masks, a collator's template, answers cut off by a length limit)"
)


class CountedRows:
    """Counts, without reading the device, the rows that a training has seen, and those without any counted label."""

    def __init__(self) -> None:
        self.rows = 0
        """Rows seen: examples, or packed rows of several."""
        self.counted = 0
        """Counted positions or examples among them."""
        self._empty: Tensor | int = 0
        self._looked = False

    def add(self, labels: Tensor, counted: int, *, causal: bool) -> None:
        """Add a micro-batch by its labels and the number of its counted positions or examples."""
        self.rows += len(labels)
        self.counted += counted
        empty = without_label(labels).sum() if causal else len(labels) - counted
        self._empty = self._empty + empty

    def look(self, trainer: Any) -> None:
        """Look through the data set, once, if nothing has counted so far.

        Raises:
            DataError: no row of it has a counted label.
        """
        if self.counted or self._looked:
            return
        self._looked = True
        if not isinstance(trainer.train_dataset, Sized):
            logger.warning("balora: the first rows have no counted label: %s", WAY_OUT)
        elif not has_counted_row(trainer):
            raise DataError(f"none of the {len(trainer.train_dataset):,} training rows has a counted label: {WAY_OUT}")

    def notes(self) -> list[str]:
        """Return a note if some of the rows seen had no counted label (waits for the device)."""
        empty = int(self._empty)
        if not empty:
            return []
        return [f"{empty:,} of the {self.rows:,} rows seen in training have no counted label: they teach nothing"]

    def finish(self, trainer: Any) -> None:
        """Warn of rows without a counted label at the end of a training.

        Raises:
            DataError: none of the rows, on no process, had one.
        """
        totals = torch.tensor([self.rows, self.counted], device=trainer.args.device)
        rows, counted = trainer.accelerator.reduce(totals, "sum").tolist()
        if rows and not counted:
            raise DataError(f"none of the {rows:,} rows seen in training has a counted label: {WAY_OUT}")
        for note in self.notes():
            logger.warning("balora: %s", note)


def label_notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a note if some of a task's encoded ``rows`` have no counted label.

    Raises:
        DataError: none of them has one.
    """
    empty = sum(_is_without_label(row["labels"]) for row in rows)
    if empty and empty == len(rows):
        raise DataError(f"none of the {empty:,} training rows has a counted label: {WAY_OUT}")
    return [f"{empty:,} of {len(rows):,} training rows have no counted label: they teach nothing"] if empty else []


def _is_without_label(labels: Any) -> bool:
    if isinstance(labels, list):  # a language model's, one a token
        return all(label == IGNORED for label in labels[1:])
    return isinstance(labels, int) and labels == IGNORED


def without_label(labels: Tensor) -> Tensor:
    """Return which rows (B, bool) of a language model's ``labels`` (B×T) have no label that a position predicts."""
    return (labels[:, 1:] == IGNORED).all(dim=1)


def has_counted_row(trainer: Any) -> bool:
    """Return whether any row of the trainer's data set, as its collator makes it, has a counted label."""
    causal = trainer.model_loss.kind == "causal"
    count = len(trainer.train_dataset)
    size = trainer.args.per_device_train_batch_size
    for start in range(0, count, size):
        labels = collated(trainer, range(start, min(start + size, count))).get("labels")
        if labels is None:
            return True  # the loss says what is missing
        if not bool(without_label(labels).all()) if causal else bool((labels != IGNORED).any()):
            return True
    return False


def collated(trainer: Any, places: range) -> Any:
    """Return the rows at ``places`` of the training data as the collator makes a batch of them, on the host.

    Data sets and collators may draw random numbers: the training draws the same ones afterwards.
    """
    dataset, collate = trainer.train_dataset, trainer.data_collator
    if hasattr(dataset, "column_names"):  # as the Trainer does for its own batches
        dataset = trainer._remove_unused_columns(dataset, description="training")
    else:
        collate = trainer._get_collator_with_removed_columns(collate, description="training")
    with _same_randomness_afterwards():
        return collate([dataset[place] for place in places])


@contextmanager
def _same_randomness_afterwards() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
