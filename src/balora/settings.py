"""The base class of every configuration model, its errors, and the algebra of nested settings: nest, merge, dotted."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from balora.errors import ConfigError, shown, unknown_name

Family = Literal["nlu", "nlg"]
"""The two kinds of task: understanding (classification, regression) and generation."""


class Settings(BaseModel):
    """A frozen, keyword-only group of settings; unknown keys and wrong values raise :class:`ConfigError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(faults(error, type(self))) from None

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, validated again."""
        return type(self)(**{**self.model_dump(), **changes})


class SettingsError(ConfigError):
    """All faults of one group of settings, as (dotted key, what is wrong)."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{key}: {text}" if key else text for key, text in faults))


def faults(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """Return every fault of a failed validation as (dotted key, what is wrong with the value received)."""
    return [fault for details in error.errors(include_url=False) for fault in _faults(details, model)]


def _faults(details: Mapping[str, Any], model: type[BaseModel]) -> list[tuple[str, str]]:
    # a part with a bracket is the name of a union's member (`tuple[str, ...]`), not of a setting
    key = ".".join(str(part) for part in details["loc"] if "[" not in str(part))
    if details["type"] == "extra_forbidden":
        return [(key, _unknown_key(key, model))]
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
    return [(key, f"{message}, got {shown(details['input'])}")]


def _unknown_key(key: str, model: type[BaseModel]) -> str:
    below = [name for name in key_names(model) if name.endswith(f".{key}")]
    if below:
        return f"unknown key {key!r}: did you mean {' or '.join(map(repr, below))}?"
    return unknown_name("key", key, model.model_fields)


def key_names(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted names of every setting below ``model``: what `--set` and the deltas of an arm may name."""
    names: list[str] = []
    for name, field in model.model_fields.items():
        inner = _settings_type(field.annotation)
        names += key_names(inner, f"{prefix}{name}.") if inner else [prefix + name]
    return names


def _settings_type(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``{"a.b": 1, "a": {"c": 2}}`` into ``{"a": {"b": 1, "c": 2}}``."""
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        value = nest(value) if isinstance(value, Mapping) else value
        for part in reversed(key.split(".")):
            value = {part: value}
        nested = merge(nested, value)
    return nested


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``below`` with ``above`` laid over it, group by group."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def dotted(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested ``settings`` as ``{"a.b": value}``."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {prefix + key: value}
    return flat
