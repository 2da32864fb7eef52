"""Measure what a study costs before and after its runs: planning 100,000 of them, reporting on 1,000 and on 10,000.

Records are those of real testbed runs, one a task, written again for each planned run with an outcome of its own.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from balora.study.plan.plan import Plan
from balora.study.plan.prepare import prepare
from balora.study.store.study_folder import describe, opened
from balora.training.record import RunRecord, packed_rows, write_record
from balora.training.run import run

STUDY = "pissa-initialization"
PLANNED, LARGE_STUDY = 100_000, "lambdas"
GOALS = {1_000: 3.0, 10_000: 15.0}
PAGE_MB = 5.0
ROUNDS = 3


def instrument_rows() -> list[tuple[str, float, float, str]]:
    """Return (what, figure, goal, detail) of planning and reporting."""
    balora = str(Path(sys.executable).with_name("balora"))
    rows = [_planning(balora)]
    with tempfile.TemporaryDirectory() as work:
        block = prepare(STUDY, profile="quick", seeds=1)
        templates = _templates(block, Path(work) / "templates")
        for runs, goal in GOALS.items():
            folder = Path(work) / str(runs)
            _write(prepare(STUDY, profile="quick", seeds=runs // len(block.runs)), folder, templates)
            seconds = _seconds([balora, "study", "report", str(folder), "--answer"])
            page = (folder / "report.html").stat().st_size / 1e6
            rows.append((f"`balora study report`, {runs:,} runs, seconds", seconds, goal, f"page {page:.2f} MB"))
            rows.append((f"… its page, MB ({runs:,} runs)", page, PAGE_MB, ""))
    return rows


def _planning(balora: str) -> tuple[str, float, float, str]:
    one = len(prepare(LARGE_STUDY, profile="quick", seeds=1).runs)
    seeds = -(-PLANNED // one)
    seconds = _seconds([balora, "study", "plan", LARGE_STUDY, "--profile", "quick", "--seeds", str(seeds)])
    return "`balora study plan`, 100,000 runs, seconds", seconds, 2.0, f"{LARGE_STUDY}, {one * seeds:,} runs"


def _seconds(command: list[str]) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    return median(taken)


def _templates(plan: Plan, folder: Path) -> dict[str, tuple[RunRecord, bytes]]:
    """Carry out one run for each task; return its record and its recorded steps."""
    made = {}
    for planned in {each.task: each for each in plan.runs}.values():
        record = run(planned.spec, folder / planned.task)
        made[planned.task] = record, (folder / planned.task / "series.jsonl").read_bytes()
    return made


def _write(plan: Plan, folder: Path, templates: dict[str, tuple[RunRecord, bytes]]) -> None:
    """Write a study folder with a record for each planned run."""
    generator = np.random.default_rng(0)
    with opened(folder, describe(plan, "python -m benchmarks instrument")):
        for planned in plan.runs:
            record, series = templates[planned.task]
            outcome = generator.random(record.rows or 1) < 0.8
            place = folder / planned.folder
            place.mkdir(parents=True, exist_ok=True)
            (place / "series.jsonl").write_bytes(series)
            update = {
                "id": planned.id,
                "spec": planned.spec,
                "score": 100 * float(outcome.mean()),
                "correct": packed_rows(outcome.tolist()) if record.correct else None,
            }
            write_record(record.model_copy(update=update), place)
