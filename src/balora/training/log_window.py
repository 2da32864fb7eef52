"""Average each term over the steps between two log lines, without reading the device before the second."""

from collections.abc import Callable

import torch
from torch import Tensor

from balora.objective.terms import Terms


class LogWindow:
    """Sums value and λ of every term, weighted by its micro-batch's share of the optimizer step.

    With those weights the means belong to the Trainer's own `loss`: the task's, plus each term's times its λ.
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._sums: Tensor | None = None  # a line a term: Σ share·value, Σ share, Σ share·λ

    def add(self, terms: Terms, share: Tensor | float, l2_start: Tensor | None = None, weight: float = 0.0) -> None:
        """Add one micro-batch; ``weight`` is α of ``l2_start``, if that is part of the loss."""
        values = terms.values() | ({} if l2_start is None else {"l2_start": l2_start})
        weights = {"task": 1.0, "l2_start": weight, **terms.weights}
        names = ("task", *terms.parts) + (() if l2_start is None else ("l2_start",))
        part = torch.as_tensor(share, dtype=terms.task.dtype).to(terms.task.device)
        none = torch.zeros_like(part)
        lines = [
            (value.detach().to(part.dtype) * part, part, part * weights.get(name, 0.0))
            if (value := values.get(name)) is not None
            else (none, none, none)
            for name in names
        ]
        sums = torch.stack([column for line in lines for column in line]).reshape(len(names), 3)
        same = self._sums is not None and names == self._names
        self._names, self._sums = names, self._sums + sums if same and self._sums is not None else sums

    def take(self, over_processes: Callable[[Tensor], Tensor] | None = None) -> dict[str, float]:
        """Return each term's mean value and `<term>_weight`, its mean λ, and start anew.

        A term's value is the mean over the micro-batches that have it, its λ that over all steps (0 where it was not
        applied). A term without any is left out.

        Args:
            over_processes: sums a tensor over all processes.
        """
        sums, self._sums = self._sums, None
        if sums is None:
            return {}
        lines = (sums if over_processes is None else over_processes(sums)).tolist()
        whole = lines[0][1]
        means = {}
        for name, (value, share, weight) in zip(self._names, lines, strict=True):
            if share > 0:
                means[name] = value / share
                if name != "task":
                    means[f"{name}_weight"] = weight / whole
        return means
