"""What a person sees while a study runs."""

import io

import fakes
import pytest

from balora.progress import Progress
from balora.study.design.reading import find_study
from balora.study.engine import display
from balora.study.engine.display import PlainWatcher, Tally, clock, describe, opening, result
from balora.study.plan.plan import Choices, PlannedRun, make_plan
from balora.study.plan.suites import Tasks
from balora.training.record import RunError


@pytest.fixture
def runs() -> tuple[PlannedRun, ...]:
    tasks = Tasks(("cola", "gsm8k"), ())
    return make_plan(find_study("formulation-swap"), Choices("m", seeds=1), tasks, fakes.fingerprints).runs


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that is turned by hand."""
    time = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: time[0])
    return time


def test_time_left_follows_what_each_task_took(runs: tuple[PlannedRun, ...], now: list[float]) -> None:
    tally = Tally(runs, workers=2)
    assert tally.left() is None
    tally.job_started(runs[0])
    now[0] += 4
    tally.job_finished(runs[0], fakes.record_of(runs[0].spec))
    assert tally.left() == pytest.approx(7 * 4 / 2), "an unknown task is taken for the usual one"
    gsm8k = runs[4]
    tally.job_started(gsm8k)
    now[0] += 10
    assert tally.left() == pytest.approx((7 * 4 - 10) / 2), "what is under way has begun to count"
    tally.job_finished(gsm8k, fakes.record_of(gsm8k.spec, status="failed", score=None))
    assert tally.left() == pytest.approx((3 * 4 + 3 * 10) / 2)
    assert display.status(tally) == "2/8 runs, 1 failed · 0:14 gone · about 0:21 left"


def test_runs_together_take_no_longer_in_all(runs: tuple[PlannedRun, ...], now: list[float]) -> None:
    """One worker trains four runs in the time of four: as many again are left, and take as long."""
    tally = Tally(runs, workers=1)
    for run in runs[:4]:
        tally.job_started(run)
    now[0] += 20
    for run in runs[:4]:
        tally.job_finished(run, fakes.record_of(run.spec))
    assert tally.left() == pytest.approx(20)


def test_plain_lines_never_stand_still(runs: tuple[PlannedRun, ...], now: list[float]) -> None:
    from rich.console import Console

    page = io.StringIO()
    watcher = PlainWatcher(Console(file=page, width=40))
    watcher.runs_started(runs, 2, 1, 2)
    watcher.job_started(runs[0])
    watcher.job_progress(runs[0], Progress("train", 1, 20, 0.5))
    watcher.idle()
    now[0] += 31
    watcher.job_progress(runs[0], Progress("train", 2, 20, 0.5))
    now[0] += 31
    watcher.idle()
    watcher.idle()
    watcher.run_finished(runs[0], fakes.record_of(runs[0].spec, score=12.5))
    assert page.getvalue().splitlines() == [
        "8 runs to do with 2 workers, 2 finished before, 1 failed before (--retry-failed runs them again)",
        "  ba-lora · cola · seed 42 · train 2/20 · loss 0.500",
        "0/8 runs · 1:02 gone · about – left",
        "1/8 runs · 1:02 gone · about 3:37 left · ba-lora · cola · seed 42: 12.50 in 62.0 s",
    ]


def test_times_and_runs_are_described_in_one_line(runs: tuple[PlannedRun, ...]) -> None:
    assert [clock(seconds) for seconds in (None, 0, 61, 3723)] == ["–", "0:00", "1:01", "1:02:03"]
    assert opening(1, 0, 0, 1) == "1 run to do with 1 worker"
    assert describe(runs[0], None) == "ba-lora · cola · seed 42 · starting"
    assert describe(runs[0], Progress("load", 0, 0)) == "ba-lora · cola · seed 42 · load"
    failed = fakes.record_of(runs[0].spec, status="failed", score=None, error=RunError(kind="E", message="m"))
    assert result(runs[0], failed) == "ba-lora · cola · seed 42: FAILED: E: m"


def test_a_terminal_shows_every_run_under_way(runs: tuple[PlannedRun, ...]) -> None:
    from rich.console import Console

    page = io.StringIO()
    console = Console(file=page, width=100, force_terminal=True, color_system=None)
    watcher = display.LiveWatcher(console)
    watcher.runs_started(runs, 0, 0, 2)
    watcher.job_started(runs[0])
    watcher.job_started(runs[1])
    watcher.job_progress(runs[1], Progress("evaluate", 3, 9, 1.25))
    watcher.run_finished(runs[0], fakes.record_of(runs[0].spec))
    page.truncate(0)
    console.print(watcher)
    assert "1/8 runs" in page.getvalue()
    assert "swapped · cola · seed 42 · evaluate 3/9 · loss 1.250" in page.getvalue()
    assert "ba-lora · cola" not in page.getvalue()
