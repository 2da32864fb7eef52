"""Make `docs/calibration.md` and its plots from the saved figures; a part without figures reads "Not measured yet."."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from balora.report.records.rate_sheets import method_name
from balora.settings import Family
from balora.study.plan.rates import Merit
from balora.study.plan.testbed_profiles import RATES
from balora.tasks.catalogue import find_task
from balora.tasks.testbed.testbed_tasks import NLG, NLU
from calibration import noise, plots, rates
from calibration.dose import DIALS
from calibration.study import SECONDS, headroom_of

DOCS = Path("docs")
FIGURES = DOCS / "figures"
SUITES: dict[Family, tuple[str, ...]] = {"nlu": NLU, "nlg": NLG}
WANTED_SHARE = (0.3, 0.9)
WANTED_HALF_WIDTH = 2.0
Row = Mapping[str, Any]

HEAD = """# Calibration: what the testbed can show

Read here what a study on the testbed can show before you trust one: how much room its tasks leave, how strongly its
dials act, and how precise differences between arms are. `python -m calibration` measures the testbed, saves the figures
in `calibration/results` and makes this page from them. The page shows every figure, whether it meets its goal or not.
A block is a pre-training seed together with a fine-tuning seed. Points are of 100. The parts on doses and on the
weights were measured before the profiles had a long warm-up (now 30 %, then 3 %) and small steps for generation.
"""


def write(results: Path) -> None:
    """Write the page and its plots."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    figures = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))}
    if {"rates", "study"} <= set(figures):
        figures["study"]["headroom"] += _headroom_from_grid(figures["study"]["headroom"], figures["rates"])
    parts = [HEAD]
    for title, name, draw in (
        ("Learning rates", "rates", _rates),
        ("How far fine-tunings differ", "noise", _noise),
        ("Dose and response", "dose", _doses),
        ("Head-room", "study", _headroom),
        ("Precision", "study", _precision),
        ("What a run takes", "study", _costs),
        ("The weights of the regularizers", "weights", _weights),
    ):
        body = "\n".join(draw(figures[name])) if name in figures else "Not measured yet."
        parts.append(f"## {title}\n\n{body}\n")
    (DOCS / "calibration.md").write_text("\n".join(parts), encoding="utf-8")


def _rates(figures: Row) -> Iterator[str]:
    """Yield the average of every start over the grid with what it is judged by, and draw the methods."""
    plots.rates(_averaged(figures), FIGURES / "rates.svg")
    yield (
        "We ran every start of the adapter, with and without the regularizers, over the same rates, with all "
        f"eight tasks, {figures['blocks']} blocks (pre-trained models and fine-tuning seeds that no study uses) "
        "and the steps of the profile `standard`. A cell shows the mean over the blocks of the two methods with "
        "that start ± the standard deviation over the blocks, after what a block does to all of its runs alike "
        "was taken off. For each family and each start, studies use the rate with the highest mean less one "
        "standard deviation, which is **bold**: a rate at the edge of where training breaks has a high mean on "
        "lucky blocks and a large spread. With and without regularizers a start has the same rate, so an ablation "
        "of the regularizers changes nothing else.\n"
    )
    for family in SUITES:
        grid, chosen = figures["grids"][family], figures["rates"][family]
        yield from _table(
            ["family", "start", *(f"{rate:g}" for rate in grid)],
            [
                [f"{family.upper()} Avg", start, *_merit_cells(merits, grid, chosen[start])]
                for start, merits in rates.merit_rows(figures, family)
            ],
        )
        yield ""
    yield "![Average score over the learning rate, by method](figures/rates.svg)"


def _merit_cells(merits: Sequence[Merit], grid: Sequence[float], chosen: float) -> Iterator[str]:
    by_rate = {merit.rate: merit for merit in merits}
    for rate in grid:
        if rate not in by_rate:
            yield "failed"
            continue
        cell = f"{by_rate[rate].mean:.1f} ± {by_rate[rate].spread:.1f}"
        yield f"**{cell}**" if rate == chosen else cell


