"""`balora testbed`: pre-train the testbed's models, and print their training text."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from balora.progress import OnProgress

app = typer.Typer(no_args_is_help=True, help="A small artificial language with known flaws, and models trained on it.")

ModelName = Literal["encoder", "decoder"]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="One setting of the testbed, e.g. noise=0.3; repeatable."),
]


@app.command(epilog="Example: [bold]balora testbed pretrain --set seed=5 --set noise=0.3[/bold]")
def pretrain(
    assignments: Assignments = None,
    only: Annotated[ModelName | None, typer.Option(help="Pre-train only this model. Default: both.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Pre-train the testbed's two tiny models, unless they are in the cache, and print their folders."""
    from balora.cli.output import print_json, print_lines
    from balora.training.launchers import refuse_several_processes

    refuse_several_processes("balora testbed pretrain")
    config = _config(assignments)

    from balora.cli.progress_bar import show_progress
    from balora.tasks.testbed.model_cache import CARD, NAMES, model_folder

    models: dict[str, Any] = {}
    for family, name in NAMES.items():
        if only in (None, name):
            with show_progress() as on_progress:
                folder = model_folder(config, family, on_steps=partial(_report, on_progress, name))
            models[name] = {"folder": str(folder), "card": str(folder / CARD)}
    if as_json:
        print_json(models)
    else:
        print_lines(f"{name}: {where['folder']}" for name, where in models.items())


@app.command(epilog="Example: [bold]balora testbed text --only decoder --count 5 --set noise=0.3[/bold]")
def text(
    assignments: Assignments = None,
    only: Annotated[ModelName | None, typer.Option(help="Print only this model's text. Default: both.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Documents to print for each model.")] = 10,
) -> None:
    """Print documents of the pre-training text, with the corrupted ones marked."""
    from itertools import islice

    from balora.cli.output import print_lines
    from balora.tasks.testbed.model_cache import NAMES
    from balora.tasks.testbed.text import documents

    config = _config(assignments)
    for family, name in NAMES.items():
        if only in (None, name):
            print_lines(
                document.text + (f"  [corrupted: {document.corrupted}]" if document.corrupted else "")
                for document in islice(documents(config, family), count)
            )


def _report(on_progress: "OnProgress", name: str, done: int, steps: int, loss: float) -> None:
    from balora.progress import Progress

    on_progress(Progress(name, done, steps, loss))


def _config(assignments: list[str] | None) -> Any:
    from balora.cli.assignments import parse_assignments
    from balora.tasks.testbed.config import TestbedConfig

    return TestbedConfig(**parse_assignments(assignments or []))
