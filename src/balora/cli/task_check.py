"""`balora task check`: check a task file, and show its rows as the model will see them."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Tasks of your own, each described by a file.")


@app.command(epilog="Example: [bold]balora task check tickets.yaml --model MODEL[/bold]")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A task file (.yaml).")],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Hub id or folder of the model whose tokens are shown; without it, texts."),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="One setting, e.g. data.max_length=128; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Check a task file and all its data, and show three rows with what is learnt, lengths, labels and columns."""
    from balora.cli.assignments import gather
    from balora.cli.print_task import print_task
    from balora.tasks.task_file import read_task_file

    own = read_task_file(file)
    options = {"method": "full", "model": model or "none", "task": own.task, "own": [own]}
    spec = gather(None, options, assignments or [])

    from balora.tasks.task_preview import preview

    tokenizer = None
    if model is not None:
        from balora.training.loading import load_tokenizer

        tokenizer = load_tokenizer(spec)
    print_task(preview(own, spec.data, tokenizer, spec.training.seed), as_json=as_json)
