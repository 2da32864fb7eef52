"""List every setting of a run: key, type, default, meaning, and what other trainers call it; torch-free."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from balora.errors import ConfigError, unknown_name
from balora.objective.config import ObjectiveConfig
from balora.settings import OTHER_NAMES, Settings, settings_type
from balora.training.model_settings import public_key
from balora.training.spec import RunSpec

FILLED = ("own",)
"""Fields of a specification that no setting gives."""
GIVEN = {
    "model": "required, or `--model`",
    "task": "required, or `--task`",
    "method": "ba-lora",
    "adapter.init": "by method: pissa or standard",
    "objective.family": "the task's",
    "scoring.judge.url": "required for a judge",
    "scoring.judge.model": "required for a judge",
}
"""Defaults that do not stand in a field."""
SHORTHANDS = {
    "objective.preset": ("`none`, `ba-lora`", "by method", "Start from no regularizer or from those of the paper."),
    "objective.scale": ("number", "1.0", "Times the weights of the preset."),
    "objective.share": ("number", "none", "Set each term's λ so that it has this share of the gradient."),
}
"""Keys that are turned into others: type, default and meaning."""
SIGNS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}
WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}


@dataclass(frozen=True)
class SettingRow:
    """One setting."""

    key: str
    type: str
    default: str
    meaning: str
    other_names: tuple[str, ...]
    """What TRL, transformers, PEFT, LLaMA-Factory and the paper call it."""


def setting_rows() -> list[SettingRow]:
    """Return every key that `--set`, config files and the arms of studies may use, in the configuration's order."""
    return list(_rows(RunSpec, ""))


def find_settings(word: str, rows: Iterable[SettingRow]) -> list[SettingRow]:
    """Return the settings that are called ``word``, here or elsewhere; else those in whose names it stands, else those
    in whose meaning it does.

    Raises:
        ConfigError: it stands nowhere; the nearest key or name is suggested.
    """
    rows, usual = list(rows), word.lower().replace("-", "_")
    named = [row for row in rows if usual in _names(row)]
    found = named or [row for row in rows if any(usual in text.lower() for text in (row.key, *row.other_names))]
    found = found or [row for row in rows if word.lower() in row.meaning.lower()]
    if not found:
        raise ConfigError(unknown_name("setting", word, {name for row in rows for name in _names(row)}))
    return found


def _names(row: SettingRow) -> Iterator[str]:
    yield row.key
    yield row.key.rpartition(".")[2]
    yield from (name.lower() for name in row.other_names)


def _rows(model: type[Settings], prefix: str) -> Iterator[SettingRow]:
    for name, field in model.model_fields.items():
        inner, key = settings_type(field.annotation), public_key(prefix + name)
        if inner is not None:
            yield from _rows(inner, f"{prefix}{name}.")
        elif key not in FILLED:
            meaning = " ".join((field.description or "").split())
            yield SettingRow(key, _type(field), _default(key, field), meaning, _elsewhere(key))
    for key, (kind, default, meaning) in SHORTHANDS.items():
        if key.rpartition(".")[0] == prefix.rstrip(".") and prefix:
            yield SettingRow(key, kind, default, meaning, _elsewhere(key))


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(one, kind.__name__.lower()):,}"
        for kind, sign in SIGNS.items()
        for one in field.metadata
        if isinstance(one, kind)
    ]
    return f"{_in_words(field.annotation)} {', '.join(bounds)}".strip()


def _in_words(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(_in_words(one) for one in inner if one is not NoneType)
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin is tuple:
        return f"list of {_in_words(inner[0])}s"
    return WORDS[annotation]


def _default(key: str, field: FieldInfo) -> str:
    if key in GIVEN:
        return GIVEN[key]
    group, _, name = key.partition(".")
    if group != "objective":
        return _shown(field.get_default())
    by_family = {family: _value(_published(family), name) for family in ("nlu", "nlg")}
    if len(set(by_family.values())) == 1:
        return by_family["nlu"]
    return ", ".join(f"{value} ({family})" for family, value in by_family.items())


def _published(family: Any) -> ObjectiveConfig:
    return ObjectiveConfig.preset("ba-lora", family=family)


def _value(config: Any, name: str) -> str:
    for part in name.split("."):
        config = getattr(config, part)
    return _shown(config)


def _shown(value: Any) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _elsewhere(key: str) -> tuple[str, ...]:
    return tuple(name for name, own in OTHER_NAMES.items() if own == key)
