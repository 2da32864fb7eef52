"""Show a run's progress on stderr: a bar for each phase on a terminal, a plain line every few seconds elsewhere."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from balora.progress import OnProgress, Progress, time_left

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def show_progress() -> Iterator[OnProgress]:
    """Give the callback that shows progress: as bars if stderr is a terminal, else as lines."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
    with Bars(TextColumn("{task.description:<10}"), *columns, console=Console(stderr=True), transient=True) as bars:
        yield _OnTerminal(bars)


@contextmanager
def shown_by_the_first() -> Iterator[OnProgress]:
    """Give the callback that shows progress in the first process that a launcher has started, and nothing in others."""
    if os.environ.get("RANK", "0") != "0":
        yield lambda now: None
        return
    with show_progress() as on_progress:
        yield on_progress


class _OnTerminal:
    """Shows one bar for each phase."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._phases: dict[str, TaskID] = {}

    def __call__(self, now: Progress) -> None:
        if now.phase not in self._phases:
            for earlier in self._bars.tasks:  # an earlier phase is complete
                self._bars.update(earlier.id, completed=earlier.total)
            self._phases[now.phase] = self._bars.add_task(now.phase, loss="")
        self._bars.update(self._phases[now.phase], completed=now.step, total=now.steps, loss=_loss(now))


class Lines:
    """Prints a line at the start and the end of each phase, and every few seconds in between."""

    def __init__(self) -> None:
        self._phase = ""
        self._phase_start = self._last_line = 0.0

    def __call__(self, now: Progress) -> None:
        if now.steps <= 1:
            return  # loading and saving take a moment; if they fail, the error is to be the only line
        clock = time.monotonic()
        if now.phase != self._phase:
            self._phase, self._phase_start, left = now.phase, clock, ""
        elif now.step < now.steps and clock - self._last_line < SECONDS_BETWEEN_LINES:
            return
        else:
            left = _left(now, clock - self._phase_start)
        self._last_line = clock
        print(f"{now.phase} {now.step}/{now.steps}{_loss(now)}{left}", file=sys.stderr, flush=True)


def _left(now: Progress, elapsed: float) -> str:
    if not 0 < now.step < now.steps:
        return ""
    left = time_left({now.phase: now.steps - now.step}, {now.phase: [elapsed / now.step]}, spent=0, workers=1)
    return f", about {left:.0f} s left"


def _loss(now: Progress) -> str:
    return f" loss {now.loss:.4f}" if now.loss is not None else ""
