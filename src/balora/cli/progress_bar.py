"""Showing a run's signs of life: a bar on a terminal, now and then a plain line elsewhere; always on stderr."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from balora.progress import OnProgress
from balora.progress import Progress as Sign

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def shown() -> Iterator[OnProgress]:
    """Give the callable that shows progress, as fits where stderr goes."""
    if sys.stderr.isatty():
        with _bar() as bar:
            yield _Bars(bar)
    else:
        yield Lines()


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


class _Bars:
    """One bar a phase."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._phases: dict[str, TaskID] = {}

    def __call__(self, sign: Sign) -> None:
        if sign.phase not in self._phases:
            for task in self._bar.tasks:  # what is behind is done
                self._bar.update(task.id, completed=task.total)
            self._phases[sign.phase] = self._bar.add_task(sign.phase, loss="")
        self._bar.update(self._phases[sign.phase], completed=sign.step, total=sign.steps, loss=_loss(sign))


class Lines:
    """A plain line at the start and the end of each phase, and every few seconds in between."""

    def __init__(self) -> None:
        self._phase = ""
        self._began = self._last = 0.0

    def __call__(self, sign: Sign) -> None:
        if sign.steps <= 1:
            return  # loading and saving: over at once, and a refusal stays the only line
        now = time.monotonic()
        if sign.phase != self._phase:
            self._phase, self._began, left = sign.phase, now, ""
        elif sign.step < sign.steps and now - self._last < SECONDS_BETWEEN_LINES:
            return
        else:
            left = _left(sign, now - self._began)
        self._last = now
        print(f"{sign.phase} {sign.step}/{sign.steps}{_loss(sign)}{left}", file=sys.stderr, flush=True)


def _left(sign: Sign, elapsed: float) -> str:
    if not 0 < sign.step < sign.steps:
        return ""
    return f", about {elapsed / sign.step * (sign.steps - sign.step):.0f} s left"


def _loss(sign: Sign) -> str:
    return f" loss {sign.loss:.4f}" if sign.loss is not None else ""
