"""Record each term's value, λ and gradient share at a chosen interval, and stop at the first that is not finite."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from balora.errors import TrainingError
from balora.objective.terms import Terms
from balora.training.log_window import LogWindow
from balora.training.record import TermSummary

LOG_PREFIX = "balora/"
"""Under which a trainer's log line holds the terms."""


class Telemetry:
    """Collects terms on the device and reads them from it only at recorded steps and for log lines.

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
        self._window, self._logged = LogWindow(), 0

    def start(self) -> None:
        """Begin a training: what an earlier one did after its last log line belongs to none of this one's."""
        self._window, self._logged = LogWindow(), len(self.series())

    def wants(self, step: int) -> bool:
        """Return whether gradients should be compared at this step (once a step, whatever the accumulation)."""
        return self.every > 0 and step % self.every == 0 and step != self._last_step

    def add(
        self,
        step: int,
        terms: Terms,
        norms: dict[str, Tensor],
        l2_start: Tensor | None = None,
        *,
        share: Tensor | float = 1.0,
        l2_weight: float = 0.0,
    ) -> None:
        """Add the terms of a micro-batch; the device is read at recorded steps only, or always where that is free.

        Args:
            step: optimizer steps done before.
            terms: the objective's.
            norms: λ·‖∂term/∂H‖, at the steps that are recorded.
            l2_start: ½·‖θ − θ0‖², if that is part of the loss.
            share: the micro-batch's part of the optimizer step, by its rows.
            l2_weight: α of ``l2_start``.

        Raises:
            TrainingError: a value or a compared gradient was not finite.
        """
        for term, reason in terms.inactive.items():
            self._inactive.setdefault(term, Counter())[reason] += 1
        self._batches += 1
        self._watch(step, terms, norms)
        self._window.add(terms, share, l2_start, l2_weight)
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

    def log_line(self, over_processes: Callable[[Tensor], Tensor] | None = None) -> dict[str, float]:
        """Return what a trainer's log line shows of the steps since the last one, each name under `balora/`.

        Values and λ are means over all these steps. Gradients and their shares are means over those of them that were
        recorded, and are left out where none was.

        Args:
            over_processes: sums a tensor over all processes.
        """
        recorded = self.series()[self._logged :]
        self._logged = len(self._series)
        line = self._window.take(over_processes)
        names = [name for name in line if f"{name}_share" in self._keys(recorded)]
        for key in [f"{name}_{kind}" for name in names for kind in ("gradient", "share")]:
            line[key] = sum(row.get(key, 0.0) for row in recorded) / len(recorded)
        return {f"{LOG_PREFIX}{name}": value for name, value in line.items()}

    @staticmethod
    def _keys(rows: list[dict[str, Any]]) -> set[str]:
        return {key for row in rows for key in row}

    def summary(self, weights: dict[str, float]) -> dict[str, TermSummary]:
        """Return the task loss and each term of ``weights``, the configured λ (and α of `l2_start`), over the steps."""
        return {name: _summary(name, weight, self.series()) for name, weight in {"task": 1.0, **weights}.items()}

    def state(self) -> dict[str, Any]:
        """Return what a record needs of a finished training, for JSON."""
        return {
            "series": self.series(),
            "inactive": {term: dict(reasons) for term, reasons in self._inactive.items()},
            "batches": self._batches,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the :meth:`state` of another telemetry."""
        self._series, self._batches = list(state["series"]), state["batches"]
        self._inactive = {term: Counter(reasons) for term, reasons in state["inactive"].items()}

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
