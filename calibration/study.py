"""Read head-room, precision and the cost of a run from the folders of finished studies."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from statistics import fmean
from typing import Any

from balora.report.records.report import Report, read_report
from balora.study.store.study_folder import read_runs, read_study_record
from balora.tasks.catalogue import find_task
from balora.tasks.guesses import guess_score
from balora.training.record import Cost

BEST = 100.0
"""The best score: every task can be solved from what its rows hold."""
SECONDS = ("setup_seconds", "train_seconds", "eval_seconds")
WANTED = 1.0
"""The difference, in points, for which the number of blocks is stated."""


def measure(folders: Sequence[Path]) -> dict[str, Any]:
    """Return head-room of plain LoRA, half-widths of paired differences and costs, over the folders of all studies."""
    reports = [read_report(folder) for folder in folders]
    return {
        "headroom": [row for report in reports for row in headroom(report)],
        "precision": [row for report in reports for row in precision(report)],
        "costs": costs(folders),
    }


def costs(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the seconds of a run of each task, as the mean over the runs of all arms."""
    spent: dict[str, list[Cost]] = {}
    for folder in folders:
        runs, _ = read_runs(folder, read_study_record(folder))
        for run in runs.values():
            spent.setdefault(run.spec.task, []).append(run.cost)
    return [
        {"task": task, "runs": len(each), **{key: fmean(getattr(cost, key) for cost in each) for key in SECONDS}}
        for task, each in spent.items()
    ]


def headroom(report: Report) -> list[dict[str, Any]]:
    """Return, for every task, how far plain LoRA gets from a guess to the best score."""
    return [
        headroom_of(task, score.mean, score.sd, score.n)
        for arm in report.arms
        if arm.method == "lora"
        for task, score in arm.tasks.items()
        if score.mean is not None
    ]  # fmt: skip


def headroom_of(task: str, score: float, sd: float | None, blocks: int) -> dict[str, Any]:
    """Return how far ``score`` points of ``task`` lie on the way from a guess (0) to the best score (1)."""
    chance = guess_score(find_task(task))
    return {
        "task": task, "chance": chance, "score": score, "sd": sd, "blocks": blocks,
        "way": (score - chance) / (BEST - chance),
    }  # fmt: skip


def precision(report: Report) -> list[dict[str, Any]]:
    """Return the half-width of every paired difference of an average, and the blocks that bring it to 1 point."""
    rows = []
    for difference in report.differences:
        paired = difference.paired
        if paired.low is None or paired.high is None or not difference.measure.endswith("_avg"):
            continue
        half = (paired.high - paired.low) / 2
        rows.append(
            {"study": report.study, "arm": difference.arm, "measure": difference.measure, "blocks": paired.n,
             "half_width": half, "blocks_for_a_point": blocks_for(half, paired.n, WANTED)}
        )  # fmt: skip
    return rows


def blocks_for(half_width: float, blocks: int, wanted: float) -> int:
    """Return how many blocks bring a t-interval's half-width down to ``wanted`` if the spread stays equal."""
    from scipy.stats import t

    def width(n: int) -> float:
        return half_width * float(t.ppf(0.975, n - 1)) / (n / blocks) ** 0.5 / float(t.ppf(0.975, blocks - 1))

    n = max(2, ceil(blocks * (half_width / wanted) ** 2))
    while n > 2 and width(n - 1) <= wanted:
        n -= 1
    while width(n) > wanted:
        n += 1
    return n
