"""Describe config and task files as JSON Schemas, by which editors complete, explain and check them; torch-free."""

from collections.abc import Iterator, Mapping
from typing import Any

from balora.settings import Settings, settings_type
from balora.tasks.own_task import OwnTask
from balora.training.model_settings import FIELD, GROUP, NAME, LoadingConfig
from balora.training.setting_list import FILLED, SHORTHANDS
from balora.training.spec import RunSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
KINDS: dict[str, Schema] = {"objective.preset": {"enum": ["none", "ba-lora"]}, "objective.scale": {"type": "number"},
         "objective.share": {"type": "number"}}  # fmt: skip
"""Forms of the keys that are turned into others."""


def config_schema() -> Schema:
    """Return the schema of a config file: every setting in its group, and by its dotted key.

    It takes all that `balora train --config` takes, and also some of what that refuses: whether settings fit together,
    and with the model and the data, only the program knows.
    """
    groups = _groups(RunSpec)
    return {
        "$schema": DIALECT,
        "title": "Settings of a balora run",
        "type": "object",
        "properties": {**groups, **dict(_dotted(groups))},
        "additionalProperties": False,
    }


def task_schema() -> Schema:
    """Return the schema of a task file."""
    schema = plain(OwnTask.model_json_schema())
    schema["properties"]["labels"] = {**schema["properties"]["labels"], "anyOf": [{"type": "array"}]}
    return {"$schema": DIALECT, **schema, "title": "A task of one's own"}


def plain(schema: Any) -> Any:
    """Return a schema of pydantic's without titles, with descriptions on one line and a name allowed for a list."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: plain(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)}
    if isinstance(found.get("description"), str):
        found["description"] = " ".join(found["description"].split())
    if found.get("type") == "array" and found.get("items", {}).get("type") == "string":
        words = {key: found.pop(key) for key in ("description", "default") if key in found}
        return {**words, "anyOf": [found, {"type": "string"}]}
    return found


def _groups(model: type[Settings]) -> Schema:
    """Return the schema of each field of a configuration, groups with their own fields inside."""
    given = plain(model.model_json_schema())["properties"]
    found: Schema = {}
    for name, field in model.model_fields.items():
        inner = settings_type(field.annotation)
        if name in FILLED or name == FIELD:
            continue
        found[name] = given[name] if inner is None else _group(inner, name, field.description)
    if GROUP in found:  # of the whole specification: a name, or a group with the name in it
        loading = _groups(LoadingConfig)
        found[GROUP] = {"anyOf": [found[GROUP], _object({NAME: {"type": "string"}, **loading})]}
    return found


def _group(model: type[Settings], name: str, description: str | None) -> Schema:
    properties = _groups(model)
    for key, (_, default, meaning) in SHORTHANDS.items():
        group, _, last = key.rpartition(".")
        if group == name:
            properties[last] = {**KINDS[key], "description": f"{meaning} Default: {default}."}
    words = {"description": " ".join(description.split())} if description else {}
    return {**words, "anyOf": [_object(properties), {"type": "null"}]}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _dotted(groups: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every setting inside a group by its dotted key, and every group inside a group."""
    for name, schema in groups.items():
        key = f"{above}{name}"
        if above:
            yield key, schema
        for form in schema.get("anyOf", ()):
            yield from _dotted(form.get("properties", {}), f"{key}.")
