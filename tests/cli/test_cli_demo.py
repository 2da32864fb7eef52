"""`balora demo`: two real fine-tunings on the testbed, shown side by side."""

import json
from pathlib import Path
from typing import Any

import pytest
from running import Balora

from balora.study.plan import single_run
from balora.tasks.testbed.config import TestbedConfig
from balora.tasks.testbed.testbed_tasks import rows


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run take four steps."""
    whole = single_run.single_run

    def short_run(profile: str, task: str, method: str, settings: dict[str, Any]) -> Any:
        return whole(profile, task, method, {**settings, "training.steps": 4, "data.eval_rows": 20})

    monkeypatch.setattr(single_run, "single_run", short_run)


@pytest.mark.parametrize("task", ["facts", "entailment", "similarity"])
@pytest.mark.usefixtures("short")
def test_it_shows_what_both_runs_answered_and_measured(balora: Balora, tmp_path: Path, task: str) -> None:
    ended = balora("demo", "--task", task, "--seed", 7, "--output", tmp_path / "runs")
    assert ended.code == 0
    records = {
        method: json.loads((tmp_path / "runs" / method / "run.json").read_text()) for method in ("lora", "ba-lora")
    }
    assert [one["spec"]["training"]["seed"] for one in records.values()] == [7, 7]
    weights = {method: one["spec"]["objective"]["consistency"]["weight"] for method, one in records.items()}
    assert weights["lora"] == 0 < weights["ba-lora"]
    shown = " ".join(ended.out.split())
    assert f"score, of 100 (high is good) {records['lora']['score']:.1f} {records['ba-lora']['score']:.1f}" in shown
    for row in rows(task, "test", TestbedConfig(), 5):
        assert (row["question"] if task == "facts" else row["sentence1"]).split()[-2] in shown
    for method in records:
        assert str(tmp_path / "runs" / method) in ended.out.replace("\n", "")


@pytest.mark.usefixtures("short")
def test_without_a_folder_it_leaves_no_trace(balora: Balora, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = balora("demo", "--task", "sentiment", "--json")
    assert ended.code == 0
    assert set(json.loads(ended.out)) == {"lora", "ba-lora"}
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_else_is_refused(balora: Balora, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    ended = balora("demo", "--output", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "holds something that is no demo output ('thesis.txt')" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_it_runs_on_tasks_of_the_testbed_alone(balora: Balora) -> None:
    ended = balora("demo", "--task", "cola")
    assert (ended.code, ended.out) == (2, "")
    assert (
        ended.err
        == "balora: error: model 'testbed' has no task 'cola': choose one of its own, e.g. 'sentiment' or 'facts'\n"
    )