def _averaged(figures: Row) -> list[dict[str, Any]]:
    """Return the mean over the blocks of every method at every rate."""
    values: dict[tuple[str, str, float], list[float]] = {}
    for point in figures["points"]:
        key = (f"{point['family'].upper()} Avg", method_name(point["start"], point["regularized"]), point["rate"])
        values.setdefault(key, []).append(point["value"])
    return [
        {"family": family, "method": method, "rate": rate, "score": fmean(found)}
        for (family, method, rate), found in values.items()
    ]


def _noise(figures: Row) -> Iterator[str]:
    """Yield how the paired differences spread under each setting of the training."""
    yield (
        "We fine-tuned plain LoRA and BA-LoRA on all tasks of a family under several settings of the training "
        f"in {figures['blocks']} blocks on {figures['models']} pre-trained models that no study uses. "
        "The spread is the standard deviation over the blocks of the paired difference of the family's average, and in "
        "brackets that between fine-tunings of one model. Settings are judged by this spread and by their time, not by "
        "which method leads. The setting of the profiles is **bold**.\n"
    )
    used = {(setting.family, setting.words) for setting in noise.SETTINGS if setting.is_used}
    yield from _table(
        ["family", "setting", "plain LoRA", "BA-LoRA", "spread", "half-width of 8 blocks"],
        [
            [f"{row['family'].upper()} Avg", f"{bold}{row['setting']}{bold}", f"{row['lora']:.1f}",
             f"{row['ba-lora']:.1f}", f"{row['spread']:.1f} ({row['within']:.1f})", f"{row['half_width']:.1f}"]
            for row in figures["rows"]
            for bold in ("**" if (row["family"], row["setting"]) in used else "",)
        ],
    )  # fmt: skip


def _doses(figures: Row) -> Iterator[str]:
    yield (
        "We fine-tuned plain LoRA with one dial turned and the other two at 0, on 3 pre-trained models × 3 "
        "fine-tunings for every cell. A cell shows the mean over all nine ± the standard deviation between the three "
        "pre-trainings, and in brackets the standard deviation within them, over fine-tunings. *Rises* or *falls* "
        "means that every step goes that way. The last column divides the whole way from the first dose to the last by "
        "the larger of the two standard deviations between pre-trainings at these doses."
    )
    for dial in DIALS:
        rows = [row for row in figures["rows"] if row["dial"] == dial.name]
        if not rows:
            continue
        plots.doses(rows, FIGURES / f"dose-{dial.name}.svg")
        cue = "".join(f" ({key} {value:g} in fine-tuning)" for key, value in dial.data.items())
        yield f"\n### {dial.name}{cue}\n"
        keys = list(dict.fromkeys((row["task"], row["measure"]) for row in rows))
        yield from _table(
            ["task", "measure", *(f"{dose:g}" for dose in dial.doses), "order", "whole way ÷ spread"],
            [_dose_row([row for row in rows if (row["task"], row["measure"]) == key]) for key in keys],
        )
        yield f"\n![Response to {dial.name}](figures/dose-{dial.name}.svg)"


def _dose_row(rows: Sequence[Row]) -> list[str]:
    cells = [f"{row['mean']:.3f} ± {row['sd_pretraining']:.3f} ({row['sd_fine_tuning']:.3f})" for row in rows]
    steps = [b["mean"] - a["mean"] for a, b in pairwise(rows)]
    order = "rises" if min(steps) > 0 else "falls" if max(steps) < 0 else "not monotone"
    spread = max(rows[0]["sd_pretraining"], rows[-1]["sd_pretraining"])
    ratio = (rows[-1]["mean"] - rows[0]["mean"]) / spread if spread else float("inf")
    return [rows[0]["task"], rows[0]["measure"], *cells, order, f"{ratio:+.1f}"]


def _headroom_from_grid(shown: Sequence[Row], grid: Row) -> list[Row]:
    """Return the head-room of the tasks that no study ran, from the grid's runs at the rates that studies use."""
    missing = [task for tasks in SUITES.values() for task in tasks if task not in {row["task"] for row in shown}]
    chosen = {task: RATES[find_task(task).family]["standard"] for task in missing}
    scores = {task: grid["lora"][task][f"{rate:g}"] for task, rate in chosen.items()}
    return [headroom_of(task, score, None, grid["blocks"]) for task, score in scores.items()]


