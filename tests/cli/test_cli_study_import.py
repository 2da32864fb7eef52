"""`balora study import`: what it prints and writes, and what it refuses in one line."""

import errno
import json
import os
from pathlib import Path

import pytest
import yaml
from running import Balora

from balora.importing.import_plan import import_plan
from balora.study.design.reading import read_study

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ablation-plan.md"

PLAN = """
### Ablation of PiSSA Initialization
- **Ablated Part**: Initialization strategy for LoRA matrices A and B
- **Action**: REPLACE
- **Replacement**:
  - Standard LoRA Initialization
- **Metrics**: NLG Avg, NLU Avg
"""
HOLE = PLAN.replace("Standard LoRA", "Orthogonal")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.md"
    path.write_text(PLAN)
    return path


def test_a_plan_is_imported_and_then_planned_on_the_testbed(balora: Balora, plan: Path, tmp_path: Path) -> None:
    output = tmp_path / "study.yaml"
    ended = balora("study", "import", plan, "--output", output)
    assert ended.code == 0, ended.err
    assert "standard-lora-initialization: adapter.init: standard" in ended.out
    assert "metrics: nlu_avg, nlg_avg" in ended.out
    assert f"balora study plan {output}" in ended.out
    planned = balora("study", "plan", output, "--json")
    assert planned.code == 0, planned.err
    assert {"name": "standard-lora-initialization", "adapter.init": "standard"}.items() <= changed_arm(
        planned.out
    ).items()


def changed_arm(text: str) -> dict[str, str]:
    """Return the one arm beside the base that a printed plan holds, with its settings."""
    (arm,) = [arm for arm in json.loads(text)["arms"] if arm["name"] != "ba-lora"]
    return {"name": arm["name"]} | arm["changes"]


def test_without_output_the_study_goes_to_stdout_and_the_summary_to_stderr(
    balora: Balora, plan: Path, tmp_path: Path
) -> None:
    ended = balora("study", "import", plan)
    assert yaml.safe_load(ended.out)["arms"]["standard-lora-initialization"]["set"] == {"adapter.init": "standard"}
    assert "1 bound, 0 left open" in ended.err
    assert list(tmp_path.iterdir()) == [plan]


def test_json_holds_the_open_arms_and_the_study_file(balora: Balora, plan: Path, tmp_path: Path) -> None:
    plan.write_text(HOLE)
    ended = balora("study", "import", plan, "--json", "--output", tmp_path / "s.yaml")
    found = json.loads(ended.out)
    assert (found["open"], found["output"]) == (1, str(tmp_path / "s.yaml"))
    assert found["arms"][0]["set"] is None
    assert found["arms"][0]["may_stand"] == ["adapter.init", "adapter.svd"]
    assert found["study"] == (tmp_path / "s.yaml").read_text()
    assert "output" in json.loads(balora("study", "import", plan, "--json").out)


def test_open_arms_are_counted_and_printed_with_settings_that_may_fit(
    balora: Balora, plan: Path, tmp_path: Path
) -> None:
    plan.write_text(HOLE)
    ended = balora("study", "import", plan, "--output", tmp_path / "s.yaml")
    assert "0 bound, 1 left open" in ended.out
    assert "settings that may fit: adapter.{init, svd}" in ended.out
    assert "fill in the 1 open `set`" in ended.out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ("plan.md", "cannot read the plan", "No such file")),
        (b"", ("the plan is empty",)),
        (b"\x89PNG\xff", ("not a text file", "UTF-8")),
        (b"# Title\nnothing here\n", ("no block of an ablation plan found", "Ablated Part", "docs/importing.md")),
        (PLAN.replace("Standard LoRA", "PiSSA").encode(), ("nothing in the plan differs from ba-lora",)),
    ],
)
def test_a_file_that_holds_no_plan_is_refused(
    balora: Balora, tmp_path: Path, content: bytes | None, words: tuple[str, ...]
) -> None:
    if content is not None:
        (tmp_path / "plan.md").write_bytes(content)
    refused(balora, tmp_path / "plan.md", tmp_path / "out.yaml", *words)
    assert not (tmp_path / "out.yaml").exists()


def refused(balora: Balora, plan: Path, output: Path, *words: str) -> None:
    ended = balora("study", "import", plan, "--output", output)
    assert ended.code == 2, ended.err
    assert ended.err.startswith("balora: error: ")
    assert ended.err.count("\n") == 1
    assert ended.out == ""
    for word in words:
        assert word in ended.err


def test_a_folder_is_refused(balora: Balora, tmp_path: Path) -> None:
    refused(balora, tmp_path, tmp_path / "out.yaml", "cannot read the plan", "it is a folder")


def test_an_existing_output_is_refused_and_left_alone(balora: Balora, plan: Path, tmp_path: Path) -> None:
    output = tmp_path / "study.yaml"
    output.write_text("mine")
    refused(balora, plan, output, "exists already")
    assert output.read_text() == "mine"


def test_an_output_in_a_missing_folder_is_refused(balora: Balora, plan: Path, tmp_path: Path) -> None:
    refused(balora, plan, tmp_path / "no" / "study.yaml", "is missing or cannot be written")


def test_a_full_disk_leaves_nothing(
    balora: Balora, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    refused(balora, plan, tmp_path / "study.yaml", "output file", "No space left on device")
    assert list(tmp_path.iterdir()) == [plan]


def test_of_several_papers_one_must_be_chosen(balora: Balora, tmp_path: Path) -> None:
    row = json.dumps({"name": "n", "ablated_part": "rank", "action": "REPLACE", "replacement": [4], "metrics": []})
    (tmp_path / "plans.json").write_text(json.dumps({"one": {"predictions": row}, "two": {"predictions": row}}))
    refused(balora, tmp_path / "plans.json", tmp_path / "s.yaml", "plans of 2 papers", "--paper", "one, two")
    ended = balora("study", "import", tmp_path / "plans.json", "--paper", "two", "--output", tmp_path / "s.yaml")
    assert ended.code == 0, ended.err
    assert yaml.safe_load((tmp_path / "s.yaml").read_text())["study"] == "two"


def test_the_example_is_bound_in_full() -> None:
    plan, text = import_plan(EXAMPLE)
    study = read_study(text, "s")
    assert {name: arm.set for name, arm in study.arms.items()} == {
        "standard-lora-initialization": {"adapter.init": "standard"},
        "no-consistency-regularizer": {"objective.consistency.weight": 0.0},
        "swap-the-nlu-and-nlg-formulations": {"objective.formulation": "swapped"},
        "rank-4": {"adapter.rank": 4},
        "rank-64": {"adapter.rank": 64},
    }
    assert (study.study, study.base, study.suites) == ("ablation-plan", "ba-lora", ("nlu", "nlg"))
    assert study.metrics == ("nlu_avg", "nlg_avg")
    assert not plan.holes
    assert plan.left_out == (("REPLACE Rank r of the low-rank matrices → 16", "ba-lora does this already"),)
    assert plan.judged.unknown == ("training time",)
    first = study.arms["standard-lora-initialization"].ablation
    assert first is not None
    assert first.action == "replace"
    assert first.replacement == "Standard LoRA initialization (A scaled normal, B zero)"
