"""`balora train` in several processes: the commands of docs/several-gpus.md as they stand there, and failures."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each starts three interpreters

DOCS = Path(__file__).resolve().parents[2] / "docs" / "several-gpus.md"
COMMANDS = re.findall(r"```bash\n(.+?)\n```", DOCS.read_text(encoding="utf-8")) if DOCS.is_file() else []
BALORA = "from balora.cli import main\n\nraise SystemExit(main())\n"


def started(words: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the documents in ``folder``; `balora` and `torchrun` are those of this interpreter."""
    (folder / "bin").mkdir()
    for name, code in (("balora", BALORA), ("torchrun", "from torch.distributed.run import main\n\nmain()\n")):
        (folder / "bin" / name).write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", **variables}
    environment |= {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "MASTER_PORT": "0"}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_document_has_commands() -> None:
    assert [shlex.split(command)[0] for command in COMMANDS] == ["balora", "torchrun", "balora"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[0])
def test_a_command_of_the_document_trains_one_model_in_two_processes(command: str, tmp_path: Path) -> None:
    words = shlex.split(command)
    if words[0] == "torchrun":  # tests run side by side, and the port of the document is one for all
        words[1:1] = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    done = started(words, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("ba-lora on sentiment, seed 42: score") == 1
    record = json.loads((tmp_path / words[-1] / "run.json").read_text(encoding="utf-8"))
    assert (record["processes"], record["status"], record["cost"]["steps"]) == (2, "ok", 20)


def test_a_run_that_fails_in_training_leaves_one_record_with_its_reason_and_one_line(tmp_path: Path) -> None:
    settings = ["training.steps=9", "training.learning_rate=1e30", "training.max_grad_norm=1e9", "launch.processes=2"]
    words = ["balora", "train", "--model", "testbed", "--task", "facts", "--output", "out"]
    words += [word for setting in settings for word in ("--set", setting)]
    done = started(words, tmp_path)
    assert done.returncode == 1
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["status"] == "failed"
    assert "not finite" in record["error"]["message"]
    lines = [line for line in done.stderr.splitlines() if "balora: error" in line]
    assert any("run failed: TrainingError: " in line for line in lines), lines
    assert not [line for line in lines if "bug in balora" in line]
