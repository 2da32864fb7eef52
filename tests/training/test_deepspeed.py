"""DeepSpeed's ZeRO-2 and ZeRO-3 train as one process does on the same rows; skipped where DeepSpeed is missing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from together import assert_like_one_process
from training_cases import adapted, answers, collate, moved, objective

from balora.adapters import export_adapter
from balora.training.loss import ModelLoss

pytest.importorskip("deepspeed", reason="DeepSpeed is not installed: pip install -c constraints.txt deepspeed")
pytestmark = pytest.mark.slow  # its imports alone take long
HERE = Path(__file__).parent


RUNS = {
    "a classifier whose best weights count": {"training.evaluate_every": 1, "training.keep": "best"},
    "a generator": {"task": "facts", "training.accumulation": 2, "objective.scope": "process"},
}


@pytest.mark.parametrize("stage", [2, 3])
def test_an_engine_equals_one_process_and_exports(stage: int, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DS_ACCELERATOR": "cpu",
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "localhost:0", str(HERE / "deepspeed_worker.py"), str(tmp_path), str(stage)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert [one["exported"] for one in ranks] == ["done", "done"]
    assert [one["reference"] for one in ranks] == [True, True]
    for one in ranks:
        assert one["losses"] == pytest.approx(losses_of_one_process(), rel=1e-5)
    files = [tmp_path / f"adapter-{rank}" / "adapter_model.safetensors" for rank in (0, 1)]
    assert [file.exists() for file in files] == [True, stage == 2]  # of parts the first process writes the whole
    exported, expected = load_file(files[0]), weights_of_one_process(tmp_path)
    assert exported.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(exported[name], expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("strategy", ["zero2", "zero3"])
@pytest.mark.parametrize("case", RUNS)
def test_a_run_that_deepspeed_shares_is_one_process(case: str, strategy: str, tmp_path: Path) -> None:
    """With accumulation, covariance and spectrum are those of unlike micro-batches, so that they are left out."""
    changes = dict(RUNS[case])
    if changes.get("objective.scope") == "process":
        changes |= {"objective.diversity.weight": 0, "objective.spectral.weight": 0}
    assert_like_one_process(strategy, tmp_path, changes, 1e-5, str(HERE / "partitioned_worker.py"))


def weights_of_one_process(folder: Path) -> dict[str, torch.Tensor]:
    """Return what the adapter of the same two steps holds when it is exported."""
    model = moved(adapted("llama"))
    two_steps(model)
    export_adapter(model, folder / "alone")
    return load_file(folder / "alone" / "adapter_model.safetensors")


def losses_of_one_process() -> list[float]:
    """Return the losses of the same two steps."""
    return two_steps(moved(adapted("llama")))


def two_steps(model: Any) -> list[float]:
    """Take the same two steps by torch's AdamW on all rows, and return the loss of each."""
    loss_of = ModelLoss(model, objective("nlg", consistency=0.5, diversity=0.3))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer, losses = torch.optim.AdamW(trained, lr=0.01, weight_decay=0.0), []
    for rows in (answers(8), answers(8)[::-1]):
        loss = loss_of(model, collate(rows))[0].loss
        losses.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return losses
