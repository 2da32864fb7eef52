"""Carry out a run in two processes of torch's launcher, as `balora train` does, and one process to compare with."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from balora import resolve
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
