"""The base class of every configuration model, its errors, and the algebra of nested settings: nest, merge, dotted."""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from balora.errors import ConfigError, printable, shortened, shown, unknown_name

Family = Literal["nlu", "nlg"]
"""The two kinds of task: understanding (classification, regression) and generation."""
MOST_DIGITS = 18
"""Most digits of a whole number: every count fits into 64 bits."""
DEEPEST = 20
"""Most groups of settings inside each other; balora's own settings have three."""
MOST_FAULTS = 50
"""Most faults that one error lists."""
NAMED = {"model": "name"}
"""Groups of settings that may be given as one text, and which of their settings the text then is."""
OTHER_NAMES = {
    "lr": "training.learning_rate",
    "learning_rate": "training.learning_rate",
    "max_steps": "training.steps",
    "num_steps": "training.steps",
    "train_steps": "training.steps",
    "num_train_epochs": "training.epochs",
    "num_epochs": "training.epochs",
    "max_epochs": "training.epochs",
    "per_device_train_batch_size": "training.batch_size",
    "train_batch_size": "training.batch_size",
    "micro_batch_size": "training.batch_size",
    "per_device_eval_batch_size": "training.eval_batch_size",
    "gradient_accumulation_steps": "training.accumulation",
    "grad_accum": "training.accumulation",
    "grad_acc_steps": "training.accumulation",
    "accumulate_grad_batches": "training.accumulation",
    "warmup_ratio": "training.warmup",
    "warmup_steps": "training.warmup",
    "num_warmup_steps": "training.warmup",
    "lr_scheduler_type": "training.lr_schedule",
    "lr_scheduler": "training.lr_schedule",
    "scheduler": "training.lr_schedule",
    "wd": "training.weight_decay",
    "label_smoothing_factor": "training.label_smoothing",
    "max_norm": "training.max_grad_norm",
    "grad_clip": "training.max_grad_norm",
    "clip_grad_norm": "training.max_grad_norm",
    "gradient_clipping": "training.max_grad_norm",
    "gradient_clip_val": "training.max_grad_norm",
    "seed": "training.seed",
    "random_seed": "training.seed",
    "bf16": "training.precision",
    "fp16": "training.precision",
    "dtype": "training.precision",
    "torch_dtype": "training.precision",
    "logging_steps": "training.telemetry_every",
    "num_processes": "launch.processes",
    "nproc_per_node": "launch.processes",
    "r": "adapter.rank",
    "lora_r": "adapter.rank",
    "optim": "training.optimizer",
    "torch_compile": "training.compile",
    "load_in_4bit": "model.quantization",
    "load_in_8bit": "model.quantization",
    "bnb_4bit_quant_type": "model.quantization",
    "bnb_4bit_use_double_quant": "model.double_quantization",
    "bnb_4bit_compute_dtype": "model.dtype",
    "lora_rank": "adapter.rank",
    "lora_alpha": "adapter.alpha",
    "lora_dropout": "adapter.dropout",
    "init_lora_weights": "adapter.init",
    "use_rslora": "adapter.variant",
    "use_dora": "adapter.variant",
    "lora_target_modules": "adapter.target_modules",
    "lora_target": "adapter.target_modules",
    "lambda1": "objective.consistency.weight",
    "lambda_1": "objective.consistency.weight",
    "lambda2": "objective.diversity.weight",
    "lambda_2": "objective.diversity.weight",
    "lambda3": "objective.spectral.weight",
    "lambda_3": "objective.spectral.weight",
    "T": "objective.consistency.temperature",
    "temperature": "objective.consistency.temperature",
    "held_out": "measures.held_out",
    "eval_steps": "training.evaluate_every",
    "K": "objective.diversity.top_k",
    "topk": "objective.diversity.top_k",
    "model_name_or_path": "model",
    "model_name": "model",
    "base_model": "model",
    "model_id": "model",
    "task_name": "task",
    "dataset": "data.folder",
    "dataset_name": "data.folder",
    "data_path": "data.folder",
    "data_dir": "data.folder",
    "train_file": "data.folder",
    "max_seq_length": "data.max_length",
    "max_seq_len": "data.max_length",
    "cutoff_len": "data.max_length",
    "model_max_length": "data.max_length",
    "max_source_length": "data.max_length",
    "max_train_samples": "data.train_rows",
    "max_eval_samples": "data.eval_rows",
    "prompt_template": "data.prompt",
}
"""What other trainers, and the paper, call a setting."""


