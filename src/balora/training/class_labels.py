"""Find out what a classifier's labels are (classes, numbers, several a row), and check them while they are on the host.

On a device a check would wait for it, and a label out of range ends the whole process; so a collator checks.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from balora.errors import ConfigError, DataError, ModelError, shown
from balora.objective import ObjectiveConfig
from balora.objective.objective import refuse_regularizers
from balora.tasks.encoding import IGNORED

IGNORED_ROWS = "ignored_rows"
"""The entry of a batch that holds the places of its rows without a label, as a tuple: its labels are then checked."""

Problem = Literal["classes", "number", "numbers", "multi-label"]
WORDS: dict[Problem, str] = {
    "classes": "one class a row",
    "number": "one number a row",
    "numbers": "several numbers a row (regression on more than one output)",
    "multi-label": "several labels a row (multi_label_classification)",
}


class Outputs(NamedTuple):
    """What a classifier's labels must fit."""

    outputs: int
    problem: Problem

    @classmethod
    def of(cls, config: Any, labels: Tensor | None = None) -> "Outputs":
        """Return the outputs of a classifier's ``config``; where it says nothing ``labels`` decide, as in transformers.

        Raises:
            ModelError: a `problem_type` that transformers does not have, or that one output cannot have.
        """
        count, named = int(config.num_labels), getattr(config, "problem_type", None)
        if named is None:
            several = labels is not None and labels.is_floating_point() and labels.ndim == 2
            return cls(count, "number" if count == 1 else "multi-label" if several else "classes")
        if named == "regression":
            return cls(count, "number" if count == 1 else "numbers")
        if named == "multi_label_classification":
            return cls(count, "multi-label")
        if named != "single_label_classification":
            raise ModelError(
                f"problem_type {shown(named)} in the model's configuration: expected regression, "
                "single_label_classification, multi_label_classification or none"
            )
        if count == 1:
            raise ModelError(
                "the model has one output, but problem_type is 'single_label_classification', whose loss on one class "
                "is always 0: load it with num_labels of at least 2, or set problem_type to 'regression'"
            )
        return cls(count, "classes")

    @property
    def several(self) -> bool:
        """Whether every output has a label of its own."""
        return self.problem in ("numbers", "multi-label")

    def refuse_settings(self, config: ObjectiveConfig, label_smoothing: float) -> None:
        """Raise ConfigError for what is not defined on several labels a row."""
        if self.several:
            refuse_regularizers(config, WORDS[self.problem])
            if label_smoothing:
                raise ConfigError(
                    f"label_smoothing_factor = {label_smoothing:g}: it spreads one class over the others, but this "
                    f"model is trained on {WORDS[self.problem]}: set it to 0"
                )

    def check(self, labels: Tensor, name: Callable[[int], str]) -> tuple[int, ...]:
        """Return the places of the rows to be ignored (−100 in place of a class), after checking all others.

        Args:
            labels: of a batch, one or more a row; on a device they are waited for.
            name: names the row at a place of the batch, for an error.

        Raises:
            DataError: another type or shape than the outputs need, a label out of range, nan or infinity.
        """
        self._check_type(labels)
        host = labels.detach().cpu()
        if self.problem == "classes":
            return self._check_classes(host.reshape(-1), name)
        values = host.float().reshape(len(host), -1).numpy()
        low, high = (0.0, 1.0) if self.problem == "multi-label" else (-3e38, 3e38)
        bad = ~((values >= low) & (values <= high))
        if bad.any():
            row, output = map(int, divmod(int(bad.argmax()), values.shape[1]))
            limit = "a probability, 0 to 1" if self.problem == "multi-label" else "a finite number"
            where = f" for output {output}" if values.shape[1] > 1 else ""
            raise DataError(f"{name(row)}: its label{where} is {values[row, output]:g}, but must be {limit}")
        return ()

    def _check_classes(self, classes: Tensor, name: Callable[[int], str]) -> tuple[int, ...]:
        values = classes.long().numpy()
        ignored = values == IGNORED
        bad = ~ignored & ((values < 0) | (values >= self.outputs))
        if bad.any():
            row = int(bad.argmax())
            raise DataError(
                f"{name(row)}: its label is {values[row]}, but the model has {self.outputs} outputs, so its class "
                f"must be between 0 and {self.outputs - 1}, or {IGNORED} to be ignored: mend it, or load the model "
                "with more num_labels"
            )
        return tuple(ignored.nonzero()[0].tolist())

    def _check_type(self, labels: Tensor) -> None:
        whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
        rows = labels.shape[:1]
        fits = {
            "classes": whole and labels.ndim > 0 and labels.numel() == len(labels),
            "number": not labels.is_complex() and labels.ndim > 0 and labels.numel() == len(labels),
            "numbers": labels.is_floating_point() and labels.shape == (*rows, self.outputs),
            "multi-label": labels.is_floating_point() and labels.shape == (*rows, self.outputs),
        }
        if not fits[self.problem]:
            kind = str(labels.dtype).removeprefix("torch.")
            raise DataError(
                f"labels are {kind} of shape {tuple(labels.shape)}, but the model has {self.outputs} output(s) "
                f"for {WORDS[self.problem]}: {self._way_out()}"
            )

    def _way_out(self) -> str:
        if self.problem == "multi-label":
            return f"give floats of shape (rows, {self.outputs}), such as [1.0, 0.0], or set problem_type otherwise"
        if self.problem == "numbers":
            return f"give floats of shape (rows, {self.outputs})"
        if self.problem == "number":
            return "give one number a row, or load the model with more num_labels"
        return (
            "give one whole number (torch.long) a row; for several labels a row, floats of shape "
            f"(rows, {self.outputs}) and problem_type 'multi_label_classification'"
        )


