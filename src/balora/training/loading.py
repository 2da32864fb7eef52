"""Load models and tokenizers from folders or a hub, safely or not at all; pre-train the testbed's where missing."""

import json
from pathlib import Path
from typing import Any

from balora.errors import ModelError
from balora.progress import OnProgress, Progress
from balora.tasks.catalogue import Task, find_task
from balora.tasks.prepared import pad_id_of
from balora.tasks.silence import silence_transformers
from balora.training.spec import RunSpec

PICKLED = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "spm.model", "vocab.txt", "vocab.json")


def with_model_folder(spec: RunSpec, on_progress: OnProgress) -> RunSpec:
    """Return ``spec`` with the folder of its model; a testbed's model that is missing is pre-trained first.

    Raises:
        ModelError, OutputError, TrainingError: as :func:`balora.tasks.testbed.model_cache.model_folder`.
    """
    if spec.testbed is None:
        return spec
    from balora.tasks.testbed.model_cache import model_folder

    def on_steps(done: int, steps: int, loss: float) -> None:
        on_progress(Progress("pretrain", done, steps, loss))

    folder = model_folder(spec.testbed, find_task(spec.task).family, on_steps=on_steps)
    return spec.model_copy(update={"model": str(folder)})


def load_tokenizer(spec: RunSpec) -> Any:
    """Return the tokenizer of ``spec.model``.

    Raises:
        ModelError: no tokenizer there, or one that needs code of its own.
    """
    from transformers import AutoTokenizer

    check_source(spec.model, spec.trust_remote_code)
    folder = Path(spec.model)
    if folder.is_dir() and not any((folder / name).exists() for name in TOKENIZER_FILES):
        raise ModelError(
            f"model folder {folder}: no tokenizer (looked for {', '.join(TOKENIZER_FILES)}): add its files"
        )
    try:
        with silence_transformers():
            return AutoTokenizer.from_pretrained(spec.model, trust_remote_code=spec.trust_remote_code)
    except (OSError, ValueError) as error:
        raise ModelError(f"model {spec.model!r}: its tokenizer cannot be loaded: {_one_line(error)}") from None


def load_model(spec: RunSpec, task: Task, tokenizer: Any) -> Any:
    """Return the pre-trained model for the task's family, in evaluation mode, on the CPU.

    A classification head that the checkpoint lacks is drawn from torch's global random state: seed it before. It is
    left in float32 whatever the precision, since it is trained.

    Raises:
        ModelError: no weights, pickled, damaged or missing ones, code of its own, or no architecture with the needed
            head.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    check_source(spec.model, spec.trust_remote_code)
    half = spec.training.precision == "bfloat16" and spec.adapter is not None
    options: dict[str, Any] = {
        "trust_remote_code": spec.trust_remote_code,
        "use_safetensors": True,
        "dtype": torch.bfloat16 if half else torch.float32,
    }
    kind: Any = AutoModelForCausalLM
    if task.family == "nlu":
        kind = AutoModelForSequenceClassification
        options |= {"num_labels": len(task.labels) or 1, "pad_token_id": pad_id_of(tokenizer)}
    try:
        with silence_transformers():
            model, loading_info = kind.from_pretrained(
                spec.model, output_loading_info=True, ignore_mismatched_sizes=True, **options
            )
    except Exception as error:  # damaged files raise errors of many libraries, without a common base
        raise ModelError(f"model {spec.model!r} cannot be loaded: {_one_line(error)}") from None
    _check_loaded(spec.model, model, task, loading_info)
    if half:
        for _, parameter in _head(model) if task.family == "nlu" else ():
            parameter.data = parameter.data.float()
    if task.regression:
        model.config.problem_type = "regression"
    return model.eval()


def _check_loaded(source: str, model: Any, task: Task, loading_info: dict[str, Any]) -> None:
    """Raise ModelError if the files do not hold this model: transformers would fill it up with random numbers."""
    if task.family == "nlg" and _reads_both_ways(model.config):
        raise ModelError(
            f"model {source!r} ({model.config.model_type}) reads in both directions, so it cannot generate: give a "
            f"causal language model for task {task.name!r}"
        )
    for name, stored, wanted in sorted(loading_info["mismatched_keys"]):
        raise ModelError(
            f"model {source!r}: {name} is {tuple(stored)} in its files, but task {task.name!r} needs {tuple(wanted)}"
        )
    drawn = {name for name, _ in _head(model)} if task.family == "nlu" else set()
    # masked language models are often saved without their pooler
    missing = sorted(name for name in loading_info["missing_keys"] if name not in drawn and "pooler" not in name)
    if missing:
        raise ModelError(
            f"model {source!r}: {len(missing)} of its weights are not in its files ({missing[0]}): save the whole model"
        )


def _reads_both_ways(config: Any) -> bool:
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    return config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)


def _head(model: Any) -> list[tuple[str, Any]]:
    """Return the named parameters outside the backbone."""
    inside = {id(parameter) for parameter in model.base_model.parameters()}
    return [(name, parameter) for name, parameter in model.named_parameters() if id(parameter) not in inside]


def check_source(model: str, trust_remote_code: bool) -> None:
    """Refuse what must not or cannot be loaded, before anything heavy is imported.

    Raises:
        ModelError: a folder without configuration or weights, with pickled weights only, or with code of its own that
            was not asked for.
    """
    folder = Path(model)
    if not folder.is_dir():
        if folder.is_absolute() or model.startswith((".", "~")) or folder.exists():
            raise ModelError(f"model {model!r}: no such folder: give a model's folder, or its name on a hub")
        return
    if not (folder / "config.json").is_file():
        raise ModelError(f"model folder {folder}: no config.json: give a folder saved by transformers")
    if not list(folder.glob("*.safetensors")):
        pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
        if pickled:
            raise ModelError(
                f"model folder {folder}: only pickled weights ({pickled[0]}), which can run code when loaded: "
                "convert them to safetensors"
            )
        raise ModelError(f"model folder {folder}: no weights (*.safetensors)")
    if not trust_remote_code and _needs_code(folder):
        raise ModelError(
            f"model folder {folder}: needs Python code of its own: pass --trust-remote-code if you trust it"
        )


def _needs_code(folder: Path) -> bool:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"model folder {folder}: config.json is not JSON ({error})") from None
    if not isinstance(config, dict):
        raise ModelError(f"model folder {folder}: config.json holds {type(config).__name__}, not settings")
    return "auto_map" in config


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (" ".join(lines[:2]) or type(error).__name__)[:400]


def usable_positions(model: Any) -> int | None:
    """Return the longest sequence that ``model`` can read; None where nothing limits it.

    RoBERTa and its kin number positions from the padding token's on, so that the first few are never used.
    """
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is None:
        return None
    for name, module in model.base_model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(limit) - int(module.padding_idx) - 1
    return int(limit)