def _headroom(figures: Row) -> Iterator[str]:
    low, high = WANTED_SHARE
    yield (
        "The table shows how far plain LoRA gets from a guess to the best score, which is 100 points, because every "
        f"task can be solved from what its rows hold. We want it to get {low:.0%} to {high:.0%} of the way. Rows "
        "without an SD come from the grid of learning rates.\n"
    )
    rows = {row["task"]: row for row in figures["headroom"]}.values()
    yield from _table(
        ["task", "guess", "plain LoRA", "SD over blocks", "blocks", "share of the way", "as wanted"],
        [_headroom_row(row) for row in rows],
    )


def _headroom_row(row: Row) -> list[str]:
    low, high = WANTED_SHARE
    spread = "–" if row["sd"] is None else f"{row['sd']:.1f}"
    within = "yes" if low <= row["way"] <= high else "**no**"
    scores = [f"{row['chance']:.1f}", f"{row['score']:.1f}", spread]
    return [row["task"], *scores, str(row["blocks"]), f"{row['way']:.0%}", within]


def _precision(figures: Row) -> Iterator[str]:
    yield (
        "The table shows the half-widths of the 95 % intervals of paired differences to BA-LoRA, and how many blocks "
        "would bring each down to 1 point if the spread stayed as it is. With 8 blocks we want "
        f"{WANTED_HALF_WIDTH:g} points or less.\n"
    )
    yield from _table(
        ["study", "arm", "measure", "blocks", "half-width", "as wanted", "blocks for 1 point"],
        [
            [row["study"], row["arm"], row["measure"], str(row["blocks"]), f"{row['half_width']:.2f}",
             "yes" if row["half_width"] <= WANTED_HALF_WIDTH else "**no**", str(row["blocks_for_a_point"])]
            for row in figures["precision"]
        ],
    )  # fmt: skip


def _costs(figures: Row) -> Iterator[str]:
    yield (
        "The table shows the seconds of a run in a warm worker with one thread, as the mean over all arms. These "
        "studies measured them while every core ran a worker. Scoring includes the answers, their loss and the "
        "measures of inheritance.\n"
    )
    yield from _table(
        ["task", "runs", "set-up", "training steps", "scoring", "total", "share of steps"],
        [_cost_row(row, [row[key] for key in SECONDS]) for row in figures["costs"]],
    )


def _cost_row(row: Row, seconds: Sequence[float]) -> list[str]:
    each = [f"{second:.2f}" for second in seconds]
    return [row["task"], str(row["runs"]), *each, f"{sum(seconds):.2f}", f"{row['train_seconds'] / sum(seconds):.0%}"]


def _weights(figures: Row) -> Iterator[str]:
    yield (
        "We ran BA-LoRA with the published weights times 0, 1, 10 and 100, in "
        f"{figures['blocks']} paired blocks, on the tasks {', '.join(figures['tasks'])}. A cell shows the mean, and "
        "in brackets the paired difference to × 0 with its 95 % interval, which is not corrected for the number of "
        "comparisons. A difference is **bold** if its interval leaves out 0. Scores are in points; docs/testbed.md "
        "defines the other measures.\n"
    )
    keys = list(dict.fromkeys((row["family"], row["measure"]) for row in figures["rows"]))
    factors = list(dict.fromkeys(row["factor"] for row in figures["rows"]))
    cells = {(row["family"], row["measure"], row["factor"]): _weight_cell(row) for row in figures["rows"]}
    yield from _table(
        ["family", "measure", *(f"× {factor}" for factor in factors)],
        [[family, measure, *(cells[family, measure, factor] for factor in factors)] for family, measure in keys],
    )


def _weight_cell(row: Row) -> str:
    digits = 1 if row["measure"] == "score" else 3
    mean, paired = f"{row['mean']:.{digits}f}", row["paired"]
    if paired is None:
        return mean
    low, high = (f"{paired[end]:+.{digits}f}" for end in ("low", "high"))
    clear = "**" if paired["low"] > 0 or paired["high"] < 0 else ""
    return f"{mean} ({clear}{paired['mean']:+.{digits}f}{clear}, {low} to {high})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
