"""Load models and tokenizers from folders or a hub, safely or not at all; pre-train the testbed's where missing."""

import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from balora.errors import ModelError, printable, shown
from balora.progress import OnProgress, Progress
from balora.tasks.catalogue import Task
from balora.tasks.prepared import pad_id_of
from balora.tasks.silence import silence_transformers
from balora.training.model_folder import CODE_KEY, REPOSITORY_FILES, check_named_files, check_source, weight_files
from balora.training.quantised_loading import check_stored_numbers, quantization_options
from balora.training.safetensors_header import count_values
from balora.training.spec import RunSpec

PACKED = 16
"""Most numbers of a quantized model that one stored number may stand for, with room to spare."""
PASSED_ON = ("attn_implementation", "device_map")
"""The settings of loading that transformers takes as they are."""
INTEGERS = ("sliding_window", "attention_chunk_size")
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

    folder = model_folder(spec.testbed, spec.find(spec.task).family, on_steps=on_steps)
    return spec.model_copy(update={"model": str(folder)})


def load_tokenizer(spec: RunSpec) -> Any:
    """Return the tokenizer of ``spec.model``.

    Raises:
        ModelError: no tokenizer there, or one that needs code of its own.
    """
    from transformers import AutoTokenizer

    folder = Path(spec.model)
    check_source(spec.model, spec.trust_remote_code)
    if folder.is_dir() and not any((folder / name).exists() for name in TOKENIZER_FILES):
        raise ModelError(
            f"model folder {folder}: no tokenizer (looked for {', '.join(TOKENIZER_FILES)}): add its files"
        )
    load_config(spec)
    try:
        with silence_transformers():
            tokenizer = AutoTokenizer.from_pretrained(spec.model, trust_remote_code=spec.trust_remote_code)
    except Exception as error:  # the tokenizers library raises bare exceptions, and wrong types fail anywhere
        raise ModelError(f"model {shown(spec.model)}: its tokenizer cannot be loaded: {_one_line(error)}") from None
    longest = getattr(tokenizer, "model_max_length", None)
    if isinstance(longest, bool) or not isinstance(longest, int | float):
        raise ModelError(
            f"model {shown(spec.model)}: its tokenizer cannot be loaded: tokenizer_config.json: model_max_length must "
            f"be a number, got {shown(longest)}"
        )
    return tokenizer


def load_config(spec: RunSpec) -> Any:
    """Return the configuration of ``spec.model``.

    Raises:
        ModelError: as :func:`check_source`; a setting of the wrong type or without sense; for a name on a hub, weights
            that are named outside the repository, an adapter in the place of a model.
    """
    from transformers import AutoConfig

    check_source(spec.model, spec.trust_remote_code)
    if not Path(spec.model).is_dir():
        _check_repository(spec.model, spec.trust_remote_code)
    try:
        with silence_transformers():
            config = AutoConfig.from_pretrained(spec.model, trust_remote_code=spec.trust_remote_code)
            vars(config.get_text_config())  # the settings of a part may be anything, where the kind of model has none
    except Exception as error:  # as above
        raise ModelError(f"model {shown(spec.model)} cannot be loaded: config.json: {_one_line(error)}") from None
    if Path(spec.model).is_dir():
        _check_sizes(spec.model, config)
    _check_settings(spec.model, config)
    return config


@lru_cache(maxsize=16)  # tokenizer and model are loaded one after the other
def _check_repository(name: str, trust_remote_code: bool) -> None:
    """Check the small files of a repository on a hub, which transformers would read anyway, as a folder's are."""
    from transformers.utils import cached_file

    quiet = dict.fromkeys(("gated_repo", "missing_entries", "connection_errors"), False)
    quiet = {f"_raise_exceptions_for_{key}": value for key, value in quiet.items()}
    found: dict[str, Path] = {}
    for file in REPOSITORY_FILES:
        with suppress(OSError, ValueError), silence_transformers():  # what is wrong with the name is said on loading
            if path := cached_file(name, file, **quiet):
                found[file] = Path(path)
    check_named_files(name, found, trust_remote_code)


