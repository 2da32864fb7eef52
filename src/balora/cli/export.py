"""`balora export`: write a run's model in a form that other programs load."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def export(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="The --output folder of `balora train`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the export; new or empty.")],
    merged: Annotated[bool, typer.Option("--merged", help="Write the whole model, adapter merged in.")] = False,
    rank: Annotated[
        int | None, typer.Option(min=1, help="Lower the adapter to this rank, for servers with a limit; says the loss.")
    ] = None,
    card: Annotated[bool, typer.Option("--card", help="Write a model card (README.md) from the run's record.")] = False,
    name: Annotated[
        str | None, typer.Option(help="With --card: the model's name, e.g. ORGANISATION/NAME; by default the folder's.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--license", help="With --card: licence of the result, e.g. apache-2.0.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Where the base model is now, if it moved.")
    ] = None,
    trust_remote_code: Annotated[
        bool,
        typer.Option("--trust-remote-code", help="Allow Python code that comes with the base model, with --merged."),
    ] = False,
) -> None:
    """Export a run's adapter as a plain LoRA, or merged into its base model."""
    from balora.cli.assignments import remote_code_warning
    from balora.cli.output import print_lines
    from balora.cli.progress_bar import show_progress
    from balora.errors import ConfigError
    from balora.report.model_card import write_card
    from balora.training.export_run import export_run
    from balora.training.launchers import refuse_several_processes

    refuse_several_processes("balora export")
    if not card and (name or licence):
        raise ConfigError(f"--{'name' if name else 'license'} is for the model card: add --card")
    if trust_remote_code:
        typer.echo(remote_code_warning(model or "the base model"), err=True)
    with show_progress() as on_progress:
        folder = export_run(
            run_folder,
            output,
            merged=merged,
            rank=rank,
            model=model,
            trust_remote_code=trust_remote_code,
            on_progress=on_progress,
            message=lambda line: typer.echo(f"balora: {line}", err=True),
            beside=partial(write_card, name=name or output.name, licence=licence) if card else None,
        )
    print_lines((f"{'whole model' if merged else 'plain LoRA'} written to {folder}",))