class Settings(BaseModel):
    """A frozen, keyword-only group of settings; unknown keys and wrong values raise :class:`ConfigError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    shorthands: ClassVar[tuple[str, ...]] = ()
    """Keys that may be given in this group without being fields: they are turned into fields beforehand."""
    other_names: ClassVar[Mapping[str, str]] = OTHER_NAMES
    """Names for settings that users bring along, for the hint at an unknown key."""

    def __init__(self, /, **values: Any) -> None:
        values, wrong = _typed(type(self), values)
        try:
            super().__init__(**values)
        except ValidationError as error:
            others = [fault for fault in faults(error, type(self)) if fault[0] not in wrong]
            raise SettingsError([*wrong.items(), *others]) from None
        if wrong:
            raise SettingsError([*wrong.items()])

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, validated again."""
        return type(self)(**{**self.model_dump(), **changes})


def _typed(model: type[BaseModel], values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return ``values`` with numbers and switches that were written as text, and what is wrong with the others.

    Pydantic takes `true` for 1 and 1 for `true`; here `true` is no number, and a number is no switch.
    """
    wrong: dict[str, str] = {}
    for name, kind in _kinds(model).items():
        value = values.get(name)
        if value is None or (type(value) is kind and kind is not int):
            continue
        try:
            values[name] = as_switch(value) if kind is bool else as_number(value)
        except ValueError as error:
            wrong[name] = str(error)
            del values[name]  # a default stands in for it while the others are checked
    return values, wrong


@cache
def _kinds(model: type[BaseModel]) -> dict[str, type]:
    """Return which fields hold one number or one switch."""
    kinds: dict[str, type] = {}
    for name, field in model.model_fields.items():
        types = [one for one in (get_args(field.annotation) or (field.annotation,)) if one is not type(None)]
        if types in ([bool], [int], [float]):
            kinds[name] = types[0]
    return kinds


_DIGITS = "[0-9]+(?:_[0-9]+)*"
_WHOLE = re.compile("[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)")
_REAL = re.compile(rf"[-+]?(?:{_DIGITS}\.(?:{_DIGITS})?|\.{_DIGITS}|{_DIGITS}(?=[eE]))(?:[eE][-+]?[0-9]+)?")


def number(text: str) -> int | float | None:
    """Return the decimal number that is written in ``text`` (`16`, `1_000`, `1e-4`, `.5`); None if it is no number.

    Base 60 (`1:30`), octal (`017`) and other readings of YAML 1.1 are no numbers.

    Raises:
        ValueError: it has too many digits, or is too large or too small for a floating-point number.
    """
    if _WHOLE.fullmatch(text):
        if (digits := sum(map(str.isdigit, text))) > MOST_DIGITS:
            raise ValueError(f"the number {shortened(text, 40)} has {digits:,} digits, at most {MOST_DIGITS} may be")
        return int(text)
    if not _REAL.fullmatch(text):
        return None
    value = float(text)
    if math.isinf(value) or (value == 0 and re.search("[1-9]", re.split("[eE]", text)[0])):
        raise ValueError(f"the number {shortened(text, 40)} is outside the range of 1e-308 to 1e308")
    return value


def as_number(value: Any) -> Any:
    """Return ``value`` with a number written as text turned into one; anything but a number, text or None stays.

    Raises:
        ValueError: it is a switch (`true`), text that is no number, or too large.
    """
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {str(value).lower()}")
    if isinstance(value, str):
        found = number(value.strip())
        if found is None:
            zeros = ": write it without leading zeros" if re.fullmatch("[-+]?0[0-9_]+", value) else ""
            raise ValueError(f"expected a number, got {shown(value)}{zeros}")
        return found
    if isinstance(value, int) and abs(value) >= 10**MOST_DIGITS:
        raise ValueError(f"expected a number of at most {MOST_DIGITS} digits, got {shown(value)}")
    return value


def as_switch(value: Any) -> bool:
    """Return whether a switch is on: true or false, or `yes`, `no`, `on`, `off`, `true`, `false` as text.

    Raises:
        ValueError: it is anything else; numbers are no switches.
    """
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise ValueError(f"expected true or false, got {shown(value)}")


class SettingsError(ConfigError):
    """All faults of one group of settings, as (dotted key, what is wrong)."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{printable(shortened(key))}: {text}" if key else text for key, text in faults))


def faults(error: ValidationError, model: type["Settings"]) -> list[tuple[str, str]]:
    """Return the faults of a failed validation as (dotted key, what is wrong with the value received)."""
    all_details = error.errors(include_url=False)
    found = [fault for details in islice(all_details, MOST_FAULTS) for fault in _faults(details, model)]
    more = len(all_details) - MOST_FAULTS
    return found + ([("", f"and {more:,} more faults")] if more > 0 else [])


