"""`balora export`: a saved run for others to use."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="The --output folder of `balora train`.")],
    output: Annotated[Path, typer.Option(help="Folder for the result; new or empty.")],
    merged: Annotated[bool, typer.Option("--merged", help="Merge the adapter into its base: a whole model.")] = False,
    model: Annotated[str | None, typer.Option(help="Where the base is now, if it has moved (with --merged).")] = None,
) -> None:
    """Write a run's result as a plain LoRA that any server loads, or merged into its base."""
    from balora.cli.progress_bar import shown
    from balora.training.export_run import deliver

    with shown() as on_progress:
        folder = deliver(run_folder, output, merged=merged, model=model, on_progress=on_progress)
    typer.echo(f"{'whole model' if merged else 'plain LoRA'} written to {folder}")
