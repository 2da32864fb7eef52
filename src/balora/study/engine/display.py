"""What a person sees while a study runs: a live display on a terminal, plain lines elsewhere; torch-free."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from balora.progress import Progress
from balora.study.engine.pretraining import PlannedModel
from balora.study.engine.watcher import Watcher, Work
from balora.study.plan.plan import PlannedRun
from balora.training.record import RunRecord

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SHORTEST, LONGEST, SHARE = 4.0, 60.0, 1 / 60
"""Plain output gives a sign of life after this share of the time gone, and these seconds at least and at most."""

MODELS = "models pre-trained"


class Tally:
    """Counts runs (or models) and estimates the time left from what each task has taken so far."""

    def __init__(self, todo: Sequence[Work], workers: int, noun: str = "runs") -> None:
        self.total, self.done, self.failed, self.noun = len(todo), 0, 0, noun
        self.began, self.workers = time.monotonic(), workers
        self._waiting: dict[str, int] = {}
        for work in todo:
            self._waiting[work.task] = self._waiting.get(work.task, 0) + 1
        self._started: dict[str, float] = {}
        self._seconds: dict[str, list[float]] = {}

    def started(self, work: Work) -> None:
        self._started[work.id] = time.monotonic()

    def ended(self, work: Work, record: RunRecord | None = None) -> float:
        """Count a run (or a model, which has no record) and return the seconds it took."""
        seconds = time.monotonic() - self._started.pop(work.id, time.monotonic())
        self.done += 1
        self.failed += record is not None and record.status != "ok"
        self._waiting[work.task] -= 1
        self._seconds.setdefault(work.task, []).append(seconds)
        return seconds

    def elapsed(self) -> float:
        """Return the seconds since the work began."""
        return time.monotonic() - self.began

    def left(self) -> float | None:
        """Return the estimated seconds left; none before the first run has ended."""
        known = [seconds for group in self._seconds.values() for seconds in group]
        if not known:
            return None
        usual = sum(known) / len(known)
        each = {task: sum(group) / len(group) for task, group in self._seconds.items()}
        work = sum(number * each.get(task, usual) for task, number in self._waiting.items())
        spent = sum(time.monotonic() - start for start in self._started.values())
        return max(0.0, work - spent) / self.workers


def clock(seconds: float | None) -> str:
    """Return ``1:02:03`` or ``2:03``; ``–`` for none."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def status(tally: Tally) -> str:
    """Return one line on all the work."""
    failed = f", {tally.failed} failed" if tally.failed else ""
    times = f"{clock(tally.elapsed())} gone · about {clock(tally.left())} left"
    return f"{tally.done}/{tally.total} {tally.noun}{failed} · {times}"


def describe(work: Work, progress: Progress | None) -> str:
    """Return one line on what is under way."""
    if progress is None:
        return f"{work.label} · starting"
    loss = f" · loss {progress.loss:.3f}" if progress.loss is not None else ""
    steps = f" {progress.step}/{progress.steps}" if progress.steps else ""
    if isinstance(work, PlannedModel):
        return f"{work.label}:{steps}{loss}"
    return f"{work.label} · {progress.phase}{steps}{loss}"


