"""Train, evaluate and export on the real checkpoint: every way of using a run gives the same scores."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from running import Balora, Ended, run_balora

SHORT = ("training.steps=4", "training.batch_size=8", "training.learning_rate=5e-3", "data.train_rows=64")
RTE = (*SHORT, "data.max_length=48", "data.eval_rows=60")
GSM8K = (*SHORT, "data.max_length=400", "data.eval_rows=6", "data.max_new_tokens=8")


def settings(assignments: tuple[str, ...]) -> list[str]:
    return [word for assignment in assignments for word in ("--set", assignment)]


def data_only(assignments: tuple[str, ...]) -> list[str]:
    return settings(tuple(one for one in assignments if one.startswith("data.") and "train" not in one))


@pytest.mark.slow
@pytest.mark.parametrize(("task", "assignments", "metric"), [("rte", RTE, "accuracy"), ("gsm8k", GSM8K, "answer_loss")])
def test_a_run_its_adapter_its_export_and_its_merged_model_score_alike(
    balora: Balora, checkpoint: Path, data: Path, tmp_path: Path, task: str, assignments: tuple[str, ...], metric: str
) -> None:
    run, lora, whole = tmp_path / "runs" / "one", tmp_path / "lora", tmp_path / "whole"
    source = ("--data", data, "--task", task)
    trained = balora(
        "train", "--model", checkpoint, *source, "--output", run, *settings(assignments), "--json"
    )  # fmt: skip
    assert trained.code == 0, trained.err
    record = json.loads(trained.out)
    assert record["status"] == "ok"
    assert sorted(path.name for path in run.iterdir()) == ["adapter", "items.jsonl", "run.json", "series.jsonl"]

    assert balora("export", run, "--output", lora).code == 0
    assert balora("export", run, "--output", whole, "--merged").code == 0
    subset = data_only(assignments)
    for words in (
        ("--model", checkpoint, "--adapter", run / "adapter"),
        ("--model", checkpoint, "--adapter", lora),
        ("--model", whole),
    ):
        scored = balora("evaluate", *words, *source, *subset, "--json")
        assert scored.code == 0, scored.err
        found = json.loads(scored.out)["tasks"][task]
        assert found["score"] == pytest.approx(record["score"])
        assert found["metrics"][metric] == pytest.approx(record["metrics"][metric], rel=1e-4)

    if task == "gsm8k":  # the loss has moved, so that an adapter that is not applied would be seen
        before = json.loads(balora("evaluate", "--model", checkpoint, *source, *subset, "--json").out)
        assert abs(before["tasks"][task]["metrics"][metric] - record["metrics"][metric]) > 0.01


def test_full_fine_tuning_leaves_a_model_that_scores_the_same(
    balora: Balora, checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    run, whole, source = tmp_path / "run", tmp_path / "whole", ("--data", data, "--task", "stsb")
    assignments = (*SHORT, "data.max_length=48", "data.eval_rows=60")
    words = ("--model", checkpoint, *source, "--method", "full", "--output", run)
    record = json.loads(balora("train", *words, *settings(assignments), "--json").out)
    assert (run / "model").is_dir()
    refused = balora("export", run, "--output", whole)
    assert refused.code == 2
    assert "trained the whole model: export it with --merged" in refused.err
    assert balora("export", run, "--output", whole, "--merged").code == 0
    scored = balora("evaluate", "--model", whole, *source, *data_only(assignments), "--json")
    assert json.loads(scored.out)["tasks"]["stsb"]["metrics"] == pytest.approx(record["metrics"], rel=1e-4)


class Finished(NamedTuple):
    """A run that `balora train` has finished."""

    folder: Path
    command: tuple[object, ...]
    ended: Ended


@pytest.fixture(scope="module")
def finished(checkpoint: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("runs") / "rte"
    command = ("train", "--model", checkpoint, "--data", data, "--task", "rte", "--output", folder, *settings(RTE))
    return Finished(folder, command, run_balora(*command))


def test_the_summary_prints_scores_terms_and_where_the_files_are(finished: Finished) -> None:
    ended = finished.ended
    assert ended.code == 0, ended.err
    for words in ("ba-lora on rte, seed 42: score", "accuracy", "gradient share", "0.15", "k = 5 ≥ min(N, D) = 2"):
        assert words in ended.out
    for name in ("run.json", "series.jsonl", "items.jsonl", "adapter"):
        assert str(finished.folder / name) in ended.out
    assert "train 4/4" in ended.err


def test_a_finished_run_is_not_run_again(balora: Balora, finished: Finished) -> None:
    before = (finished.folder / "run.json").read_bytes()
    again = balora(*finished.command)
    assert again.code == 0
    assert again.out.startswith("already done, nothing was run again: ba-lora on rte")
    assert again.err == ""
    assert json.loads(balora(*finished.command, "--json").out)["done_before"] is True
    assert (finished.folder / "run.json").read_bytes() == before


def test_a_folder_with_another_run_is_refused_and_left_alone(balora: Balora, finished: Finished) -> None:
    before = (finished.folder / "run.json").read_bytes()
    other = balora(*finished.command, "--set", "training.seed=7")
    assert other.code == 2
    assert "holds another run (ba-lora on rte, id" in other.err
    assert (finished.folder / "run.json").read_bytes() == before


def test_a_config_file_gives_the_same_run_as_options(
    balora: Balora, checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        f"model: {checkpoint}\ntask: rte\nmethod: lora\ndata:\n  folder: {data}\n  max_length: 48\n  eval_rows: 60\n"
        "  train_rows: 64\ntraining: {steps: 4, batch_size: 8, learning_rate: 0.005}\n"
    )
    by_file = json.loads(balora("train", "--config", config, "--output", tmp_path / "a", "--json").out)
    words = ("train", "--model", checkpoint, "--data", data, "--task", "rte", "--method", "lora")
    by_options = json.loads(balora(*words, "--output", tmp_path / "b", *settings(RTE), "--json").out)
    assert by_file["id"] == by_options["id"]
    assert by_file["metrics"] == by_options["metrics"]


def test_a_failed_run_is_recorded_and_reported_and_can_be_run_again(
    balora: Balora, checkpoint: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from balora.training import run as run_file

    run = tmp_path / "run"
    words = ("train", "--model", checkpoint, "--data", data, "--task", "rte", "--output", run, *settings(RTE))

    def broken(self: object, *given: object) -> None:
        raise ZeroDivisionError("no rows at step 3")

    with monkeypatch.context() as patch:
        patch.setattr(run_file._Run, "train", broken)
        failed = balora(*words)
    assert failed.code == 1
    assert failed.err == (
        f"balora: error: run failed: ZeroDivisionError: no rows at step 3 (record: {run / 'run.json'})\n"
    )
    assert [path.name for path in run.iterdir()] == ["run.json"]
    assert json.loads((run / "run.json").read_text())["status"] == "failed"

    assert "status 'failed'" in balora("export", run, "--output", tmp_path / "lora").err
    again = balora(*words)
    assert again.code == 0, again.err
    assert json.loads((run / "run.json").read_text())["status"] == "ok"


def test_scores_of_several_tasks_are_averaged_and_written_to_a_new_file(
    balora: Balora, checkpoint: Path, data: Path, finished: Finished, tmp_path: Path
) -> None:
    file, adapter = tmp_path / "scores.json", finished.folder / "adapter"
    evaluate = ("evaluate", "--model", checkpoint, "--adapter", adapter, "--data", data, *data_only(RTE))
    done = balora(*evaluate, "--task", "rte", "--task", "cola", "--output", file)
    assert done.code == 0, done.err
    scores = json.loads(file.read_text())
    each = [scores["tasks"][name]["score"] for name in ("rte", "cola")]
    assert scores["averages"] == {"nlu_avg": pytest.approx(sum(each) / 2)}
    assert f"{sum(each) / 2:.2f}" in done.out
    assert str(file) in done.out

    refused = balora(*evaluate, "--task", "rte", "--output", file)
    assert refused.code == 2
    assert f"output file {file}: exists already" in refused.err
    assert json.loads(file.read_text()) == scores
