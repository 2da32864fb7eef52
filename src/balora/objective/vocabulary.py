"""Compute the objective on a vocabulary from hidden states H (N×d) and a frozen head, without the N×V logits.

Terms that are sums over rows (cross-entropy, consistency, entropy) are computed in chunks of rows by
`balora.objective.rowwise`, terms of the whole matrix (covariance, spectrum) by `balora.objective.head`.
"""

from torch import Tensor

from balora.maths.precision import accurate
from balora.objective.config import ObjectiveConfig
from balora.objective.everywhere import Everywhere
from balora.objective.head import FrozenHead
from balora.objective.readout import PLAIN, Readout
from balora.objective.regularizers import REGULARIZERS, WholeMatrix
from balora.objective.rowwise import Chunks, row_terms, rowwise_parts


def parts_from_hidden(
    config: ObjectiveConfig,
    head: FrozenHead,
    hidden: Tensor,
    reference: Tensor | None,
    labels: Tensor,
    weights: dict[str, float],
    chunk_bytes: int | None = None,
    label_smoothing: float = 0.0,
    readout: Readout = PLAIN,
    everywhere: Everywhere | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return Σ weight·term, differentiable in ``hidden``, and the value of each term named in ``weights``.

    With ``everywhere`` the terms of the whole matrix are those of the rows of all processes.
    """
    everyone = hidden
    if everywhere is not None and any(_is_whole(config, term) for term in weights):
        everyone = everywhere.gathered(hidden)
    if readout.scale != 1:
        hidden, reference = hidden * readout.scale, None if reference is None else reference * readout.scale
    matrix_terms = {}
    for term in reversed(weights):  # their sum depends on the order to the last bit, and so do recorded runs
        form = None if term == "task" else REGULARIZERS[term].on_head(config)
        if isinstance(form, WholeMatrix):
            rows = everyone if form.scale_free or readout.scale == 1 else everyone * readout.scale
            matrix_terms[term] = form.value(config, rows, head)
    row_weights = {term: weight for term, weight in weights.items() if term not in matrix_terms}
    loss = hidden.new_zeros((), dtype=accurate(hidden.new_empty(0)).dtype)
    parts = {term: value.detach().to(loss.dtype) for term, value in matrix_terms.items()}
    if row_weights and not len(hidden):  # other processes have rows
        loss, parts["task"] = hidden.sum().to(loss.dtype), loss
    elif row_weights:
        terms = row_terms(config, head, row_weights, label_smoothing, readout.soft_cap)
        chunks = Chunks.of(len(hidden), head.outputs, head.weight, chunk_bytes)
        bias = None if head.bias is None else head.bias * readout.scale
        loss, row_parts = rowwise_parts(hidden, reference, head.weight, bias, labels, terms, chunks)
        parts |= row_parts
    for term, value in matrix_terms.items():
        loss = loss + weights[term] * value.to(loss.dtype)
    return loss, parts


def _is_whole(config: ObjectiveConfig, term: str) -> bool:
    return term != "task" and isinstance(REGULARIZERS[term].on_head(config), WholeMatrix)
