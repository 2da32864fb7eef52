"""The pool: stages one after the other, and nobody's fault when a worker dies between two jobs."""

import os
import signal
import sys
from pathlib import Path

import fakes
import pytest
from killing import has_ended, until, workers_of
from test_execute import plan_of

from balora.study.engine.pool import carry_out
from balora.study.engine.worker import Job


def jobs(folder: Path, *names: str) -> list[Job]:
    spec = plan_of().runs[0].spec
    return [Job(name, spec, folder / name, fakes.signing) for name in names]


@pytest.mark.skipif(sys.platform != "linux", reason="finds worker processes in /proc")
def test_a_worker_that_dies_while_it_waits_costs_no_run(tmp_path: Path) -> None:
    """The first stage has work for one of two workers; both are killed once it is over."""
    events = carry_out([jobs(tmp_path, "a"), jobs(tmp_path, "b", "c")], 2, 1, tmp_path / "log.txt")
    told = []
    for event in events:
        told.append(event.kind)
        if event.kind == "done" and event.job and event.job.id == "a":
            staff = workers_of(os.getpid())
            assert len(staff) == 2
            for worker in staff:
                os.kill(worker, signal.SIGKILL)
            until(lambda staff=staff: all(map(has_ended, staff)), "a killed worker lives")
    assert [kind for kind in told if kind not in ("idle", "progress")].count("done") == 3
    assert "crashed" not in told
    done_by = {path.parent.name: path.name for path in tmp_path.glob("*/*")}
    assert set(done_by) == {"a", "b", "c"}
    assert done_by["a"] not in (done_by["b"], done_by["c"])


def test_no_job_of_a_stage_begins_before_the_last_of_the_one_before_has_ended(tmp_path: Path) -> None:
    events = list(carry_out([jobs(tmp_path, "a", "b"), jobs(tmp_path, "c")], 3, 1, tmp_path / "log.txt"))
    order = [(event.kind, event.job.id) for event in events if event.job]
    assert order.index(("started", "c")) > max(order.index(("done", "a")), order.index(("done", "b")))
    assert not workers_of(os.getpid()), "closed with the last event"
