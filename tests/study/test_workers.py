"""Pools: the one of local processes carries out stage after stage, and any other pool can take its place."""

import os
import signal
import sys
from collections.abc import Generator, Sequence
from pathlib import Path

import fakes
import pytest
from killing import has_ended, until, workers_of
from study_cases import go, plan_of

from balora.errors import TrainingError
from balora.progress import Progress
from balora.study.engine.pool import LocalPool
from balora.study.engine.protocol import Event, Job
from balora.study.engine.worker import carry_out
from balora.study.plan.suites import Tasks
from balora.training.record import read_record


def jobs(folder: Path, *names: str) -> list[Job]:
    spec = plan_of().runs[0].spec
    return [Job(name, spec, folder / name, fakes.signing) for name in names]


@pytest.mark.skipif(sys.platform != "linux", reason="finds worker processes in /proc")
def test_a_worker_that_dies_while_it_waits_costs_no_run(tmp_path: Path) -> None:
    """The first stage has work for one of two workers; both are killed once it is over."""
    events = LocalPool(2).carry_out([jobs(tmp_path, "a"), jobs(tmp_path, "b", "c")], tmp_path)
    kinds = []
    for event in events:
        kinds.append(event.kind)
        if event.kind == "done" and event.job and event.job.id == "a":
            workers = workers_of(os.getpid())
            assert len(workers) == 2
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            until(lambda workers=workers: all(map(has_ended, workers)), "a killed worker lives")
    assert [kind for kind in kinds if kind not in ("idle", "progress")].count("done") == 3
    assert not {"failed", "died"} & set(kinds)
    done_by = {path.parent.name: path.name for path in tmp_path.glob("*/*")}
    assert set(done_by) == {"a", "b", "c"}
    assert done_by["a"] not in (done_by["b"], done_by["c"])


def test_no_job_of_a_stage_begins_before_the_last_of_the_one_before_has_ended(tmp_path: Path) -> None:
    events = list(LocalPool(3).carry_out([jobs(tmp_path, "a", "b"), jobs(tmp_path, "c")], tmp_path))
    order = [(event.kind, event.job.id) for event in events if event.job]
    assert order.index(("started", "c")) > max(order.index(("done", "a")), order.index(("done", "b")))
    assert not workers_of(os.getpid()), "closed with the last event"


class InProcess:
    """Another executor, complete: it carries out every job in this process."""

    workers = 1

    def __init__(self) -> None:
        self.closed = False

    def carry_out(self, stages: Sequence[Sequence[Job]], output: Path, lock: int) -> Generator[Event]:
        try:
            for job in (job for stage in stages for job in stage):
                yield Event("started", job)
                progress: list[Progress] = []
                end = carry_out(job, progress.append)
                yield from (Event("progress", job, progress=one) for one in progress)
                yield end._replace(job=job)
        finally:
            self.closed = True


def test_another_pool_leaves_the_same_records(tmp_path: Path) -> None:
    """Half of the runs fail: those of one task raise, those of another leave a record that says so."""
    plan = plan_of(Tasks(("cola", "rte", "stsb", "gsm8k"), ()))
    pool = InProcess()
    results = {
        name: go(plan, tmp_path / name, fakes.failing, **options)
        for name, options in (("here", {"pool": pool}), ("processes", {"workers": 1}))
    }
    assert pool.closed
    assert results["here"] == results["processes"]
    assert (results["here"][0].ok, results["here"][0].failed) == (8, 8)
    for run in plan.distinct:
        here, there = (read_record(tmp_path / name / run.folder) for name in results)
        assert here is not None
        assert here == there


class Careless(InProcess):
    """A pool that delivers ends twice and progress before the start, leaves out one run or its record, or gives up."""

    def __init__(self, leaves_out: str = "", forgets: str = "", most: int = 99) -> None:
        super().__init__()
        self.leaves_out, self.forgets, self.most = leaves_out, forgets, most

    def carry_out(self, stages: Sequence[Sequence[Job]], output: Path, lock: int) -> Generator[Event]:
        for number, job in enumerate(job for stage in stages for job in stage):
            if number == self.most:
                return
            yield Event("progress", job, progress=Progress("train", 1, 2))
            yield Event("started", job)
            end = Event("done", job)
            if job.id != self.leaves_out:
                end = carry_out(job, lambda progress: None)._replace(job=job)
            yield from [Event("done", job)] if job.id == self.forgets else [end, end]


def test_a_run_that_has_finished_counts_although_the_pool_lost_its_record(tmp_path: Path) -> None:
    plan = plan_of()
    outcome, _ = go(plan, tmp_path, pool=Careless(forgets=plan.runs[0].id))
    assert (outcome.ok, outcome.failed) == (len(plan.distinct), 0)


def test_a_pool_may_deliver_twice_and_a_run_left_out_costs_one_run(tmp_path: Path) -> None:
    plan = plan_of()
    outcome, _ = go(plan, tmp_path, pool=Careless(leaves_out=plan.runs[0].id))
    assert (outcome.ok, outcome.failed) == (len(plan.distinct) - 1, 1)
    record = read_record(tmp_path / plan.runs[0].folder)
    assert record is not None
    assert record.error is not None
    assert (record.status, record.error.kind) == ("failed", "NoRecord")


def test_a_pool_that_gives_up_is_named_and_finished_runs_remain(tmp_path: Path) -> None:
    plan = plan_of()
    with pytest.raises(TrainingError, match=f"^the pool stopped before {len(plan.distinct) - 2} of its jobs had ended"):
        go(plan, tmp_path, pool=Careless(most=2))
    assert [read_record(tmp_path / run.folder) is not None for run in plan.distinct[:3]] == [True, True, False]