class PlainWatcher:
    """One line a finished run, and a sign of life where none finishes for a while."""

    def __init__(self, write: "Console") -> None:
        self._console = write
        self._began = self._last = time.monotonic()

    def noted(self, line: str) -> None:
        self._say(line)

    def pretraining(self, models: Sequence[PlannedModel], workers: int) -> None:
        self.tally = Tally(models, workers, MODELS)
        self._say(announcement(len(models), workers))

    def began(self, todo: Sequence[PlannedRun], skipped: int, left: int, workers: int) -> None:
        self.tally = Tally(todo, workers)
        self._say(opening(len(todo), skipped, left, workers))

    def started(self, work: Work) -> None:
        self.tally.started(work)

    def told(self, work: Work, progress: Progress) -> None:
        if self._is_due():
            self._say(f"  {describe(work, progress)}")

    def pretrained(self, model: PlannedModel) -> None:
        seconds = self.tally.ended(model)
        self._say(f"{status(self.tally)} · {model.label} in {seconds:.1f} s")

    def ended(self, run: PlannedRun, record: RunRecord) -> None:
        seconds = self.tally.ended(run, record)
        self._say(f"{status(self.tally)} · {result(run, record)} in {seconds:.1f} s")

    def idle(self) -> None:
        if self._is_due():
            self._say(status(self.tally))

    def _is_due(self) -> bool:
        now = time.monotonic()
        return now - self._last > max(SHORTEST, min(LONGEST, SHARE * (now - self._began)))

    def _say(self, line: str) -> None:
        self._last = time.monotonic()
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class LiveWatcher:
    """A bar over all runs and a line for each one under way; redrawn four times a second, told or not."""

    def __init__(self, console: "Console") -> None:
        from rich.spinner import Spinner

        self._console = console
        self._spinner = Spinner("dots")
        self._under_way: dict[str, tuple[Work, Progress | None]] = {}
        self.tally = Tally((), 1)

    def noted(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False)

    def pretraining(self, models: Sequence[PlannedModel], workers: int) -> None:
        self.tally = Tally(models, workers, MODELS)
        self._console.print(announcement(len(models), workers), markup=False, highlight=False)

    def began(self, todo: Sequence[PlannedRun], skipped: int, left: int, workers: int) -> None:
        self.tally = Tally(todo, workers)
        self._console.print(opening(len(todo), skipped, left, workers), markup=False, highlight=False)

    def started(self, work: Work) -> None:
        self.tally.started(work)
        self._under_way[work.id] = (work, None)

    def told(self, work: Work, progress: Progress) -> None:
        self._under_way[work.id] = (work, progress)

    def pretrained(self, model: PlannedModel) -> None:
        self.tally.ended(model)
        self._under_way.pop(model.id, None)

    def ended(self, run: PlannedRun, record: RunRecord) -> None:
        self.tally.ended(run, record)
        self._under_way.pop(run.id, None)
        if record.status != "ok":
            self._console.print(result(run, record), markup=False, highlight=False)

    def idle(self) -> None:
        """Nothing to do: the display redraws itself."""

    def __rich__(self) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        under_way = [describe(work, progress) for work, progress in list(self._under_way.values())]
        lines = [Text(f"  {line}", overflow="ellipsis", no_wrap=True) for line in under_way]
        self._spinner.update(text=status(self.tally))
        return Group(ProgressBar(total=max(1, self.tally.total), completed=self.tally.done), self._spinner, *lines)


def announcement(models: int, workers: int) -> str:
    """Return the first line where models are missing."""
    return (
        f"{models} of the testbed's models {'has' if models == 1 else 'have'} to be pre-trained first, about a minute "
        f"each, with {workers} worker{'s' * (workers > 1)}; they are kept for other studies"
    )


def opening(todo: int, skipped: int, left: int, workers: int) -> str:
    """Return the first line: what is to be done."""
    parts = [f"{todo} run{'s' * (todo != 1)} to do with {workers} worker{'s' * (workers > 1)}"]
    parts += [f"{skipped} finished before"] if skipped else []
    parts += [f"{left} failed before (--retry-failed runs them again)"] if left else []
    return ", ".join(parts)


def result(run: PlannedRun, record: RunRecord) -> str:
    """Return one line on a run that ended."""
    if record.status == "ok":
        return run.label if record.score is None else f"{run.label}: {record.score:.2f}"
    reason = f"{record.error.kind}: {record.error.message}" if record.error else record.status
    return f"{run.label}: FAILED: {reason}"


@contextmanager
def watching(live: bool | None = None) -> Iterator[Watcher]:
    """Show a study's progress on stderr while the block runs: live on a terminal, otherwise in plain lines."""
    from rich.console import Console

    console = Console(file=sys.stderr)
    if not (console.is_terminal if live is None else live):
        yield PlainWatcher(console)
        return
    from rich.live import Live

    watcher = LiveWatcher(console)
    with Live(watcher, console=console, refresh_per_second=4, transient=True):
        yield watcher
