"""The commands of docs/long-runs.md, as printed: killed and given again, they end as if never killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from balora.training.record import RunRecord, read_record

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="kills a session")]

PAGE = Path(__file__).parents[2] / "docs" / "long-runs.md"
TRAIN, STUDY = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
PATIENCE = 600.0
PROGRAM = "import sys; from balora.cli.main import main; sys.exit(main())"


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., "subprocess.Popen[bytes]"]:
    """Start a block in bash, in a session and in a folder of its own."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "balora").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{PROGRAM}" "$@"\n')
    (tools / "balora").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"

    def started(text: str, folder: str) -> "subprocess.Popen[bytes]":
        (tmp_path / folder).mkdir(exist_ok=True)
        environment = {**os.environ, "PATH": path, "BALORA_CACHE": str(tmp_path / f"cache of {folder}")}
        return subprocess.Popen(
            ["bash", "-euc", text], cwd=tmp_path / folder, env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    return started


def killed_when(running: "subprocess.Popen[bytes]", is_time: Callable[[], bool]) -> None:
    """Kill a session without warning at the first moment at which it is time."""
    end = time.monotonic() + PATIENCE
    while not is_time():
        assert running.poll() is None, "it ended before it was time"
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def result(folder: Path) -> tuple[object, ...]:
    record = read_record(folder)
    assert isinstance(record, RunRecord)
    return record.id, record.status, record.score, record.metrics, record.files


def test_the_same_command_goes_on(start: Callable[..., "subprocess.Popen[bytes]"], tmp_path: Path) -> None:
    assert start(TRAIN, "whole").wait(PATIENCE) == 0
    checkpoints = tmp_path / "cache of killed" / "checkpoints"
    # while the second checkpoint is written, the first one is whole
    killed_when(start(TRAIN, "killed"), lambda: any(checkpoints.glob("*/checkpoint-40")))
    assert start(TRAIN, "killed").wait(PATIENCE) == 0
    whole, killed = tmp_path / "whole" / "runs" / "long", tmp_path / "killed" / "runs" / "long"
    assert result(killed) == result(whole)
    record = read_record(killed)
    assert record is not None
    assert record.cost.resumed == 1


def test_a_study_goes_on(start: Callable[..., "subprocess.Popen[bytes]"], tmp_path: Path) -> None:
    folder = tmp_path / "study" / "runs" / "pissa" / "runs"
    killed_when(start(STUDY, "study"), lambda: len(list(folder.glob("*/run.json"))) >= 3)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/run.json")}
    assert start(STUDY, "study").wait(PATIENCE) == 0
    assert len(list(folder.glob("*/run.json"))) == 20
    assert all(path.stat().st_mtime_ns == moment for path, moment in before.items()), "finished runs are not repeated"
