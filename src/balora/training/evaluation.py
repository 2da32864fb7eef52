"""Prepare the rows of a run, and score its model on them, for tasks of either family."""

from typing import Any

from balora.progress import OnProgress, Progress
from balora.tasks.nlg import evaluate_nlg, prepare_nlg
from balora.tasks.nlu import evaluate_nlu, prepare_nlu
from balora.tasks.prepared import Prepared
from balora.tasks.scores import Evaluation
from balora.tasks.testbed.flaw_measures import inheritance
from balora.training.forgetting import forgetting
from balora.training.spec import RunSpec


def prepare_rows(spec: RunSpec, tokenizer: Any, max_positions: int | None, *, train: bool = True) -> Prepared:
    """Return the rows of ``spec`` as tokens; raises what :func:`prepare_nlu` and :func:`prepare_nlg` do."""
    task = spec.find(spec.task)
    return (prepare_nlu if task.family == "nlu" else prepare_nlg)(
        task,
        spec.data,
        tokenizer,
        seed=spec.training.seed,
        max_positions=max_positions,
        train=train,
        testbed=spec.testbed,
    )


def evaluate(model: Any, tokenizer: Any, prepared: Prepared, spec: RunSpec, on_progress: OnProgress) -> Evaluation:
    """Score ``model`` on the evaluation rows; raises what :func:`evaluate_nlu` and :func:`evaluate_nlg` do."""

    def on_rows(done: int, total: int) -> None:
        on_progress(Progress("evaluate", done, total))

    size = spec.training.eval_batch_size
    if prepared.task.family == "nlu":
        result = evaluate_nlu(model, prepared, batch_size=size, on_rows=on_rows)
    else:
        new = spec.data.max_new_tokens
        result = evaluate_nlg(model, tokenizer, prepared, batch_size=size, max_new_tokens=new, on_rows=on_rows)
    return _with_tags(result, prepared)


def _with_tags(result: Evaluation, prepared: Prepared) -> Evaluation:
    """Add the ground truth about a testbed's rows to the items."""
    if not prepared.truth:
        return result
    items = [{**item, "tags": tags} for item, tags in zip(result.items, prepared.truth, strict=True)]
    return result._replace(items=items)


def measure_inheritance(
    model: Any, spec: RunSpec, folder: str, prepared: Prepared, result: Evaluation
) -> dict[str, float]:
    """Return which planted flaws a testbed's model still shows, and what it has forgotten; nothing for any other model.

    ``folder`` holds the pre-trained model that ``model`` was fine-tuned from.
    """
    if spec.testbed is None:
        return {}
    flaws = inheritance(prepared.task, result.items, prepared.truth)
    return flaws | forgetting(model, folder, spec.testbed, prepared.task.family)
