"""Run the parts of the check, each as a process of its own under a time limit, and report how each ended."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
NOT_INSTALLED = 3
"""Exit code of a part that lacks a package, whose name is its last line on standard error (`benchmarks.card`)."""

LIMITS = {
    "tests": 90,
    "objective": 60,
    "step": 150,
    "factors": 90,
    "study": 120,
    "trl": 45,
    "liger": 90,
    "step-of-8-layers": 90,
}
"""Seconds after which each part is stopped, in the order in which they run."""


class Outcome(NamedTuple):
    """How a part ended."""

    part: str
    status: Literal["measured", "skipped", "failed", "stopped"]
    seconds: float
    reason: str = ""
    """Why it was not measured, or not to the end."""
    output: str = ""
    """The end of what it printed."""


def run_part(part: str, command: Sequence[str], limit: float, log: Path, dry: bool) -> Outcome:
    """Run ``command``, which measures ``part``; append its output to ``log``; stop it after ``limit`` seconds.

    It is stopped together with the processes that it started.
    """
    start = time.monotonic()
    with log.open("a+b") as file:
        file.write(f"\n== {part}\n".encode())
        file.flush()
        begin = file.tell()
        process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(dry), stdout=file, stderr=file, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            code: int | None = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _kill_group(process)
        file.seek(begin)
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else f"exit code {code}, without a message"
    taken, said = time.monotonic() - start, "\n".join(lines[-20:])
    if code is None:
        return Outcome(part, "stopped", taken, f"stopped after {limit:.0f} s, its limit", said)
    if code == NOT_INSTALLED:
        return Outcome(part, "skipped", taken, f"the package {last} is not installed")
    if code:
        return Outcome(part, "failed", taken, last[:300], said)
    return Outcome(part, "measured", taken)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _environment(dry: bool) -> dict[str, str]:
    """Return the environment of a part: this checkout's package, no network, and no GPU in a dry run."""
    offline = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "PYTHONUNBUFFERED"), "1")
    return {
        **os.environ,
        **offline,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")))),
        "TOKENIZERS_PARALLELISM": "false",
        **({"CUDA_VISIBLE_DEVICES": ""} if dry else {}),
    }
