"""Define what the objective returns for one batch: the loss, its parts, and the terms that cannot act."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Terms:
    """The loss and its parts for one batch; every part is a scalar mean over the batch's rows.

    ``loss`` = task + Σ λ·term carries the gradient. From logits the parts do too; from hidden states they are values
    only. Each regularizer is also an attribute: ``terms.consistency`` is ``terms.parts["consistency"]``.
    """

    loss: Tensor
    task: Tensor
    parts: dict[str, Tensor | None]
    """Every configured regularizer; None if it was not computed (no weight at this progress, or it cannot act)."""
    weights: dict[str, float] = field(default_factory=dict)
    """λ of each computed term at this progress."""
    inactive: dict[str, str] = field(default_factory=dict)
    """Why a term cannot act on this batch, whatever its gradient is multiplied with."""

    def __getattr__(self, name: str) -> Tensor | None:
        try:
            parts: dict[str, Tensor | None] = self.__dict__["parts"]
            return parts[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    def values(self) -> dict[str, Tensor]:
        """Return the value of the task loss and of every computed term."""
        return {"task": self.task} | {name: value for name, value in self.parts.items() if value is not None}
