"""The JSON Schemas of config, study and task files: they take what balora takes, and know each setting."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from balora.cli.assignments import gather
from balora.cli.config_text import config_text
from balora.cli.main import main
from balora.study.design.reading import shipped
from balora.study.design.study_schema import study_schema
from balora.training.setting_list import GIVEN, setting_rows
from balora.training.setting_schema import config_schema, task_schema

EXAMPLES = Path(__file__).parents[2] / "examples"


class Numbers(yaml.SafeLoader):
    """Reads `1e-3` as the number that it is in YAML 1.2, which editors read."""


Numbers.add_implicit_resolver(
    "tag:yaml.org,2002:float", __import__("re").compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def faults(schema: dict[str, Any], content: Any) -> list[str]:
    jsonschema.Draft202012Validator.check_schema(schema)
    return [
        f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(content)
    ]


@pytest.mark.parametrize("method", ["ba-lora", "lora", "full+reg"])
@pytest.mark.parametrize("task", ["cola", "gsm8k"])
def test_the_config_file_of_every_run_is_valid(method: str, task: str) -> None:
    spec = gather(None, {"model": "MODEL", "task": task, "method": method}, [])
    assert faults(config_schema(), yaml.load(config_text(spec, task), Numbers)) == []


@pytest.mark.parametrize(
    "content",
    [
        {"training": {"learning_rate": 1e-3}, "adapter": {"rank": 4, "init": "pissa"}, "score": "gsm8k"},
        {"model": {"name": "MODEL", "quantization": "nf4"}, "objective.share": 0.1, "adapter": None},
        {"objective": {"preset": "none", "consistency": {"weight": 2}}, "objective.consistency": {"weight": 2}},
    ],
)
def test_groups_and_dotted_keys_are_valid(content: dict[str, Any]) -> None:
    assert faults(config_schema(), content) == []


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"training.warmpu": 0.1}, "$: "),
        ({"training": {"warmpu": 0.1}}, "$.training: "),
        ({"adapter.rank": "eight"}, "$['adapter.rank']: "),
        ({"training": {"steps": 0}}, "$.training: "),
        ({"adapter.init": "pisa"}, "$['adapter.init']: "),
        ({"own": []}, "$: "),
        ({"loading": {"dtype": "float16"}}, "$: "),
    ],
)
def test_what_no_setting_is_called_and_wrong_values_are_faults(content: dict[str, Any], place: str) -> None:
    found = faults(config_schema(), content)
    assert len(found) == 1
    assert found[0].startswith(place)


def test_each_setting_is_there_with_its_meaning_and_default() -> None:
    properties = config_schema()["properties"]
    for row in setting_rows():
        found = properties[row.key]
        assert (
            found.get("description", "") == row.meaning
            or row.key in ("model", "objective.share", *GIVEN)
            or (found["description"].startswith(row.meaning))
        )


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_study_is_valid(name: str) -> None:
    assert faults(study_schema(), yaml.load(shipped()[name], Numbers)) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"arms": {"one": {"set": {"adapter.rnk": 4}}}}, "$.arms.one.set"),
        (
            {"arms": {"one": {"ablation": {"part": "x", "action": "delete"}, "set": "???"}}},
            "$.arms.one.ablation",
        ),
        ({"grid": {"adapter.rnk": [4, 8]}}, "$.grid"),
        ({"questoin": "?"}, "$"),
        ({"rates": "tunde"}, "$.rates"),
    ],
)
def test_faults_of_a_study_are_found(change: dict[str, Any], place: str) -> None:
    found = faults(study_schema(), {"study": "s", "question": "q", "base": {"training.seed": 1}, **change})
    assert [one.partition(": ")[0] for one in found] == [place]
    assert faults(study_schema(), {"study": "s", "base": "ba-lora"}) != []
    assert faults(study_schema(), {"extends": "terms", "seeds": 3}) == []


@pytest.mark.parametrize("name", ["tickets.yaml", "support.yaml"])
def test_the_task_files_of_the_examples_are_valid(name: str) -> None:
    content = yaml.load((EXAMPLES / name).read_text(), Numbers)
    assert faults(task_schema(), content) == []
    assert faults(task_schema(), {**content, "labell": "x"}) != []


@pytest.mark.parametrize(
    ("kind", "schema"), [("config", config_schema), ("study", study_schema), ("task", task_schema)]
)
def test_the_verb_prints_the_schema(kind: str, schema: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--schema", kind]) == 0
    assert json.loads(capsys.readouterr().out) == schema()


def test_a_schema_has_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "rank", "--schema", "config"]) == 2
    wanted = "balora: error: --schema prints a whole schema: leave out the word, or the option\n"
    assert capsys.readouterr().err == wanted
