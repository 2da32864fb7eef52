"""`evaluate` of several tasks checks every one of them before it scores the first."""

import json
import shutil
from pathlib import Path

import pytest
from refusals import refused, run_verb
from stored_adapters import causal_adapter, classifying_adapter

from balora.training import evaluation


@pytest.fixture(scope="module")
def adapters(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    made = {"causal": causal_adapter(checkpoint, folder / "causal")}
    return made | {"classifier": classifying_adapter(checkpoint, folder / "classifier")}


@pytest.fixture
def rows(data: Path, tmp_path: Path) -> Path:
    """A data folder of one's own, with four tasks."""
    folder = tmp_path / "data"
    for name in ("gsm8k", "glue/RTE", "glue/CoLA", "glue/STS-B"):
        shutil.copytree(data / name, folder / name)
    return folder


def drop(folder: Path) -> None:
    shutil.rmtree(folder)


def spoil(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_text("nothing\n")


SHORT = ("--set", "data.eval_rows=2", "--set", "data.max_length=64", "--set", "data.max_new_tokens=2")
CASES = {
    "the second is of another family": ("causal", ("gsm8k", "rte"), None, "trained for language modelling"),
    "the third is of another family": ("classifier", ("rte", "cola", "gsm8k"), None, "trained for classification"),
    "the second has another head": ("classifier", ("rte", "stsb"), None, "size mismatch"),
    "the second has no data": ("classifier", ("rte", "cola"), ("glue/CoLA", drop), "cola"),
    "the second has damaged data": ("classifier", ("rte", "cola"), ("glue/CoLA", spoil), "validation.jsonl:1"),
    "the second needs a head": (None, ("gsm8k", "rte"), None, "no trained classification head"),
    "without an adapter, no data": (None, ("gsm8k", "humaneval"), None, "humaneval"),
    "the second is unknown": (None, ("gsm8k", "colla"), None, "unknown task 'colla'"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_last_task_is_checked_before_the_first_is_scored(
    adapters, checkpoint: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    kind, tasks, change, says = CASES[case]
    if change is not None:
        change[1](rows / change[0])
    monkeypatch.setattr(evaluation, "evaluate_nlu", lambda *words, **names: pytest.fail("scored"))
    monkeypatch.setattr(evaluation, "evaluate_nlg", lambda *words, **names: pytest.fail("scored"))
    named = [word for task in tasks for word in ("--task", task)]
    given = ("--adapter", adapters[kind]) if kind else ()
    words = ("evaluate", "--model", checkpoint, "--data", rows, *named, *given, *SHORT)
    refused([*words, "--output", tmp_path / "scores.json"], says, watched=tmp_path)


def test_an_output_that_exists_is_refused_before_a_model_is_loaded(checkpoint, data, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("balora.training.score_model.load_model", lambda *words: pytest.fail("loaded"))
    (tmp_path / "scores.json").write_text("mine")
    words = ("evaluate", "--model", checkpoint, "--data", data, "--task", "gsm8k", "--task", "rte", *SHORT)
    refused([*words, "--output", tmp_path / "scores.json"], "exists already", watched=tmp_path)


def test_tasks_that_share_a_model_load_it_once_and_score_as_alone(
    adapters, checkpoint: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from balora.training import score_model

    loads, load = [], score_model.load_model
    monkeypatch.setattr(score_model, "load_model", lambda *words: loads.append(words) or load(*words))
    given = ("evaluate", "--model", checkpoint, "--data", rows, "--adapter", adapters["classifier"], *SHORT, "--json")
    alone = {}
    for task in ("rte", "cola"):
        alone |= json.loads(run_verb(*given, "--task", task).out)["tasks"]
    assert len(loads) == 2
    together = run_verb(*given, "--task", "rte", "--task", "cola")
    assert together.code == 0, together.err
    assert json.loads(together.out)["tasks"] == alone
    assert len(loads) == 3