def _check_settings(source: str, config: Any) -> None:
    """Raise ModelError for settings that transformers does not check and that fail in the first forward pass only."""
    for name in INTEGERS:
        value = getattr(config.get_text_config(), name, None)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < 2**31):
            raise ModelError(
                f"model {shown(source)} cannot be loaded: config.json: {name} must be a whole number, got "
                f"{shown(value)}"
            )
    for name, value in sorted(vars(config.get_text_config()).items()):
        if "dropout" not in name and not name.endswith(("_pdrop", "_drop_prob")):
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if (value is None and name == "attention_dropout") or (is_number and not 0 <= value <= 1):
            raise ModelError(
                f"model {shown(source)} cannot be loaded: config.json: {name} must be a number from 0 to 1, got "
                f"{shown(value)}"
            )


def _check_sizes(source: str, config: Any) -> None:
    """Raise ModelError for sizes far beyond the weights, before memory is taken for them."""
    try:
        tensors, values = count_values(weight_files(Path(source)))
        text = config.get_text_config()
        layers, width, tokens = (
            getattr(text, name, None) for name in ("num_hidden_layers", "hidden_size", "vocab_size")
        )
    except (OSError, ValueError) as error:
        raise ModelError(f"model {shown(source)} cannot be loaded: {_one_line(error)}") from None
    if isinstance(layers, int) and not 1 <= layers <= tensors:
        raise ModelError(
            f"model {shown(source)}: config.json: num_hidden_layers is {shown(layers)}, but its files hold {tensors:,} "
            "weights: save the model again"
        )
    if isinstance(width, int) and isinstance(tokens, int) and not 1 <= width * tokens <= values * PACKED:
        raise ModelError(
            f"model {shown(source)}: config.json: vocab_size is {shown(tokens)} and hidden_size {shown(width)}, but "
            f"its files hold {values:,} numbers: save the model again"
        )


def load_model(spec: RunSpec, task: Task, tokenizer: Any) -> Any:
    """Return the pre-trained model for the task's family, in evaluation mode, on the CPU.

    A model that is quantised or has a `model.device_map` may lie on a GPU already.

    A classification head that the checkpoint lacks is drawn from torch's global random state: seed it before. It is
    left in float32 whatever the precision, since it is trained.

    Raises:
        ConfigError: the model is to be quantised, and bitsandbytes is not installed.
        ModelError: no weights, pickled, damaged or missing ones, code of its own, or no architecture with the needed
            head.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    from balora.adapters.four_bit_codes import keep_codes

    config = load_config(spec)
    dtype = getattr(torch, dtype_name(spec))
    options: dict[str, Any] = {
        "trust_remote_code": spec.trust_remote_code,
        "use_safetensors": True,
        "dtype": dtype,
        **{name: value for name in PASSED_ON if (value := getattr(spec.loading, name)) is not None},
        "return_dict": True,  # config.json may ask for bare tuples, of which nothing can be read by name
    }
    kind: Any = AutoModelForCausalLM
    _check_kind(spec.model, config, task)
    if task.family == "nlu":
        kind = AutoModelForSequenceClassification
        tokens = getattr(config.get_text_config(), "vocab_size", None)
        options |= {"num_labels": len(task.labels) or 1, "pad_token_id": pad_id_of(tokenizer, tokens)}
    elif _pads_beyond(config):  # an embedding without that row cannot be made; what pads a batch is masked
        options["pad_token_id"] = None
    options |= quantization_options(spec, kind, config, dtype)
    try:
        with silence_transformers():
            model, loading_info = kind.from_pretrained(
                spec.model, output_loading_info=True, ignore_mismatched_sizes=True, **options
            )
    except Exception as error:  # damaged files raise errors of many libraries, without a common base
        raise ModelError(f"model {shown(spec.model)} cannot be loaded: {_one_line(error)}") from None
    keep_codes(model)
    _check_loaded(spec.model, model, task, loading_info)
    _check_numbers(spec.model, model)
    check_stored_numbers(spec.model, model)
    if dtype != torch.float32:
        for _, parameter in _head(model) if task.family == "nlu" else ():
            parameter.data = parameter.data.float()
    if task.family == "nlu":  # the checkpoint may have been tuned for another kind of task
        model.config.problem_type = "regression" if task.regression else "single_label_classification"
    return model.eval()


def model_of_shapes(spec: RunSpec, task: Task) -> Any:
    """Return the model as :func:`load_model` would, with shapes and without values: on the device `meta`.

    Raises:
        ModelError: as :func:`load_config`; the architecture has no head for the task.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    config = load_config(spec)
    _check_kind(spec.model, config, task)
    kind: Any = AutoModelForCausalLM
    if task.family == "nlu":
        kind = AutoModelForSequenceClassification
        config.num_labels = len(task.labels) or 1
    with torch.device("meta"), silence_transformers():
        model = kind.from_config(config, dtype=getattr(torch, dtype_name(spec)))
    if task.family == "nlu":
        model.config.problem_type = "regression" if task.regression else "single_label_classification"
    return model


