"""Score a model, or a plain adapter on its base, that was trained at any other time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from balora.errors import AdapterError, ConfigError, ModelError, shown
from balora.progress import OnProgress, Progress
from balora.tasks.catalogue import Task
from balora.tasks.prepared import Prepared
from balora.tasks.scores import Evaluation
from balora.tasks.token_range import within_embeddings
from balora.training.loading import load_model, load_tokenizer, place, usable_positions, with_model_folder
from balora.training.spec import RunSpec

HEAD = "ForSequenceClassification"
CLASSIFIER = "SEQ_CLS"
WEIGHTS = "adapter_model.safetensors"


def score_model(spec: RunSpec, adapter: Path | None = None, *, on_progress: OnProgress | None = None) -> Evaluation:
    """Score ``spec.model``, with ``adapter`` (a folder saved by PEFT) if given, on ``spec.task``.

    Of ``spec`` only the model, the task, the data and the batch size count.

    Raises:
        InputError: model, adapter or data cannot be used; a classification task without a trained head.
        TrainingError: an output is not finite.
    """
    return score_on_tasks({spec.task: spec}, adapter, on_progress=on_progress)[spec.task]


def score_on_tasks(
    specs: Mapping[str, RunSpec], adapter: Path | None = None, *, on_progress: OnProgress | None = None
) -> dict[str, Evaluation]:
    """Score a model on several tasks: for each, the model is loaded and the data read before the first is scored.

    Raises:
        InputError, TrainingError: as :func:`score_model`, for any of the tasks.
    """
    from balora.training.evaluation import evaluate, prepare_rows, refuse_shared_folder
    from balora.training.tools import open_tools

    report = on_progress or (lambda progress: None)
    for name, spec in specs.items():
        _refuse_other_scores(spec, spec.find(name))
    if adapter is not None:
        for spec in specs.values():
            check_adapter(adapter, spec.find(spec.task))
    models, ready = _OneModel(adapter), dict[str, tuple[RunSpec, Prepared]]()
    tools = {name: open_tools(spec) for name, spec in specs.items()}
    for name, spec in specs.items():
        refuse_shared_folder(spec.model_copy(update={"score": tuple(specs)}))
        report(Progress("load", 0, 1))
        spec = with_model_folder(spec, report)
        model, tokenizer = models.of(spec)
        rows = prepare_rows(spec, tokenizer, usable_positions(model), train=False)
        ready[name] = spec, within_embeddings(rows, model, tokenizer)
    results = {}
    for name, (spec, prepared) in ready.items():
        model, tokenizer = models.of(spec)
        result = evaluate(model, tokenizer, prepared, spec, report, tools[name])
        results[name] = result._replace(notes=(*prepared.notes, *result.notes))
    return results


def _refuse_other_scores(spec: RunSpec, task: Task) -> None:
    """Raise ConfigError where ``task`` has no rows to score on, or ``spec.score`` names other tasks."""
    if not task.scored:
        instead = f": score the tasks of its recipe ({', '.join(spec.scored)})" if spec.score else ""
        raise ConfigError(f"task {task.name!r} is only trained on and has no rows to score a model on{instead}")
    if spec.scored != (task.name,):
        raise ConfigError(
            f"score: names {', '.join(spec.scored)}, but the tasks to score are those given as --task: leave it out"
        )


class _OneModel:
    """The model to score a task with; the last one is kept, since tasks of a family mostly share it."""

    def __init__(self, adapter: Path | None) -> None:
        self.adapter = adapter
        self.key: tuple[Any, ...] = ()
        self.model: tuple[Any, Any] | None = None

    def of(self, spec: RunSpec) -> tuple[Any, Any]:
        """Return model and tokenizer for ``spec``; raises as :func:`load_model_to_score`."""
        task = spec.find(spec.task)
        key = spec.model, spec.loading, task.family, len(task.labels), task.regression
        if self.model is None or key != self.key:
            self.model = None  # frees the memory before the next one is loaded
            self.key, self.model = key, load_model_to_score(spec, task, self.adapter)
        return self.model


def load_model_to_score(spec: RunSpec, task: Task, adapter: Path | None) -> tuple[Any, Any]:
    """Return the model to score, on the device where runs are, and its tokenizer.

    Raises:
        ModelError: it cannot be loaded, or has no trained head for a classification task.
        AdapterError: the adapter cannot be read, does not fit, or was trained for another kind of task.
    """
    import torch

    if adapter is not None:
        check_adapter(adapter, task)
    tokenizer = load_tokenizer(spec)
    model = load_model(spec, task, tokenizer)
    if adapter is not None:
        model = apply_adapter(model, adapter)
    elif task.family == "nlu" and not _classifies(model):
        raise ModelError(
            f"model {shown(spec.model)} has no trained classification head, which task {task.name!r} needs: train one "
            "with `balora train` and pass its folder with --adapter"
        )
    return place(spec, model, "cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer


def _classifies(model: Any) -> bool:
    """Return whether the checkpoint that ``model`` was loaded from has a trained classification head."""
    return any(name.endswith(HEAD) for name in model.config.architectures or ())


def check_adapter(folder: Path, task: Task) -> None:
    """Raise AdapterError unless ``folder`` holds a safe adapter for this kind of task."""
    from balora.adapters.stored_adapter import read_config

    if not folder.is_dir():
        raise AdapterError(f"adapter folder {folder}: no such folder: give the `adapter` folder of a run or an export")
    if not (folder / WEIGHTS).is_file() or not (folder / "adapter_config.json").is_file():
        raise AdapterError(
            f"adapter folder {folder}: needs {WEIGHTS} and adapter_config.json; pickled ones are refused"
        )
    classifies = read_config(folder).task_type == CLASSIFIER
    if classifies != (task.family == "nlu"):
        trained_for = "classification" if classifies else "language modelling"
        raise AdapterError(
            f"adapter folder {folder}: trained for {trained_for}, but task {task.name!r} is {task.family}"
        )


def apply_adapter(model: Any, adapter: Path) -> Any:
    """Return ``model`` with the plain adapter in the folder ``adapter`` on it, heads included.

    Raises:
        AdapterError: the adapter does not fit the model: a tensor is missing, of another shape or without a place, or a
            part of the model that no training has seen is not in it.
    """
    from balora.adapters.stored_adapter import put_on
    from balora.adapters.targets import new_parts

    return put_on(model, adapter, drawn=() if _classifies(model) else new_parts(model))
