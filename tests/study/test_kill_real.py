"""The same proof on real testbed runs: a few kills, and the same table apart from the times."""

import json
import random
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from killing import STUDY, Command, kill, session_of, until, workers_of

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="finds worker processes in /proc")]

KILLS = 5
BALORA = Path(sys.executable).with_name("balora")


def without_timings(command: Command) -> tuple[Any, str]:
    """Return the report as JSON and as Markdown, each number of its cost masked."""

    def masked(value: Any) -> Any:
        if isinstance(value, dict):
            timing = re.compile("seconds|memory")
            return {key: None if timing.search(key) else masked(inner) for key, inner in value.items()}
        return [masked(inner) for inner in value] if isinstance(value, list) else value

    content = json.loads(command.run("study", "report", "s", "--json"))
    text = (command.folder / "s" / "report.md").read_text()
    before, cost, after = re.split(r"(## Cost\n.*?)(?=\n## )", text, flags=re.DOTALL)
    return masked(content), before + re.sub(r"[\d.,]+", "#", cost) + after


def test_kills_among_real_runs_leave_the_same_table(tmp_path: Path) -> None:
    undisturbed = Command(tmp_path / "calm", script=BALORA)
    undisturbed.run(*STUDY)
    command, chance = Command(tmp_path / "wild", script=BALORA), random.Random(4)
    runs = tmp_path / "wild" / "s" / "runs"
    for number in range(KILLS):
        parent = command.start(*STUDY, "--retry-failed")
        for victim in ("worker", "parent") if number % 2 else ("parent",):
            more = len(list(runs.glob("*/run.json"))) + chance.randint(0, 1)
            until(lambda more=more: len(list(runs.glob("*/run.json"))) >= more, "no run ends")
            until(lambda parent=parent: bool(workers_of(parent.pid)), "no worker is started")
            assert kill(parent.pid if victim == "parent" else chance.choice(workers_of(parent.pid)))
        assert parent.wait() == -signal.SIGKILL
        until(lambda parent=parent: not session_of(parent.pid), "workers outlive their parent")
    command.run(*STUDY, "--retry-failed")
    assert without_timings(command) == without_timings(undisturbed)
