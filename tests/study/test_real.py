"""The command line on the real checkpoint and data: a whole study, small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = """
study: small
question: Does anything happen?
suites: [nlu, nlg]
tasks: [cola, gsm8k]
base: ba-lora
arms:
  swapped: {set: {objective.formulation: swapped, objective.matching: gradient}}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(STUDY)
    return path


def balora(*words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    code = "import sys; from balora.cli.main import main; sys.exit(main())"
    line = [sys.executable, "-c", code, "study", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_a_study_of_real_runs_from_file_to_report(study: Path, checkpoint: Path, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    settings = ["training.steps=2", "data.train_rows=16", "data.eval_rows=4", "data.max_new_tokens=4"]
    settings += ["training.learning_rate=1e-3"]
    words = [
        "--model",
        checkpoint,
        "--data",
        data,
        "--seeds",
        1,
        *(word for one in settings for word in ("--set", one)),
    ]
    planned = json.loads(balora("plan", study, *words, "--json").stdout)
    done = balora("run", study, *words, "--output", output, "--workers", 1, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["counts"] == {"planned": 4, "ok": 4, "failed": 0, "unreadable": 0, "missing": 0}
    assert {run["id"] for run in planned["runs"]} == {path.name for path in (output / "runs").iterdir()}
    records = {path.parent.name: json.loads(path.read_text()) for path in (output / "runs").glob("*/run.json")}
    base = {run["task"]: records[run["id"]] for run in planned["runs"] if run["arm"] == "ba-lora"}
    assert report["arms"][0]["averages"]["nlu_avg"]["mean"] == base["cola"]["score"]
    assert report["arms"][0]["averages"]["nlg_answer_loss"]["mean"] == base["gsm8k"]["metrics"]["answer_loss"]
    shown = balora("report", output)
    assert shown.stdout.startswith("# small\n")
    assert "4/4 runs" in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "pissa-initialisation", "--output", "{}/o"], "did you mean 'pissa-initialization'"),
        (
            ["run", "formulation-swap", "--data", "{}", "--output", "{}/o"],
            "the testbed draws its own rows: leave it out",
        ),
        (["plan", "formulation-swap", "--model", "m", "--data", "{}/none"], "no such folder"),
        (["plan", "formulation-swap", "--model", "m", "--set", "adapter.rnak=3"], "did you mean 'adapter.rank'"),
        (["plan", "formulation-swap", "--model", "m", "--profile", "galnce"], "did you mean 'glance'"),
        (["report", "{}"], "no study here"),
    ],
)
def test_bad_input_is_one_line_and_code_two(words: list[str], expected: str, tmp_path: Path) -> None:
    done = balora(*(word.format(tmp_path) for word in words))
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_leaves_nothing(study: Path, data: Path, tmp_path: Path) -> None:
    done = balora("run", study, "--model", tmp_path, "--data", data, "--seeds", 1, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert " on cola: model folder" in done.stderr  # of whichever worker came first
    assert not (tmp_path / "out").exists()
