"""Show the progress of a running study: a live display on a terminal, plain lines elsewhere; torch-free."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from balora.errors import printable
from balora.progress import Progress, time_left
from balora.study.engine.pretraining import PlannedModel
from balora.study.engine.watcher import Watcher, Work
from balora.study.plan.blocks import counted
from balora.study.plan.plan import PlannedRun
from balora.training.record import RunRecord, scores_in_words

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SHORTEST, LONGEST, SHARE = 4.0, 60.0, 1 / 60
"""Plain output prints a line of progress after this share of the time gone, in seconds at least and at most these."""


class Tally:
    """Counts finished runs (or models) and estimates the time left."""

    def __init__(self, todo: Sequence[Work], workers: int, noun: str = "runs") -> None:
        self.total, self.done, self.failed, self.noun = len(todo), 0, 0, noun
        self._start, self.workers = time.monotonic(), workers
        self._at_once = workers  # more where a worker trains several runs together, each of which takes longer
        self._waiting: dict[str, int] = {}
        for work in todo:
            self._waiting[work.task] = self._waiting.get(work.task, 0) + 1
        self._started: dict[str, float] = {}
        self._seconds: dict[str, list[float]] = {}

    def job_started(self, work: Work) -> None:
        self._started[work.id] = time.monotonic()
        self._at_once = max(self._at_once, len(self._started))

    def job_finished(self, work: Work, record: RunRecord | None = None) -> float:
        """Count a run (or a model, which has no record) and return the seconds it took."""
        seconds = time.monotonic() - self._started.pop(work.id, time.monotonic())
        self.done += 1
        self.failed += record is not None and record.status != "ok"
        self._waiting[work.task] -= 1
        self._seconds.setdefault(work.task, []).append(seconds)
        return seconds

    def elapsed(self) -> float:
        """Return the seconds since the work started."""
        return time.monotonic() - self._start

    def left(self) -> float | None:
        """Return the estimated seconds left; None before the first run has finished."""
        spent = sum(time.monotonic() - start for start in self._started.values())
        return time_left(self._waiting, self._seconds, spent, self._at_once)


def clock(seconds: float | None) -> str:
    """Return ``1:02:03`` or ``2:03``; ``–`` for None."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def status(tally: Tally) -> str:
    """Return a line with the counts and times of all the work."""
    failed = f", {tally.failed} failed" if tally.failed else ""
    times = f"{clock(tally.elapsed())} gone · about {clock(tally.left())} left"
    return f"{tally.done}/{tally.total} {tally.noun}{failed} · {times}"


def describe(work: Work, progress: Progress | None) -> str:
    """Return a line on a run, or a model, that is under way."""
    if progress is None:
        return f"{work.label} · starting"
    loss = f" · loss {progress.loss:.3f}" if progress.loss is not None else ""
    steps = f" {progress.step}/{progress.steps}" if progress.steps else ""
    if isinstance(work, PlannedModel):
        return f"{work.label}:{steps}{loss}"
    return f"{work.label} · {progress.phase}{steps}{loss}"


class PlainWatcher:
    """Prints a line for every finished run, and a line of progress if none has finished for a while."""

    def __init__(self, write: "Console") -> None:
        self._console = write
        self._start = self._printed = time.monotonic()

    def message(self, line: str) -> None:
        self._print(line)

    def pretraining_started(self, models: Sequence[PlannedModel], workers: int) -> None:
        self.tally = Tally(models, workers, "models pre-trained")
        self._print(announcement(len(models), workers))

    def runs_started(self, todo: Sequence[PlannedRun], skipped: int, failed_before: int, workers: int) -> None:
        self.tally = Tally(todo, workers)
        self._print(opening(len(todo), skipped, failed_before, workers))

    def job_started(self, work: Work) -> None:
        self.tally.job_started(work)

    def job_progress(self, work: Work, progress: Progress) -> None:
        if self._is_due():
            self._print(f"  {describe(work, progress)}")

    def model_finished(self, model: PlannedModel) -> None:
        seconds = self.tally.job_finished(model)
        self._print(f"{status(self.tally)} · {model.label} in {seconds:.1f} s")

    def run_finished(self, run: PlannedRun, record: RunRecord) -> None:
        seconds = self.tally.job_finished(run, record)
        self._print(f"{status(self.tally)} · {result(run, record)} in {seconds:.1f} s")

    def idle(self) -> None:
        if self._is_due():
            self._print(status(self.tally))

    def _is_due(self) -> bool:
        now = time.monotonic()
        return now - self._printed > max(SHORTEST, min(LONGEST, SHARE * (now - self._start)))

    def _print(self, line: str) -> None:
        self._printed = time.monotonic()
        self._console.print(printable(line), markup=False, emoji=False, highlight=False, soft_wrap=True)