def _faults(details: Mapping[str, Any], model: type["Settings"]) -> list[tuple[str, str]]:
    key = ".".join(_location(details))
    if details["type"] == "extra_forbidden":
        return [(key, _unknown_field(key, model))]
    if details["type"] == "value_error":
        inner = details["ctx"]["error"]
        if isinstance(inner, SettingsError):
            return [(".".join(filter(None, (key, below))), text) for below, text in inner.faults]
        return [(key, str(inner))]
    if details["type"] == "missing":
        return [(key, "required but not given")]
    if details["type"] in ("model_type", "model_attributes_type"):
        return [(key, f"expected a group of settings, got {shown(details['input'])}")]
    message = details["msg"][0].lower() + details["msg"][1:]
    quotes = ": put it in quotes" if details["type"] == "string_type" and details["input"] is not None else ""
    return [(key, f"{message}, got {shown(details['input'])}{quotes}")]


def _location(details: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys that lead to a fault, without the names of a union's members (`tuple[str, ...]`, `str`)."""
    parts = [str(part) for part in details["loc"]]
    union_member = len(parts) > 1 and parts[-1] in ("str", "int", "float") and not details["type"].endswith("forbidden")
    return (part for part in parts[: len(parts) - union_member] if "[" not in part)


def _unknown_field(key: str, model: type["Settings"]) -> str:
    return unknown_key(key, (*model.model_fields, *model.shorthands), key_names(model), model.other_names)


def unknown_key(key: str, fields: Collection[str], below: Collection[str], others: Mapping[str, str]) -> str:
    """Return an error text for an unknown key that suggests a known one.

    Args:
        key: the key as given.
        fields: what may stand in its place.
        below: the dotted settings that its group has, some of them in groups of their own.
        others: what users may call a setting → the setting.
    """
    usual = key.lower().replace("-", "_")
    named = [name for spelling in (key, usual) if (name := spelling.rpartition(".")[2]) in others]  # `K` before `k`
    if named and usual not in fields:
        close = [others[named[0]]]
    else:
        close = [usual] if usual in fields else [name for name in below if name.endswith(f".{usual}")]
        groups = (name.partition(f".{usual}.") for name in below)
        close = close or sorted({f"{above}.{usual}" for above, found, _ in groups if found})
    if close:
        return f"unknown key {shown(key)}: did you mean {' or '.join(map(repr, close))}?"
    return unknown_name("key", key, fields)


@cache
def key_names(model: type["Settings"]) -> tuple[str, ...]:
    """Return the dotted names of every setting below ``model``: what `--set` and the deltas of an arm may name."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        inner = settings_type(field.annotation)
        names += [f"{name}.{below}" for below in key_names(inner)] if inner else [name]
    return (*names, *model.shorthands)


def text_names(model: type["Settings"], prefix: str = "") -> list[str]:
    """Return the dotted names of the settings below ``model`` whose value is any text."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        if inner := settings_type(field.annotation):
            names += text_names(inner, f"{prefix}{name}.")
        elif {field.annotation, *get_args(field.annotation)} & {str} and not _has_other_types(field.annotation):
            names.append(prefix + name)
    return names


def _has_other_types(annotation: Any) -> bool:
    return any(one not in (str, type(None)) for one in get_args(annotation))


def settings_type(annotation: Any) -> type["Settings"] | None:
    """Return the group of settings that a field holds; None where it holds a value, or several groups."""
    if get_origin(annotation) in (tuple, dict):  # several groups, which have no names of their own
        return None
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, Settings)), None)


def nest(settings: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """Turn ``{"a.b": 1, "a": {"c": 2}}`` into ``{"a": {"b": 1, "c": 2}}``.

    Raises:
        ConfigError: a key is no text, or groups lie more than :data:`DEEPEST` deep inside each other.
    """
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        if not isinstance(key, str):
            raise ConfigError(f"the key {shown(key)} is no text: write it in quotes")
        inner = depth + key.count(".") + 1
        if inner > DEEPEST:
            raise ConfigError(f"{shown(key)}: settings lie at most {DEEPEST} groups deep")
        value = nest(value, inner) if isinstance(value, Mapping) else value
        for part in reversed(key.split(".")):
            value = {part: value}
        nested = merge(nested, value)
    return nested


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` with ``above`` laid over it, group by group; text for a group of `NAMED` is one of its settings.

    So `model: m` and `model.quantization: nf4` are `model: {name: m, quantization: nf4}` in either order.
    """
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if key in NAMED and isinstance(under, Mapping) and isinstance(value, str):
            value = {NAMED[key]: value}
        elif key in NAMED and isinstance(under, str) and isinstance(value, Mapping):
            under = {NAMED[key]: under}
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            value = merge(under, value)
        merged[key] = value
    return merged


def dotted(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested ``settings`` as ``{"a.b": value}``."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {prefix + key: value}
    return flat
