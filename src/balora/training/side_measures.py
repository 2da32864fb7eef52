"""Take the measures beside a run's score, on its model before and after training, and write their rows."""

import json
from pathlib import Path
from typing import Any

from balora.folders import write_atomic
from balora.measures.all_measures import measure
from balora.measures.language_head import WithHead, with_language_head
from balora.measures.measured import Measured
from balora.progress import OnProgress, Progress
from balora.training.rows import base_of
from balora.training.spec import RunSpec

ITEMS = "measures.jsonl"
"""The file in a run's folder that holds the rows of its measures."""


def take_measures(
    model: Any,
    tokenizer: Any,
    spec: RunSpec,
    source: str,
    on_progress: OnProgress,
    *,
    max_positions: int | None,
    is_trained: bool,
) -> Measured:
    """Return the measures of ``spec`` on ``model``; nothing where no file is given.

    Args:
        model: the model of the run. An adapter that has learnt nothing yet leaves the pre-trained model as it is.
        tokenizer: its tokenizer.
        spec: the run.
        source: the folder or name of the pre-trained model, whose head for words reads a classifier's backbone.
        on_progress: called with the phase `measure`.
        max_positions: the longest sequence that the model can read.
        is_trained: whether the model was trained; before, a classification head is random and HANS is not measured.

    Raises:
        DataError, ModelError, TrainingError: as :func:`balora.measures.all_measures.measure`.
    """
    if not spec.measures.given:
        return Measured()
    task = spec.find(spec.task)
    language: WithHead | str = ""
    if task.family == "nlu":
        language = with_language_head(base_of(model), source, trust_remote_code=spec.trust_remote_code)
    return measure(
        model,
        tokenizer,
        spec.measures,
        task=task,
        batch_size=spec.training.eval_batch_size,
        language=language,
        max_positions=max_positions,
        is_trained=is_trained,
        on_rows=lambda done, total: on_progress(Progress("measure", done, total)),
    )


def write_items(before: Measured, after: Measured, folder: Path) -> None:
    """Write every measured row into ``folder``: one JSON object a line, with `measure` and `when` first."""
    lines = [
        json.dumps({"measure": name, "when": when, **item})
        for when, taken in (("before", before), ("after", after))
        for name, items in taken.items.items()
        for item in items
    ]
    if lines:
        write_atomic(folder / ITEMS, "\n".join(lines) + "\n")
