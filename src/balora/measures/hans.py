"""Measure shortcuts in natural language inference by HANS: a classifier trained on MNLI, on rows where they fail."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from balora.errors import ModelError
from balora.measures.benchmark_rows import choice_of, read_rows, text_of
from balora.measures.measured import Measured, mean
from balora.tasks.catalogue import Task
from balora.tasks.config import DataConfig
from balora.tasks.evaluating import OnRows
from balora.tasks.nlu import encode_rows, evaluate_nlu
from balora.tasks.prepared import Prepared, length_limit, pad_id_of

COLUMNS = {
    "premise": ("premise", "sentence1"),
    "hypothesis": ("hypothesis", "sentence2"),
    "label": ("gold_label", "label"),
    "heuristic": ("heuristic",),
}
LABELS = ("entailment", "non-entailment")
HEURISTICS = ("lexical_overlap", "subsequence", "constituent")
ENTAILMENT = "entailment"
AGAINST = frozenset({"contradiction", "not_entailment", "non_entailment", "non-entailment"})
"""Names of a class that a task of inference has beside entailment."""


class Inference(NamedTuple):
    """A premise and a hypothesis whose words come from it."""

    where: str
    premise: str
    hypothesis: str
    is_entailed: bool
    heuristic: str


def read_hans(path: str, limit: int | None) -> list[Inference]:
    """Return the pairs; raises DataError as :func:`read_rows`, or for an unknown label or heuristic."""
    return [
        Inference(
            row.where,
            text_of(row, "premise"),
            text_of(row, "hypothesis"),
            choice_of(row, "label", LABELS) == ENTAILMENT,
            choice_of(row, "heuristic", HEURISTICS),
        )
        for row in read_rows(path, "hans", COLUMNS, limit)
    ]


def infers(task: Task) -> bool:
    """Return whether the classes of ``task`` say if its second text follows from its first (MNLI, RTE, not QNLI)."""
    is_inference = ENTAILMENT in task.labels and not AGAINST.isdisjoint(task.labels)
    return is_inference and len(task.text) == 2 and "question" not in task.text


def hans_scores(pairs: Sequence[Inference], said: Sequence[str]) -> Measured:
    """Return accuracy after `neutral` and `contradiction` were made one class, non-entailment.

    `hans` is the mean over the six cells, heuristic × label, which all have 5,000 rows as published;
    `hans_subsequence_entailment`, `hans_subsequence_non_entailment` and their like are the cells. A model that follows
    a heuristic has about 1 in its first cell and 0 in its second.

    Source: McCoy et al. 2019, *Right for the Wrong Reasons*.

    Args:
        pairs: the rows.
        said: the class that the model gave to each, by name.
    """
    right = [(name == ENTAILMENT) == pair.is_entailed for name, pair in zip(said, pairs, strict=True)]
    items: list[dict[str, Any]] = [
        {"index": index, "correct": right[index], "prediction": said[index], "heuristic": pair.heuristic,
         "entailed": pair.is_entailed}
        for index, pair in enumerate(pairs)
    ]  # fmt: skip
    cells: dict[str, float] = {}
    for heuristic in HEURISTICS:
        for name, is_entailed in (("entailment", True), ("non_entailment", False)):
            cell = [item for item in items if item["heuristic"] == heuristic and item["entailed"] == is_entailed]
            cells |= {f"hans_{heuristic}_{name}": mean(item["correct"] for item in cell)} if cell else {}
    notes = (
        () if len(cells) == 6 else (f"hans: the rows fill {len(cells)} of 6 cells, so `hans` is the mean over these",)
    )
    return Measured({"hans": mean(cells.values()), **cells}, {"hans": items}, notes)


def measure_hans(
    model: Any,
    tokenizer: Any,
    task: Task,
    pairs: Sequence[Inference],
    *,
    batch_size: int,
    max_positions: int | None = None,
    on_rows: OnRows | None = None,
) -> Measured:
    """Return the HANS values of a classifier that was trained on ``task`` (MNLI, or another of inference).

    Raises:
        ModelError: ``task`` is none of inference, or the head has another number of outputs than it has classes.
        TrainingError: an output is not finite.
    """
    if not infers(task):
        raise ModelError(f"HANS needs a classifier of natural language inference, but task {task.name!r} is none")
    special = tokenizer.num_special_tokens_to_add(pair=True)
    limit, _ = length_limit(DataConfig(), max_positions, special + 1)
    entailment = task.labels.index(ENTAILMENT)
    other = next(number for number, name in enumerate(task.labels) if name in AGAINST)
    rows = [
        {task.text[0]: pair.premise, task.text[1]: pair.hypothesis, "label": entailment if pair.is_entailed else other}
        for pair in pairs
    ]
    encoded, cut = encode_rows(task, rows, tokenizer, limit)
    prepared = Prepared(task, [], encoded, pad_id_of(tokenizer, _tokens(model)), max_positions, [])
    items = evaluate_nlu(model, prepared, batch_size=batch_size, on_rows=on_rows).items
    found = hans_scores(pairs, [task.labels[int(item["prediction"])] for item in items])
    notes = (
        (f"hans: {cut:,} of {len(pairs):,} rows are longer than {limit:,} tokens and were truncated",) if cut else ()
    )
    return found._replace(notes=(*found.notes, *notes))


def _tokens(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[0])
