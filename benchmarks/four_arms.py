"""Measure a study of four arms on a testbed decoder: the runs one after another, and side by side on one device."""

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

from balora.study.plan.prepare import prepare
from benchmarks.engine import Measured, measured
from benchmarks.results import Row

STUDY, PROFILE, SUITE = "pissa-initialization", "glance", "nlg"
ARMS = ("ba-lora", "standard-initialization", "no-regularizers", "plain-lora")
"""Both starts, with and without the regularizers."""


def study_rows(workers: int = len(ARMS), settings: Mapping[str, Any] | None = None) -> Iterator[Row]:
    """Give the rows: the wall time of all runs, and the seconds of one, with ``workers`` processes and with one."""
    plan = prepare(STUDY, profile=PROFILE, seeds=1, suites=[SUITE], settings=settings)
    only = [run.id for run in plan.distinct if run.arm in ARMS]
    alone, beside = (measured(plan, count, only) for count in (1, workers))
    runs = f"{len(only)} testbed runs of profile {PROFILE}"
    walls = f"{alone.wall:.1f} s and {beside.wall:.1f} s, with start-up"
    yield Row(f"{runs}: {workers} processes ÷ one, wall time", beside.wall / alone.wall, None, walls)
    seconds = _seconds(alone), _seconds(beside)
    what = f"… a run's own seconds, beside {workers - 1} others ÷ alone"
    yield Row(what, seconds[1] / seconds[0], None, f"{seconds[0]:.1f} s and {seconds[1]:.1f} s")


def _seconds(measured: Measured) -> float:
    return fmean(span.seconds for span in measured.spans)
