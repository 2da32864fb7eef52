"""Describe study files as a JSON Schema, by which editors complete, explain and check them; torch-free."""

from balora.study.design.study import HOLE, Study
from balora.training.setting_schema import DIALECT, Schema, config_schema, plain

SETTINGS: Schema = {"$ref": "#/$defs/Settings"}


def study_schema() -> Schema:
    """Return the schema of a study file; of the settings of arms it knows the names, since `base` may be a value.

    It takes all that `balora study run` takes, and also some of what that refuses.
    """
    given = plain(Study.model_json_schema())
    names = sorted(config_schema()["properties"])
    properties, defined = given["properties"], given["$defs"]
    properties.pop("own")
    for name in ("OwnTask", "Reading"):
        defined.pop(name)
    properties["base"]["anyOf"] = [{"type": "string"}, SETTINGS]
    properties["suites"]["anyOf"] = [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]
    levels = {"type": "object", "additionalProperties": SETTINGS}
    properties["factors"]["additionalProperties"]["anyOf"] = [levels, {"const": "suites"}]
    for key in ("grid", "sweeps"):
        properties[key]["propertyNames"] = {"enum": names}
    defined["Arm"]["properties"]["set"] = {"anyOf": [SETTINGS, {"const": HOLE}]}
    defined["Tuned"]["properties"]["set"] = SETTINGS
    defined["Tuned"]["properties"]["over"]["propertyNames"] = {"enum": names}
    defined["Settings"] = {"type": "object", "propertyNames": {"enum": names}}
    return {
        "$schema": DIALECT,
        "title": "A balora study",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "anyOf": [{"required": ["extends"]}, {"required": ["study", "question", "base"]}],
        "$defs": defined,
    }
