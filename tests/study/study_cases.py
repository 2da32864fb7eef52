"""Plans that tests carry out with stand-ins for runs, and a watcher that writes down every call."""

from collections.abc import Generator, Sequence
from itertools import chain
from pathlib import Path

import fakes

from balora.progress import Progress
from balora.study.design.reading import find_study
from balora.study.design.study import Study
from balora.study.design.without_testbed import without_own_rates
from balora.study.engine.execute import Outcome, execute
from balora.study.engine.pool import LocalPool
from balora.study.engine.pretraining import PlannedModel
from balora.study.engine.protocol import Event, Job
from balora.study.engine.watcher import Work
from balora.study.engine.worker import carry_out
from balora.study.plan.plan import Choices, Plan, PlannedRun, make_plan
from balora.study.plan.suites import Tasks
from balora.training.record import RunRecord

SMALL = Tasks(("cola", "gsm8k"), ("mnli",))


class Here:
    """A pool that carries out its jobs in this process, one after the other: starting a worker takes a second."""

    workers = 1

    def carry_out(self, stages: Sequence[Sequence[Job]], output: Path, lock: int) -> Generator[Event]:
        for job in chain(*stages):
            yield Event("started", job)
            yield carry_out(job, lambda progress: None)._replace(job=job)


class Notebook:
    """A watcher that writes down what it is called with."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, line: str) -> None:
        self.lines.append(f"message: {line}")

    def pretraining_started(self, models: Sequence[PlannedModel], workers: int) -> None:
        self.lines.append(f"pretraining {len(models)}")

    def model_finished(self, model: PlannedModel) -> None:
        self.lines.append(f"pretrained {model.task}")

    def runs_started(self, todo: Sequence[PlannedRun], skipped: int, failed_before: int, workers: int) -> None:
        self.lines.append(f"runs {len(todo)} {skipped} {failed_before}")

    def job_started(self, work: Work) -> None:
        self.lines.append(f"started {work.label}")

    def job_progress(self, work: Work, progress: Progress) -> None:
        self.lines.append(f"progress {progress.phase}")

    def run_finished(self, run: PlannedRun, record: RunRecord) -> None:
        self.lines.append(f"finished {record.status}")

    def idle(self) -> None:
        pass


def plan_of(tasks: Tasks = SMALL, seeds: int = 1, **choices: object) -> Plan:
    chosen = Choices("m", seeds=seeds, **choices)  # type: ignore[arg-type]
    return make_plan(four_arms(), chosen, tasks, fakes.fingerprints)


def four_arms() -> Study:
    """Return `pissa-initialization` without the arm at the base's learning rate: a plain 2×2."""
    return without_own_rates(find_study("pissa-initialization"))[0]


def go(
    plan: Plan, output: Path, run: object = fakes.quick, workers: int = 0, **options: object
) -> tuple[Outcome, list[str]]:
    """Carry ``plan`` out, in ``workers`` processes or in this one; return the outcome and the watcher's calls."""
    notebook, pool = Notebook(), LocalPool(workers) if workers else Here()
    options = {"pool": pool, "run": run, **options}
    outcome = execute(plan, output, notebook, command="again", **options)  # type: ignore[arg-type]
    return outcome, notebook.lines
