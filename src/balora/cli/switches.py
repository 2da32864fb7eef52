"""Define the switches that only the command line has, because no file may turn them on."""

from typing import Annotated

import typer

UNSAFE_LOCAL_EXECUTION = Annotated[
    bool,
    typer.Option(
        "--unsafe-local-execution",
        help="Run generated programs without a sandbox, where bubblewrap is missing; no file can allow it.",
    ),
]
