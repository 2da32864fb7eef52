"""`balora study import`: an ablation plan from elsewhere becomes a study file."""

from pathlib import Path
from typing import Annotated

import typer


def import_(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.md", help="The plan: Markdown, HTML or JSON.")],
    output: Annotated[
        Path | None, typer.Option(help="The new study file (.yaml); without it, standard output.")
    ] = None,
    paper: Annotated[
        str | None, typer.Option(help="The paper whose plan is meant, where the file holds several.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read an ablation plan (AblationBench's format) and write it as a study: known parts bound, the others open."""
    from balora.cli.output import claim_file, print_json
    from balora.importing.import_plan import import_plan
    from balora.importing.import_summary import content, summary

    if output is not None:
        claim_file(output)
    found, text = import_plan(plan, paper)
    if output is not None:
        _write(text, output)
    if as_json:
        print_json(content(found, text) | {"output": output and str(output)})
    elif output is None:
        typer.echo(text, nl=False)
        typer.echo(summary(found), err=True)
    else:
        fill = f"fill the {len(found.holes)} open settings in it, then: " if found.holes else "next: "
        typer.echo(f"{summary(found)}\n\nwritten to {output}; {fill}balora study plan {output}")


def _write(text: str, path: Path) -> None:
    """Write a new file, whole or not at all."""
    from balora.errors import OutputError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        if not isinstance(error, FileExistsError):
            path.unlink(missing_ok=True)
        raise OutputError(f"output file {path}: cannot be written ({error.strerror or error})") from None