def counted_labels(inputs: Mapping[str, Any], outputs: Outputs) -> tuple[Tensor, Tensor | None]:
    """Return a batch's labels as the loss takes them, and the places of its rows that count (None: all).

    Raises:
        DataError: labels that no collator has checked, and that do not fit the outputs.
    """
    labels: Tensor = inputs["labels"]
    ignored = inputs.get(IGNORED_ROWS)
    if ignored is None:
        ignored = outputs.check(labels, row_names(inputs))
    if outputs.several:
        return labels.float(), None
    flat = labels.reshape(-1)
    flat = flat.float() if outputs.problem == "number" else flat.long()
    if not ignored:
        return flat, None
    places = sorted(set(range(len(flat))) - set(ignored))
    counted = torch.tensor(places, dtype=torch.long).to(flat.device, non_blocking=True)
    return flat[counted], counted


def row_names(batch: Mapping[str, Any]) -> Callable[[int], str]:
    """Return a function that names the row at a place of ``batch``: by its `index`, or else by the place."""
    index = batch.get("index")
    if isinstance(index, Tensor):
        return lambda place: f"row {int(index[place])}"
    return lambda place: f"row {place} of the batch"


class CheckedLabels:
    """A collator that checks a classifier's labels, and lists the rows without one as `ignored_rows`.

    Args (of the constructor):
        collate: makes a batch of rows.
        config: the model's configuration.
        mark: whether to list the rows; not where batches are cut up later.
    """

    def __init__(self, collate: Callable[[Any], Any], config: Any, *, mark: bool) -> None:
        self.collate, self.config, self.mark = collate, config, mark

    def __call__(self, rows: Any) -> Any:
        """Return the batch of ``rows``; raises what :meth:`Outputs.check` does."""
        batch = self.collate(rows)
        labels = batch.get("labels")
        if isinstance(labels, Tensor):
            ignored = Outputs.of(self.config, labels).check(labels, row_names(batch))
            if self.mark:
                batch[IGNORED_ROWS] = ignored
        return batch
