"""`balora init`: write a config file to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from balora.cli import completion


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The config file to write (.yaml); it must not exist.")],
    task: Annotated[
        str,
        typer.Option(
            "--task",
            "-t",
            help="Task to train on, or a task file (.yaml) of your own.",
            autocompletion=completion.tasks,
        ),
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Hub id or folder of the pre-trained model; can be filled in later.")
    ] = "MODEL",
    method: Annotated[
        str, typer.Option(help="full, full+reg, lora, pissa, lora+reg or ba-lora.", autocompletion=completion.methods)
    ] = "ba-lora",
    data: Annotated[str | None, typer.Option(help="Folder that contains the task's files or folder.")] = None,
) -> None:
    """Write a config file for a task and a method: what most people set, and every other setting as a comment.

    `balora train --config FILE` carries it out.
    """
    from balora.cli.assignments import gather
    from balora.cli.config_text import USUAL, config_text
    from balora.cli.output import claim_file, print_lines, write_file

    claim_file(file)
    spec = gather(None, {"model": model, "task": task, "method": method, "data.folder": data}, [])
    write_file(file, config_text(spec, task, USUAL))
    print_lines([f"{file}: written; edit it, then run `balora train --config {file} --output FOLDER`"])
