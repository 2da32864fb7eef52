"""F1 over several classes, and over several labels of one text; by scikit-learn, imported at first use; torch-free."""

import math
from collections.abc import Collection, Sequence

Labels = Collection[int]
"""The indices of the labels that one text has; it may have none."""


def macro_f1(predictions: Sequence[int], labels: Sequence[int]) -> float:
    """Return the plain mean of F1 = 2·TP / (2·TP + FP + FN) over the classes that are a label or a prediction."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, average="macro", zero_division=0.0))


def micro_f1(predictions: Sequence[Labels], labels: Sequence[Labels]) -> float:
    """Return F1 over all pairs of text and label at once; NaN where no text has a label and none is predicted."""
    from sklearn.metrics import f1_score

    # one column more than there are labels: scikit-learn takes a single column for classes, not for a label
    width = 2 + max((label for row in (*predictions, *labels) for label in row), default=0)
    given, truth = ([[int(label in row) for label in range(width)] for row in rows] for rows in (predictions, labels))
    return float(f1_score(truth, given, average="micro", zero_division=math.nan))


def set_f1(prediction: Labels, labels: Labels) -> float:
    """Return F1 of one text's labels: 2·|both| / (|predicted| + |true|); 1 where both are empty."""
    given, truth = set(prediction), set(labels)
    return 2 * len(given & truth) / (len(given) + len(truth)) if given or truth else 1.0
