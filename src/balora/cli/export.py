"""`balora export`: write a run's model in a form that other programs load."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="The --output folder of `balora train`.")],
    output: Annotated[Path, typer.Option(help="Folder for the export; new or empty.")],
    merged: Annotated[bool, typer.Option("--merged", help="Write the whole model, adapter merged in.")] = False,
    model: Annotated[str | None, typer.Option(help="Where the base model is now, if it has moved.")] = None,
) -> None:
    """Export a run's adapter as a plain LoRA that any server loads, or merged into its base model."""
    from balora.cli.progress_bar import show_progress
    from balora.training.export_run import export_run

    with show_progress() as on_progress:
        folder = export_run(run_folder, output, merged=merged, model=model, on_progress=on_progress)
    typer.echo(f"{'whole model' if merged else 'plain LoRA'} written to {folder}")
