"""The base of every configuration model, and the one place where pydantic's complaints become balora's."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from balora.errors import ConfigError, unknown_name


class Settings(BaseModel):
    """A frozen, keyword-only group of settings; unknown keys and wrong values raise :class:`ConfigError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(describe(error, type(self))) from None

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, validated again."""
        return type(self)(**{**self.model_dump(), **changes})


def describe(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """Return all faults of a failed validation on one line, each with its key, the value received and the limit."""
    return "; ".join(_fault(dict(fault), model, prefix) for fault in error.errors(include_url=False))


def _fault(fault: Mapping[str, Any], model: type[BaseModel], prefix: str) -> str:
    key = prefix + ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return unknown_name("key", key, [prefix + name for name in key_names(model)])
    if fault["type"] == "value_error":
        return f"{key}: {fault['ctx']['error']}" if key else str(fault["ctx"]["error"])
    if fault["type"] == "missing":
        return f"{key}: required but not given"
    message = fault["msg"][0].lower() + fault["msg"][1:]
    return f"{key}: {message}, got {fault['input']!r}"


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
