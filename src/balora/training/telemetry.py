"""Record each term's value, λ and gradient share at a chosen interval, and stop at the first that is not finite."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from balora.errors import TrainingError
from balora.objective.terms import Terms
from balora.training.record import TermSummary


class Telemetry:
    """Collects terms on the device and reads them from it only at recorded steps.

    Args (of the constructor):
        every: record values and gradient shares each so many optimizer steps; 0 never.
    """

    def __init__(self, every: int = 10) -> None:
        self.every = every
        self._inactive: dict[str, Counter[str]] = {}
        self._batches = 0
        self._pending: list[tuple[int, Terms, dict[str, Tensor], Tensor | None]] = []
        self._series: list[dict[str, Any]] = []
        self._names: tuple[str, ...] = ()
        self._first_bad: Tensor | None = None
        self._last_step = -1

    def wants(self, step: int) -> bool:
        """Return whether gradients should be compared at this step (once a step, whatever the accumulation)."""
        return self.every > 0 and step % self.every == 0 and step != self._last_step

    def add(self, step: int, terms: Terms, norms: dict[str, Tensor], l2_start: Tensor | None = None) -> None:
        """Add the terms of a micro-batch; the device is read at recorded steps only, or always where that is free.

        Args:
            step: optimizer steps done before.
            terms: the objective's.
            norms: λ·‖∂term/∂H‖, at the steps that are recorded.
            l2_start: ½·‖θ − θ0‖², if that is part of the loss.

        Raises:
            TrainingError: a value or a compared gradient was not finite.
        """
        for term, reason in terms.inactive.items():
            self._inactive.setdefault(term, Counter())[reason] += 1
        self._batches += 1
        self._watch(step, terms, norms)
        if norms:
            self._last_step = step
            self._pending.append((step, _detached(terms), norms, None if l2_start is None else l2_start.detach()))
        if norms or reading_is_free(terms.task.device):
            self.check()

    def _watch(self, step: int, terms: Terms, norms: dict[str, Tensor]) -> None:
        values, self._names = terms.values(), ("task", *terms.parts)
        bad = torch.stack([_is_bad(terms.loss, values.get(name), norms.get(name)) for name in self._names])
        none_yet = torch.full_like(bad, -1, dtype=torch.long)
        first = none_yet if self._first_bad is None else self._first_bad
        self._first_bad = torch.where(bad & (first < 0), step, first)

    def check(self) -> None:
        """Raise :class:`TrainingError` with the first step and term that were not finite (waits for the device)."""
        if self._first_bad is None:
            return
        bad = [(step, name) for name, step in zip(self._names, self._first_bad.tolist(), strict=True) if step >= 0]
        if bad:
            step, name = min(bad, key=lambda pair: pair[0])  # the task comes first: the terms depend on it
            raise TrainingError(
                f"step {step + 1}: the {name} loss or its gradient is not finite (nan or inf): lower the learning "
                "rate, or check the model's weights and the data of this step"
            )

    def inactive(self) -> dict[str, str]:
        """Return {term: reason} for the terms that could act on no batch at all; the most frequent reason counts."""
        return {
            term: reasons.most_common(1)[0][0]
            for term, reasons in self._inactive.items()
            if reasons.total() == self._batches
        }

    def notes(self) -> list[str]:
        """Return a note for each term that could not act on some batches (a last one of few rows, say)."""
        return [
            f"{term} could not act on {reasons.total()} of {self._batches} batches: {reasons.most_common(1)[0][0]}"
            for term, reasons in self._inactive.items()
            if reasons.total() < self._batches
        ]

    def series(self) -> list[dict[str, Any]]:
        """Return one row a recorded step: step, loss, and value, λ and gradient share of each computed term.

        With accumulation, a row shows the first micro-batch of its step that has rows. `l2_start` is ½·‖θ − θ0‖²; it
        does not act through the last hidden state, so it has no share there and is no part of `loss`.
        """
        for step, terms, norms, l2_start in self._pending:
            total = sum(float(norm) for norm in norms.values())
            row: dict[str, Any] = {"step": step + 1, "loss": float(terms.loss)}
            for name, value in terms.values().items():
                row[name] = float(value)
                row[f"{name}_weight"] = terms.weights.get(name, 1.0)
                row[f"{name}_gradient"] = float(norms[name])
                row[f"{name}_share"] = float(norms[name]) / total if total > 0 else 0.0
            if l2_start is not None:
                row["l2_start"] = float(l2_start)
            self._series.append(row)
        self._pending.clear()
        return self._series

    def latest(self) -> dict[str, float]:
        """Return the last recorded value and share of each term, for a trainer's log line."""
        rows = self.series()
        return {key: value for key, value in (rows[-1] if rows else {}).items() if key not in ("step", "loss")}

    def summary(self, weights: dict[str, float]) -> dict[str, TermSummary]:
        """Return the task loss and each term of ``weights``, the configured λ (and α of `l2_start`), over the steps."""
        return {name: _summary(name, weight, self.series()) for name, weight in {"task": 1.0, **weights}.items()}

    def write(self, path: Path) -> None:
        """Write the series as one JSON object a line."""
        path.write_text("".join(json.dumps(row) + "\n" for row in self.series()), encoding="utf-8")


def reading_is_free(device: torch.device) -> bool:
    """Return whether a value on ``device`` can be read without waiting for work in flight."""
    return device.type == "cpu"


def _is_bad(like: Tensor, *values: Tensor | None) -> Tensor:
    bad = torch.zeros((), dtype=torch.bool, device=like.device)
    for value in values:
        bad = bad if value is None else bad | ~torch.isfinite(value.detach())
    return bad


def _detached(terms: Terms) -> Terms:
    parts = {name: None if value is None else value.detach() for name, value in terms.parts.items()}
    return replace(terms, loss=terms.loss.detach(), task=terms.task.detach(), parts=parts)


def _summary(name: str, weight: float, series: list[dict[str, Any]]) -> TermSummary:
    values = [row[name] for row in series if name in row]
    shares = [row[f"{name}_share"] for row in series if f"{name}_share" in row]
    if not values:
        return TermSummary(weight=weight)
    return TermSummary(
        weight=weight,
        first=values[0],
        last=values[-1],
        mean=sum(values) / len(values),
        gradient_share=sum(shares) / len(series) if shares else None,
    )
