"""Measure how a model answers: calibration, entropy, and how far its answers have collapsed into one."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

BINS = 15
RANK_ROWS = 256
"""Rows of a generation task whose first answer position counts for the effective rank."""
RANK_LOGITS = 2**25
"""Most logits held in memory for it: 128 MiB in float32, 256 rows of a vocabulary of 131,072."""
LOGITS_AT_ONCE = 2**22
"""Most probabilities computed at once: they are read a few rows at a time, beside the logits."""


class Behaviour:
    """Measures answers batch by batch, and holds the logits of a few rows only.

    ``add`` takes every answer (N×C logits and the N right classes), ``add_to_rank`` the logits for the effective rank;
    ``add_texts`` does both for generated answers.
    """

    def __init__(self) -> None:
        self._counts = torch.zeros(3, BINS, dtype=torch.float64)
        """By bin of confidence: answers, right answers, sum of confidences."""
        self._entropy = 0.0
        self._rank_logits: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count the answers that ``logits`` give."""
        size = max(1, LOGITS_AT_ONCE // logits.shape[-1])
        for start in range(0, len(logits), size):
            some, wanted = logits[start : start + size], labels[start : start + size]
            p = some.float().softmax(dim=-1)
            top, guess = p.max(dim=-1)
            confidence, right = top.double().cpu(), (guess == wanted).double().cpu()
            place = bin_of(confidence)
            for row, weight in enumerate((torch.ones_like(right), right, confidence)):
                self._counts[row].index_add_(0, place, weight)
            self._entropy += float(torch.special.entr(p).sum(dtype=torch.float64))

    def add_to_rank(self, logits: Tensor, positions: Sequence[int]) -> None:
        """Add the rows among the first ``RANK_ROWS`` of the task (``positions``), for the effective rank."""
        most = min(RANK_ROWS, RANK_LOGITS // logits.shape[-1])
        chosen = [row for row, position in enumerate(positions) if position < most]
        if chosen:
            self._rank_logits.append(logits[chosen])

    def add_texts(self, logits: Tensor, labels: Tensor, lengths: Sequence[int], positions: Sequence[int]) -> None:
        """Count answers of several tokens, whose logits follow each other; add the first token of each to the rank."""
        self.add(logits, labels)
        starts = [start - length for start, length in zip(accumulate(lengths), lengths, strict=True)]
        filled = [row for row, length in enumerate(lengths) if length]
        self.add_to_rank(logits[[starts[row] for row in filled]], [positions[row] for row in filled])

    def measures(self) -> dict[str, float]:
        """Return `ece`, `mean_entropy` (nats) and `effective_rank`, those that are defined.

        The expected calibration error is Σ_m |B_m|/n · |accuracy(B_m) − confidence(B_m)| over 15 bins of equal width of
        the top probability (Guo et al. 2017, *On calibration of modern neural networks*, eq. 5).
        """
        counts, right, confidence = self._counts
        n = float(counts.sum())
        if not n:
            return {}
        measures = {"ece": float((right - confidence).abs().sum()) / n, "mean_entropy": self._entropy / n}
        first_rows = torch.cat(self._rank_logits) if self._rank_logits else torch.zeros(0, 0)
        if first_rows.shape[-1] > 2 and first_rows.isfinite().all():  # some models forbid tokens by −∞
            measures["effective_rank"] = effective_rank(first_rows)
        return measures


def bin_of(confidence: Tensor) -> Tensor:
    """Return the bin of every confidence: bin m (from 0) holds those in (m/15, (m + 1)/15]."""
    return (confidence * BINS).ceil().long().sub(1).clamp(0, BINS - 1)


def effective_rank(logits: Tensor) -> float:
    """Return exp(−Σ p_i log p_i), p_i = σ_i / Σ_j σ_j, of the logits (rows × classes) less each row's mean.

    A row's mean is taken out because no probability depends on it; the mean *over* rows stays, so that rows which are
    all alike have the effective rank 1 and not that of the noise around them. At most min(rows, classes − 1), so always
    1 with two classes. 0 for a matrix of zeros.

    Source: Roy and Vetterli 2007, *The effective rank: a measure of effective dimensionality*. The singular values are
    the roots of the eigenvalues of the smaller Gram matrix, summed up in float64 block by block.
    """
    mean = logits.mean(dim=1, dtype=torch.float64)
    rows, classes = logits.shape
    gram = torch.zeros(min(rows, classes), min(rows, classes), dtype=torch.float64, device=logits.device)
    size = max(1, LOGITS_AT_ONCE // len(gram))
    for start in range(0, max(rows, classes), size):
        if rows > classes:
            block = logits[start : start + size].double() - mean[start : start + size, None]
        else:
            block = (logits[:, start : start + size].double() - mean[:, None]).T
        gram += block.T @ block
    sigma = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    sigma = sigma[sigma > 1e-7 * sigma.max()]  # half the digits of float64, all of float32's
    share = sigma / sigma.sum()
    return float((-(share * share.log()).sum()).exp()) if len(share) else 0.0
