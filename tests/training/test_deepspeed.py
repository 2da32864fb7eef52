"""DeepSpeed's engine with ZeRO-2 trains as one process does on the same rows; skipped where DeepSpeed is missing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_cases import adapted, answers, collate, moved, objective

from balora.training.loss import ModelLoss

pytest.importorskip("deepspeed", reason="DeepSpeed is not installed: pip install -c constraints.txt deepspeed")
pytestmark = pytest.mark.slow  # its imports alone take long
HERE = Path(__file__).parent


def test_zero_2_equals_one_process_and_exports(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DS_ACCELERATOR": "cpu",
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command += ["--rdzv-endpoint", "localhost:0", str(HERE / "deepspeed_worker.py"), str(tmp_path), "2"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    assert [one["exported"] for one in ranks] == ["done", "done"]
    assert [one["reference"] for one in ranks] == [True, True]
    for one in ranks:
        assert one["losses"] == pytest.approx(losses_of_one_process(), rel=1e-5)
    files = [tmp_path / f"adapter-{rank}" / "adapter_model.safetensors" for rank in (0, 1)]
    assert files[0].read_bytes() == files[1].read_bytes()


def losses_of_one_process() -> list[float]:
    """Return the losses of the same two steps by torch's AdamW on all rows."""
    model = moved(adapted("llama"))
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
