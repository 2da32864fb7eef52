"""On a model shared by two processes (FSDP2) losses, reference and export are exact; what cannot be is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
def test_a_sharded_model_is_exact_or_refused_by_name(tmp_path: Path) -> None:
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "sharded_worker.py")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    workers = [subprocess.Popen([*command, str(rank), str(tmp_path)], **pipes) for rank in (0, 1)]
    ended = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], ended
    found = json.loads(ended[0][0].splitlines()[-1])
    assert found["forward"] == 0
    assert found["reference"]
    assert found["terms"] == "done"
    assert found["measured"] == pytest.approx(found["expected"], rel=1e-6)
    assert set(found["measured"]) == {"task", "consistency", "diversity", "spectral"}
    sharded = "AdapterError: a model sharded by FSDP2 or tensor parallelism cannot be"
    assert found["export_adapter"] == "done"
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "adapter" / name).read_bytes() == (tmp_path / "whole-0" / name).read_bytes()
    assert found["export_merged"].startswith(f"{sharded} merged: export the adapter on every process")
    saved = "saved with an adapter in the offset form: write it with `export_adapter`"
    assert found["save_pretrained"].startswith(f"{sharded} {saved}")
    for act in ("attach", "attach standard"):
        assert found[act].startswith(f"{sharded} given an adapter: attach first, and shard")
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} <= {"meeting", "saved", "adapter", "whole"}