def dtype_name(spec: RunSpec) -> str:
    """Return the number format of the frozen weights of a run, by torch's name."""
    half = spec.training.precision == "bfloat16" and spec.adapter is not None
    return spec.loading.dtype or ("bfloat16" if half else "float32")


def place(spec: RunSpec, model: Any, device: Any) -> Any:
    """Return ``model`` on ``device``, or where `model.device_map` has put it."""
    return model if spec.loading.device_map is not None else model.to(device)


def _check_kind(source: str, config: Any, task: Task) -> None:
    """Raise ModelError for a kind of model that transformers has, but not for tasks of this family."""
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    generates = task.family == "nlg"
    kind, wanted = (
        (AutoModelForCausalLM, "a causal language") if generates else (AutoModelForSequenceClassification, "another")
    )
    of_both = generates and getattr(config, "is_encoder_decoder", False)
    if of_both or (type(config) not in kind._model_mapping and not hasattr(config, CODE_KEY)):
        lack = "has an encoder and a decoder" if of_both else "has no head for it in transformers"
        raise ModelError(
            f"model {source!r} ({shown(config.model_type)}) {lack}: give {wanted} model for task {task.name!r}"
        )


def _check_loaded(source: str, model: Any, task: Task, loading_info: dict[str, Any]) -> None:
    """Raise ModelError if the files do not hold this model: transformers would fill it up with random numbers."""
    if task.family == "nlg" and _reads_both_ways(model.config):
        raise ModelError(
            f"model {shown(source)} ({model.config.model_type}) reads in both directions, so it cannot generate: give "
            f"a causal language model for task {task.name!r}"
        )
    for name, stored, wanted in sorted(loading_info["mismatched_keys"]):
        raise ModelError(
            f"model {shown(source)}: {name} is {tuple(stored)} in its files, but task {task.name!r} needs "
            f"{tuple(wanted)}"
        )
    drawn = {name for name, _ in _head(model)} if task.family == "nlu" else set()
    # masked language models are often saved without their pooler
    missing = sorted(name for name in loading_info["missing_keys"] if name not in drawn and "pooler" not in name)
    if missing:
        raise ModelError(
            f"model {shown(source)}: {len(missing)} of its weights are not in its files ({missing[0]}): save the "
            "whole model"
        )

    known = {_numberless(name) for name, _ in model.named_parameters()}
    unused = sorted(name for name in loading_info["unexpected_keys"] if _numberless(name) in known or ".lora_" in name)
    if unused:
        raise ModelError(
            f"model {shown(source)}: {len(unused)} weights in its files have no place in the model that config.json "
            f"describes ({unused[0]}): save the whole model again"
        )


def _numberless(name: str) -> str:
    """Return the name of a weight without the numbers of layers and experts."""
    return re.sub(r"\.\d+(?=\.)", ".#", name)


def _check_numbers(source: str, model: Any) -> None:
    """Raise ModelError if a weight is not finite: it would make every output so, or be found much later."""
    import torch

    for name, weight in model.named_parameters():
        is_quantized = not weight.is_floating_point() or weight.dtype.itemsize == 1
        if is_quantized or torch.isfinite(weight.sum(dtype=torch.float32)):
            continue
        bad = int((~torch.isfinite(weight)).sum())
        if bad:  # else only the sum is too large
            raise ModelError(
                f"model {shown(source)}: weight {name} has {bad:,} of {weight.numel():,} numbers that are NaN or "
                "infinite: the file is damaged, or its training diverged: give a sound model"
            )


def _pads_beyond(config: Any) -> bool:
    text = config.get_text_config()
    pad, tokens = getattr(text, "pad_token_id", None), getattr(text, "vocab_size", None)
    return isinstance(pad, int) and isinstance(tokens, int) and pad >= tokens


def _reads_both_ways(config: Any) -> bool:
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    return config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)


def _head(model: Any) -> list[tuple[str, Any]]:
    """Return the named parameters outside the backbone."""
    inside = {id(parameter) for parameter in model.base_model.parameters()}
    return [(name, parameter) for name, parameter in model.named_parameters() if id(parameter) not in inside]


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable((" ".join(lines[:2]) or type(error).__name__)[:400])


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
