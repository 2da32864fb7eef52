"""`balora compare`: paired statistics of two or more systems that were scored on the same items."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

FILES = ("compare.md", "compare.json", "compare.html")


class Resampled(StrEnum):
    """What an interval and a p are about: other items, or other seeds."""

    ITEMS = "items"
    SEEDS = "seeds"


def compare(
    systems: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]PATH...",
            help="Folders of lm-eval logs, runs or studies; files of scores (CSV, TSV, JSONL, Parquet). The others are "
            "compared with the first.",
        ),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Score to compare, e.g. acc_norm or exact_match,flexible-extract; repeatable: the first "
                     "that a task has."),
    ] = None,
    task: Annotated[list[str] | None, typer.Option("--task", "-t", help="One task of several; repeatable.")] = None,
    against: Annotated[str | None, typer.Option(help="System to compare with, instead of the first.")] = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Compare every pair of systems.")] = False,
    margin: Annotated[float, typer.Option(help="Smallest difference that matters, in points of 100.")] = 1.0,
    over: Annotated[
        Resampled | None,
        typer.Option(help="What the interval is about: other items, or other seeds (used where there are several)."),
    ] = None,
    bounds: Annotated[
        tuple[float, float] | None,
        typer.Option("--range", metavar="LOW HIGH", help="Worst and best possible score, if not 0 to 1 or 0 to 100."),
    ] = None,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="The lower score is the better one, as of an error or a loss.")
    ] = False,
    other_prompts: Annotated[
        bool, typer.Option("--other-prompts", help="Accept that systems had different prompts for the same items.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for compare.md, compare.json and compare.html.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:  # fmt: skip
    """Compare systems that were scored on the same items: differences, intervals, exact tests, verdicts."""
    from balora.cli.output import json_text, print_json
    from balora.comparing.compared import compare_systems
    from balora.comparing.comparison_words import document
    from balora.comparing.sources import read_table
    from balora.folders import claim_output

    if output is not None:
        claim_output(output, kind="comparison", own=FILES)
    table = read_table(systems, metrics=metric or (), tasks=task or (), against=against)
    compared = compare_systems(
        table,
        margin=margin,
        all_pairs=all_pairs,
        over=None if over is None else over.value,
        scale=bounds,
        lower_is_better=lower_is_better,
        other_prompts=other_prompts,
    )
    written: list[Path] = []
    if output is not None:
        from balora.comparing.save_comparison import save_comparison

        written = save_comparison(compared, json_text(document(compared)), output)
    if as_json:
        print_json(document(compared))
        return
    from balora.cli.print_comparison import print_comparison

    print_comparison(compared, written)
