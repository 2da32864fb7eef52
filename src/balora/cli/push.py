"""`balora push`: upload an exported model to the Hugging Face Hub."""

from pathlib import Path
from typing import Annotated

import typer


def push(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `balora export --card` wrote.")],
    name: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="The repository on the Hub; made if there is none.")
    ],
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public. Default: private.")] = False,
    message: Annotated[str, typer.Option(help="Message of the commit.")] = "Upload a model fine-tuned with balora",
) -> None:
    """Upload an exported model, with its card, to the Hugging Face Hub, or to the server that HF_ENDPOINT names.

    The token is that of `hf auth login`, or the variable HF_TOKEN.
    """
    from balora.cli.output import print_lines
    from balora.training.hub_upload import upload
    from balora.training.launchers import refuse_several_processes

    refuse_several_processes("balora push")
    print_lines([f"uploaded to {upload(folder, name, public=public, message=message)}"])
