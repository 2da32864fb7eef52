"""`balora study`: list, plan, run and report. Verbs only; heavy imports happen in the workers."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Ablation studies: what is compared, the runs, and the report.")

STUDY = Annotated[
    str, typer.Argument(metavar="STUDY|FILE", help="A shipped study (see `list`), or a study file (.yaml).")
]
MODEL = Annotated[
    str | None,
    typer.Option(help="Hub id or folder of the pre-trained model; without it the study's, or the testbed's."),
]
DATA = Annotated[
    str | None,
    typer.Option(help="Folder above the tasks' folders (glue/CoLA, gsm8k, …); the testbed needs none."),
]
PROFILE = Annotated[str, typer.Option(help="How much to spend: glance, quick, standard or thorough.")]
SEEDS = Annotated[
    int | None, typer.Option(min=0, max=1000, help="Seeds (blocks) per arm; fixed in advance, from 42 on.")
]
SET = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting for every arm, e.g. training.steps=50; repeatable."),
]
MANY = 5000
"""Runs from which on a plan in JSON is one line."""
JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list", epilog="Example: [bold]balora study list[/bold]")
def list_(as_json: JSON = False) -> None:
    """Name the shipped studies and what they ask."""
    from balora.cli.study_listing import list_studies, studies_text

    _print(list_studies(), studies_text, as_json)


@app.command(
    epilog="Example: [bold]balora study plan pissa-initialization[/bold] (on the testbed), or with "
    "[bold]--model MODEL --data DATA[/bold]"
)
def plan(
    study: STUDY,
    model: MODEL = None,
    data: DATA = None,
    profile: PROFILE = "glance",
    seeds: SEEDS = None,
    assignments: SET = None,
    past: Annotated[
        list[Path] | None, typer.Option(help="Folder of a study that was run: costs are estimated from its records.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Print every run that the study would carry out, in order, and carry out none."""
    from balora.cli.assignments import parse_assignments
    from balora.cli.study_listing import describe_plan, plan_text
    from balora.study.plan.costs import Costs, past_runs
    from balora.study.plan.prepare import prepare

    settings = parse_assignments(assignments or [])
    made = prepare(study, model=model, data=data, profile=profile, seeds=seeds, settings=settings)
    _print(describe_plan(made, Costs(past_runs(past or []))), plan_text, as_json)


@app.command(
    epilog="Example: [bold]balora study run pissa-initialization --profile quick --output runs/pissa[/bold] (on the "
    "testbed), or with [bold]--model MODEL --data DATA[/bold].  Interrupted? The same command goes on where it stopped."
)
def run(
    study: STUDY,
    output: Annotated[Path, typer.Option(help="Folder for the records and the report; new, empty, or of this study.")],
    model: MODEL = None,
    data: DATA = None,
    profile: PROFILE = "glance",
    seeds: SEEDS = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at a time; by default two, on two cores or more; on the testbed one a core."),
    ] = None,
    assignments: SET = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run again what failed before.")] = False,
    reuse: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of another study: runs that it has finished and that are the same are taken from it."
        ),
    ] = None,
    as_json: JSON = False,
) -> None:
    """Carry out a study, skipping what is finished, and print its report."""
    from balora.cli.assignments import parse_assignments
    from balora.cli.study_report import report_on
    from balora.study.engine.display import watching
    from balora.study.engine.execute import execute, usable_cores
    from balora.study.plan.prepare import command, prepare, refuse_holes

    given = tuple(assignments or ())
    settings = parse_assignments(given)
    made = prepare(study, model=model, data=data, profile=profile, seeds=seeds, settings=settings)
    refuse_holes(made.study)
    repeat = command(study, output, model=model, data=data, profile=profile, seeds=seeds, assignments=given)
    try:
        with watching() as watcher:
            outcome = execute(
                made,
                output,
                watcher,
                command=repeat,
                workers=workers or (usable_cores() if made.choices.on_testbed else min(2, usable_cores())),
                retry_failed=retry_failed,
                reuse=tuple(reuse or ()),
            )
    except KeyboardInterrupt:
        print(f"finished runs are kept in {output}; to go on: {repeat}", file=sys.stderr)
        raise
    report_on(output, as_json)
    if outcome.failed or outcome.left:
        print(f"{outcome.failed + outcome.left} of {outcome.planned} runs failed; see the report", file=sys.stderr)
        raise typer.Exit(1)


def _print(content: Any, draw: Callable[[Any], str], as_json: bool) -> None:
    """Print frozen records as JSON, or as text."""
    from balora.cli.output import print_json

    if as_json:
        print_json(content, compact=len(getattr(content, "runs", ())) > MANY)
    else:
        typer.echo(draw(content))
