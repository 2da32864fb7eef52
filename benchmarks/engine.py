"""Measure the engine's overhead on testbed runs of profile quick, and the speed-up of two workers over one.

A run's seconds are those in its record (set-up, training, scoring). All other time of the workers is overhead: starting
them, submitting runs, writing records, and waiting at the end for the last run.
"""

import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from balora.progress import Progress
from balora.study.engine.execute import execute
from balora.study.engine.pool import local_pool
from balora.study.engine.pretraining import PlannedModel
from balora.study.engine.watcher import Work
from balora.study.plan.plan import Plan, PlannedRun
from balora.study.plan.prepare import prepare
from balora.training.record import RunRecord

STUDY, BLOCKS, ROUNDS = "pissa-initialization", 1, 2
STUDY_RUNS = 160
"""Number of runs of that study at profile quick with all its blocks."""
GOAL = round(1 / 1.7, 2)
"""Two workers on two cores should reach 1.7 × the throughput of one, which is 0.59 of the time."""


class Span(NamedTuple):
    """One run: when it started, when it finished, and the seconds in its record."""

    id: str
    start: float
    end: float
    seconds: float


class Stopwatch:
    """A watcher that takes the time at which each run starts and finishes."""

    def __init__(self) -> None:
        self.starts: dict[str, float] = {}
        self.spans: list[Span] = []

    def message(self, line: str) -> None:
        pass  # the warning that one block confirms nothing: here the runs are only timed

    def pretraining_started(self, models: Sequence[PlannedModel], workers: int) -> None:
        raise RuntimeError("the benchmark uses shipped models alone")

    def runs_started(self, todo: Sequence[PlannedRun], skipped: int, failed_before: int, workers: int) -> None:
        pass

    def job_started(self, work: Work) -> None:
        self.starts[work.id] = time.perf_counter()

    def job_progress(self, work: Work, progress: Progress) -> None:
        pass

    def model_finished(self, model: PlannedModel) -> None:
        pass

    def run_finished(self, run: PlannedRun, record: RunRecord) -> None:
        if record.status != "ok":
            raise RuntimeError(f"{run.label} failed: {record.error}")
        self.spans.append(Span(run.id, self.starts[run.id], time.perf_counter(), seconds_of(record)))

    def idle(self) -> None:
        pass


def seconds_of(record: RunRecord) -> float:
    """Return the seconds that the record of a run reports."""
    return record.cost.setup_seconds + record.cost.train_seconds + record.cost.eval_seconds


class Measured(NamedTuple):
    """One execution of the plan."""

    workers: int
    wall: float
    spans: tuple[Span, ...]

    @property
    def idle(self) -> float:
        """Seconds of all workers together, from the call to its return, that belong to no run."""
        return self.workers * self.wall - sum(span.seconds for span in self.spans)

    @property
    def steady(self) -> tuple[float, float]:
        """Start and end of the steady time, in which every worker was warm and runs were left to hand out."""
        return sorted(span.end for span in self.spans)[self.workers - 1], max(span.start for span in self.spans)

    def inside(self, span: Span) -> float:
        """Return the share of a run that lies in the steady time."""
        start, end = self.steady
        return max(0.0, min(span.end, end) - max(span.start, start)) / (span.end - span.start)

    @property
    def steady_overhead(self) -> float:
        """The share of the workers' steady time that belongs to no run."""
        start, end = self.steady
        return 1 - sum(span.seconds * self.inside(span) for span in self.spans) / (self.workers * (end - start))

    def steady_rate(self, work: dict[str, float]) -> float:
        """Return the work, given by run id, that was done in a second of the steady time."""
        start, end = self.steady
        return sum(work[span.id] * self.inside(span) for span in self.spans) / (end - start)


def measured(plan: Plan, workers: int, only: Collection[str] | None = None) -> Measured:
    """Carry ``plan``, or ``only`` the runs with these ids, out in a new folder."""
    with tempfile.TemporaryDirectory(prefix="balora-engine-") as folder:
        watch, start = Stopwatch(), time.perf_counter()
        execute(plan, Path(folder), watch, command="benchmark", pool=local_pool(True, workers), only=only)
        return Measured(workers, time.perf_counter() - start, tuple(watch.spans))


def overhead_of_a_study(measured: Measured) -> float:
    """Return the engine's share of the time of a study of STUDY_RUNS such runs: the steady one, and start and end."""
    start, end = measured.steady
    once = measured.idle - measured.steady_overhead * measured.workers * (end - start)
    seconds = STUDY_RUNS * sum(span.seconds for span in measured.spans) / len(measured.spans)
    taken = seconds / (1 - measured.steady_overhead)
    return (once + taken - seconds) / (once + taken)


def engine_rows() -> list[tuple[str, float, float, str]]:
    """Return (what, measured, goal, detail): one worker and two take turns at the same runs."""
    plan = prepare(STUDY, profile="quick", seeds=BLOCKS)
    pairs = [(measured(plan, 1), measured(plan, 2)) for _ in range(ROUNDS)]
    ones, twos = [one for one, _ in pairs], [two for _, two in pairs]
    work = {span.id: span.seconds for span in ones[0].spans}
    wall = fmean(one.wall for one in ones) / fmean(two.wall for two in twos)
    rate = fmean(two.steady_rate(work) for two in twos) / fmean(one.steady_rate(work) for one in ones)
    runs = f"{len(plan.distinct)} testbed runs of profile quick"
    one_wall, two_wall = (fmean(each.wall for each in group) for group in (ones, twos))
    detail = f"{wall:.2f} × the throughput; {one_wall:.1f} s and {two_wall:.1f} s"
    steady = f"one worker {fmean(one.steady_overhead for one in ones):.1%}"
    whole = f"start and end cost each worker {fmean(two.idle / 2 for two in twos):.1f} s"
    return [
        (f"{runs}: two workers ÷ one, with start-up", 1 / wall, GOAL, detail),
        ("the same while all workers are warm", 1 / rate, GOAL, f"{rate:.2f} × the throughput"),
        ("engine's share of workers × wall time, warm, %", 100 * fmean(two.steady_overhead for two in twos), 3, steady),
        (f"the same in {STUDY_RUNS} runs, with start-up", 100 * fmean(map(overhead_of_a_study, twos)), 3, whole),
    ]