class LiveWatcher:
    """Shows a bar over all runs and a line for each one under way; redrawn four times a second."""

    def __init__(self, console: "Console") -> None:
        from rich.spinner import Spinner

        self._console = console
        self._spinner = Spinner("dots")
        self._under_way: dict[str, tuple[Work, Progress | None]] = {}
        self.tally = Tally((), 1)

    def message(self, line: str) -> None:
        self._print(line)

    def pretraining_started(self, models: Sequence[PlannedModel], workers: int) -> None:
        self.tally = Tally(models, workers, "models pre-trained")
        self._print(announcement(len(models), workers))

    def runs_started(self, todo: Sequence[PlannedRun], skipped: int, failed_before: int, workers: int) -> None:
        self.tally = Tally(todo, workers)
        self._print(opening(len(todo), skipped, failed_before, workers))

    def job_started(self, work: Work) -> None:
        self.tally.job_started(work)
        self._under_way[work.id] = (work, None)

    def job_progress(self, work: Work, progress: Progress) -> None:
        self._under_way[work.id] = (work, progress)

    def model_finished(self, model: PlannedModel) -> None:
        self.tally.job_finished(model)
        self._under_way.pop(model.id, None)

    def run_finished(self, run: PlannedRun, record: RunRecord) -> None:
        self.tally.job_finished(run, record)
        self._under_way.pop(run.id, None)
        if record.status != "ok":
            self._print(result(run, record))

    def idle(self) -> None:
        """The display redraws itself."""

    def _print(self, line: str) -> None:
        self._console.print(printable(line), markup=False, emoji=False, highlight=False)

    def __rich__(self) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        under_way = [printable(describe(work, progress)) for work, progress in list(self._under_way.values())]
        lines = [Text(f"  {line}", overflow="ellipsis", no_wrap=True) for line in under_way]
        self._spinner.update(text=status(self.tally))
        return Group(ProgressBar(total=max(1, self.tally.total), completed=self.tally.done), self._spinner, *lines)


def announcement(models: int, workers: int) -> str:
    """Return the first line if models have to be pre-trained."""
    return (
        f"{models} of the testbed's models {'has' if models == 1 else 'have'} to be pre-trained first, about a minute "
        f"each, with {counted(workers, 'worker')}; they are cached for later studies"
    )


def opening(todo: int, skipped: int, failed_before: int, workers: int) -> str:
    """Return the line printed before the runs: how many there are to do."""
    parts = [f"{counted(todo, 'run')} to do with {counted(workers, 'worker')}"]
    parts += [f"{skipped} finished before"] if skipped else []
    parts += [f"{failed_before} failed before (--retry-failed runs them again)"] if failed_before else []
    return ", ".join(parts)


def result(run: PlannedRun, record: RunRecord) -> str:
    """Return a line on a finished run."""
    if record.status == "ok":
        return f"{run.label}: {scores_in_words(record.scores)}" if record.scores else run.label
    reason = f"{record.error.kind}: {record.error.message}" if record.error else record.status
    return f"{run.label}: FAILED: {reason}"


@contextmanager
def show_progress() -> Iterator[Watcher]:
    """Show a study's progress on stderr while the block runs: live on a terminal, otherwise in plain lines."""
    from rich.console import Console

    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield PlainWatcher(console)
        return
    from rich.live import Live

    watcher = LiveWatcher(console)
    with Live(watcher, console=console, refresh_per_second=4, transient=True):
        yield watcher
