"""Score a model, or a plain adapter on its base, that was trained at any other time."""

import warnings
from pathlib import Path
from typing import Any

from balora.errors import AdapterError, ModelError
from balora.progress import OnProgress, Progress
from balora.tasks.catalogue import Task, find_task
from balora.tasks.scores import Evaluation
from balora.tasks.token_range import within_embeddings
from balora.training.loading import load_config, load_model, load_tokenizer, usable_positions, with_model_folder
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
    from balora.training.evaluation import evaluate, prepare_rows

    task, on_progress = find_task(spec.task), on_progress or (lambda progress: None)
    on_progress(Progress("load", 0, 1))
    spec = with_model_folder(spec, on_progress)
    model, tokenizer = load_model_to_score(spec, task, adapter)
    rows = prepare_rows(spec, tokenizer, usable_positions(model), train=False)
    prepared = within_embeddings(rows, model, tokenizer)
    result = evaluate(model, tokenizer, prepared, spec, on_progress)
    return result._replace(notes=(*prepared.notes, *result.notes))


def load_model_to_score(spec: RunSpec, task: Task, adapter: Path | None) -> tuple[Any, Any]:
    """Return the model to score, on the device where runs are, and its tokenizer.

    Raises:
        ModelError: it cannot be loaded, or has no trained head for a classification task.
        AdapterError: the adapter cannot be read or was trained for another kind of task.
    """
    import torch

    if adapter is not None:
        check_adapter(adapter, task)
    tokenizer = load_tokenizer(spec)
    model = load_model(spec, task, tokenizer)
    if adapter is not None:
        model = apply_adapter(model, adapter)
    elif task.family == "nlu" and not any(name.endswith(HEAD) for name in _architectures(spec)):
        raise ModelError(
            f"model {spec.model!r} has no trained classification head, which task {task.name!r} needs: train one with "
            "`balora train` and pass its folder with --adapter"
        )
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer


def _architectures(spec: RunSpec) -> list[str]:
    return list(load_config(spec).architectures or ())


def check_adapter(folder: Path, task: Task) -> None:
    """Raise AdapterError unless ``folder`` holds a safe adapter for this kind of task."""
    from peft import PeftConfig

    if not folder.is_dir():
        raise AdapterError(f"adapter folder {folder}: no such folder: give the `adapter` folder of a run or an export")
    if not (folder / WEIGHTS).is_file() or not (folder / "adapter_config.json").is_file():
        raise AdapterError(
            f"adapter folder {folder}: needs {WEIGHTS} and adapter_config.json; pickled ones are refused"
        )
    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AdapterError(f"adapter folder {folder}: adapter_config.json cannot be used: {error}") from None
    classifies = config.task_type == CLASSIFIER
    if classifies != (task.family == "nlu"):
        trained_for = "classification" if classifies else "language modelling"
        raise AdapterError(
            f"adapter folder {folder}: trained for {trained_for}, but task {task.name!r} is {task.family}"
        )


def apply_adapter(model: Any, adapter: Path) -> Any:
    """Return ``model`` with the plain adapter in the folder ``adapter`` on it, heads included.

    Raises:
        AdapterError: the adapter's tensors do not fit the model.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            return PeftModel.from_pretrained(model, str(adapter))
    except (RuntimeError, ValueError, KeyError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise AdapterError(f"adapter folder {adapter} does not fit the model: {reason}") from None
