"""Prepare the rows of a run, and score its model on its tasks, which are of either family."""

from pathlib import Path
from typing import Any

from balora.errors import ConfigError, DataError, shown
from balora.progress import OnProgress, Progress
from balora.tasks.data_folders import split_files
from balora.tasks.grading import PLAIN, Tools
from balora.tasks.nlg import evaluate_nlg, prepare_nlg
from balora.tasks.nlu import evaluate_nlu, prepare_nlu
from balora.tasks.prepared import Prepared
from balora.tasks.recipes import RECIPES
from balora.tasks.scores import Evaluation
from balora.tasks.splits import hub_source
from balora.tasks.testbed.flaw_measures import inheritance
from balora.training.forgetting import forgetting
from balora.training.spec import RunSpec


def prepare_rows(
    spec: RunSpec, tokenizer: Any, max_positions: int | None, *, train: bool = True, score: bool = True
) -> Prepared:
    """Return the rows of ``spec`` as tokens; raises what :func:`prepare_nlu` and :func:`prepare_nlg` do."""
    task = spec.find(spec.task)
    return (prepare_nlu if task.family == "nlu" else prepare_nlg)(
        task,
        spec.data,
        tokenizer,
        seed=spec.training.seed,
        max_positions=max_positions,
        train=train,
        score=score,
        testbed=spec.testbed,
    )


def prepare_run(spec: RunSpec, tokenizer: Any, max_positions: int | None) -> tuple[Prepared, tuple[Prepared, ...]]:
    """Return the rows to train on, and those of every task to score on; raises what :func:`prepare_rows` does.

    A model that is scored on other tasks than its own meets their questions in the prompts that it was trained with.
    """
    if spec.scored == (spec.task,):
        both = prepare_rows(spec, tokenizer, max_positions)
        return both, (both,)
    refuse_shared_folder(spec)
    if spec.objective.family == "nlu":
        of_task = (spec.model_copy(update={"task": name}) for name in spec.scored)
        scored = [prepare_rows(one, tokenizer, max_positions, train=False) for one in of_task]
        return prepare_rows(spec, tokenizer, max_positions, score=False), tuple(scored)
    learnt = spec.find(spec.task)
    given: dict[str, Any] = {"seed": spec.training.seed, "max_positions": max_positions}
    train = prepare_rows(spec, tokenizer, max_positions, score=False)
    given |= {"train": False, "style": learnt, "learnt_questions": train.questions}
    return train, tuple(prepare_nlg(spec.find(name), spec.data, tokenizer, **given) for name in spec.scored)


def refuse_untrained(spec: RunSpec) -> None:
    """Raise ConfigError where the task to train on is a benchmark, whose rows are only for scoring."""
    if not spec.find(spec.task).trained:
        own = next((recipe.train for recipe in RECIPES.values() if spec.task in recipe.score), None)
        other = f"task {own!r}, whose model is scored on it" if own else "another task, with this one in `score`"
        raise ConfigError(
            f"task {spec.task!r} has no rows to train on, only rows to score a model on: train on {other}"
        )


def refuse_shared_folder(spec: RunSpec) -> None:
    """Raise DataError where the files, or the data set, of one task would be read for every task of ``spec``."""
    names = list(dict.fromkeys((spec.task, *spec.scored)))
    folder = Path(spec.data.folder).expanduser() if spec.data.folder else None
    if folder is not None and len(names) > 1 and folder.is_dir() and split_files(folder):
        raise DataError(
            f"data.folder {shown(spec.data.folder)} holds data files itself, which would be read for each of "
            f"{', '.join(names)}: give the folder above one folder for each"
        )
    read = [task for task in map(spec.find, names) if task.source == "files" and task.format != "own"]
    sources = [hub_source(task, spec.data) for task in read] if len(read) > 1 else []
    if twice := next((source for source in sources if source is not None and sources.count(source) > 1), None):
        called = shown(twice[0]) + (f" ({shown(twice[1])})" if twice[1] else "")
        raise DataError(
            f"the data set {called} would be read for several of {', '.join(names)}: leave data.folder and data.subset "
            "out, or give the folder above one folder for each"
        )


def evaluate(
    model: Any,
    tokenizer: Any,
    prepared: Prepared,
    spec: RunSpec,
    on_progress: OnProgress,
    tools: Tools = PLAIN,
) -> Evaluation:
    """Score ``model`` on the evaluation rows; raises what :func:`evaluate_nlu` and :func:`evaluate_nlg` do."""

    def on_rows(done: int, total: int) -> None:
        on_progress(Progress("evaluate", done, total))

    size = spec.training.eval_batch_size
    if prepared.task.family == "nlu":
        result = evaluate_nlu(model, prepared, batch_size=size, on_rows=on_rows)
    else:
        new = spec.data.max_new_tokens
        given: dict[str, Any] = {"batch_size": size, "max_new_tokens": new, "on_rows": on_rows, "tools": tools}
        result = evaluate_nlg(model, tokenizer, prepared, **given)
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
