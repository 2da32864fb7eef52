"""Carry out a run in two processes of torch's launcher, as `balora train` does, and one process to compare with."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from balora import resolve
from balora.training.record import read_record
from balora.training.run_in_folder import run_in_folder
from balora.training.spec import RunSpec

VARIABLES = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
ENTRY = ("-m", "balora.cli.one_process")


def spec_of(size: int, **changes: Any) -> RunSpec:
    """Return a run of seconds in which one process takes ``size`` rows a step."""
    given: dict[str, Any] = {
        "model": "testbed",
        "task": "sentiment",
        "training.steps": 3,
        "training.batch_size": size,
        "training.learning_rate": 1e-3,
        "training.telemetry_every": 1,
        "training.threads": 1,
        "data.eval_rows": 24,
        "data.max_new_tokens": 4,
        "adapter.rank": 2,
        "objective.scope": "global",
    }
    if changes.get("method", "").startswith("full"):
        del given["adapter.rank"]
    return resolve({**given, **changes})


def started_together(spec: RunSpec, output: Path, *entry: str, **variables: str) -> subprocess.Popen[str]:
    """Start two processes that carry out ``spec`` with its results in ``output``; ``entry``: by another script."""
    settings = output.with_suffix(".json")
    settings.write_text(spec.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "localhost:0", *(entry or ENTRY), str(settings), str(output)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env={**os.environ, **VARIABLES, **variables}, **pipes)


def run_together(spec: RunSpec, output: Path, *entry: str, **variables: str) -> str:
    """Carry out ``spec`` in two processes and return what they printed."""
    started = started_together(spec, output, *entry, **variables)
    printed, _ = started.communicate()
    assert started.returncode == 0, printed[-4000:]
    return printed


def assert_like_one_process(strategy: str, folder: Path, changes: dict[str, Any], within: float, *entry: str) -> None:
    """Carry a run out in two processes that share the model by ``strategy``, and in one with the same rows a step.

    Their records, files and steps must be alike, and their trained weights equal ``within`` a distance.
    """
    two, one = folder / "two", folder / "one"
    run_together(spec_of(4, **changes, **{"launch.strategy": strategy}), two, *entry)
    alone, _ = run_in_folder(spec_of(8, **changes), one)
    record = read_record(two)
    assert record is not None
    assert (record.status, record.processes, record.spec.launch.strategy) == ("ok", 2, strategy)
    assert record.cost.trained_parameters == alone.cost.trained_parameters
    assert record.score == pytest.approx(alone.score, abs=1e-9 if within < 1e-3 else 5)
    assert [step.step for step in record.step_scores] == [step.step for step in alone.step_scores]
    assert record.kept_step == alone.kept_step
    assert sorted(path.name for path in two.iterdir()) == sorted(path.name for path in one.iterdir())
    file = "model/model.safetensors" if "method" in changes else "adapter/adapter_model.safetensors"
    weights, expected = load_file(two / file), load_file(one / file)
    assert weights.keys() == expected.keys()
    for name in expected:
        if not name.endswith("key.bias"):  # softmax ignores it: AdamW makes whole steps of its gradient's rounding
            assert float((weights[name] - expected[name]).abs().max()) <= within, name
    rows = [json.loads(line) for line in (two / "series.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert all("task_share" in row for row in rows)
