"""`balora study import`: turn an ablation plan from elsewhere into a study file."""

from pathlib import Path
from typing import Annotated

import typer


def import_(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.md", help="The plan: a Markdown, HTML or JSON file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The new study file (.yaml). Default: standard output.")
    ] = None,
    paper: Annotated[str | None, typer.Option(help="Name of the paper, if the file holds several plans.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Turn an ablation plan (AblationBench's format) into a study file; what is not understood is left open."""
    from balora.cli.output import claim_file, print_json, print_lines, write_file
    from balora.importing.import_plan import import_plan
    from balora.importing.import_summary import content, summary

    if output is not None:
        claim_file(output)
    imported, text = import_plan(plan, paper)
    if output is not None:
        write_file(output, text)
    if as_json:
        print_json(content(imported, text) | {"output": output and str(output)})
    elif output is None:
        print(text, end="")  # the study file itself, to be redirected into one
        print_lines(summary(imported).split("\n"), error=True)
    else:
        first = f"fill in the {len(imported.holes)} open `set`, then run: " if imported.holes else "next: "
        print_lines((*summary(imported).split("\n"), "", f"written to {output}; {first}balora study plan {output}"))
