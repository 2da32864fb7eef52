"""Compute the task's own loss from logits: cross-entropy for classes and tokens, squared error for regression."""

import torch.nn.functional as F
from torch import Tensor

from balora.errors import InputError
from balora.maths.precision import accurate


def task_loss(student: Tensor, labels: Tensor, label_smoothing: float = 0.0, *, multi_label: bool = False) -> Tensor:
    """Return the mean cross-entropy (integer labels) or mean squared error (float labels) over the rows.

    Labels of the logits' shape N×D hold one number an output, and the mean is over all of them, as in transformers:
    squared errors, or with ``multi_label`` binary cross-entropies of each output with a probability.

    With label smoothing ε a row's cross-entropy is −(1 − ε)·log p_y − (ε/D)·Σ_d log p_d, as in torch (Szegedy et al.
    2016, *Rethinking the Inception architecture*, with a uniform u); a squared error has no classes and stays as it is.

    Raises:
        InputError: an integer label outside 0…D−1 (checked on the CPU only: on a GPU the check would wait for it), or
            float labels for more than one output.
    """
    z = accurate(student)
    if labels.is_floating_point():
        if labels.ndim == 2:
            loss = F.binary_cross_entropy_with_logits if multi_label else F.mse_loss
            return loss(z, labels.to(z.dtype))
        if student.shape[-1] != 1:
            raise InputError(
                f"float labels mean regression on one output, got {student.shape[-1]} outputs: give whole numbers for "
                "classes, or one number an output"
            )
        return F.mse_loss(z.squeeze(-1), labels.to(z.dtype))
    check_labels(labels, student.shape[-1])
    return F.cross_entropy(z, labels, label_smoothing=label_smoothing)


def check_labels(labels: Tensor, outputs: int) -> None:
    """Raise :class:`InputError` for a label that names no output."""
    if labels.device.type == "cpu" and labels.numel() and not (labels.min() >= 0 and labels.max() < outputs):
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise InputError(f"labels must be between 0 and {outputs - 1} (rows already valid), got {int(wrong)}")
