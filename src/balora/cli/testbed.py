"""`balora testbed`: the small language with known flaws, and the models pre-trained on it."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from balora.progress import OnProgress

app = typer.Typer(no_args_is_help=True, help="The small language with known flaws, and the models pre-trained on it.")

ModelName = Literal["encoder", "decoder"]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting of the testbed, e.g. noise=0.3; repeatable."),
]


@app.command(epilog="Example: [bold]balora testbed pretrain --set seed=5 --set noise=0.3[/bold]")
def pretrain(
    assignments: Assignments = None,
    only: Annotated[ModelName | None, typer.Option(help="Only this model; none: both.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Pre-train the testbed's two tiny models, or find them in the cache, and say where they are."""
    from balora.cli.output import print_json

    config = _config(assignments)

    from balora.cli.progress_bar import shown
    from balora.tasks.testbed.model_cache import CARD, NAMES, model_folder

    found: dict[str, Any] = {}
    for family, name in NAMES.items():
        if only in (None, name):
            with shown() as tell:
                folder = model_folder(config, family, on_steps=partial(_tell, tell, name))
            found[name] = {"folder": str(folder), "card": str(folder / CARD)}
    if as_json:
        print_json(found)
    else:
        for name, where in found.items():
            typer.echo(f"{name}: {where['folder']}")


@app.command(epilog="Example: [bold]balora testbed text --only decoder --count 5 --set noise=0.3[/bold]")
def text(
    assignments: Assignments = None,
    only: Annotated[ModelName | None, typer.Option(help="Only what this model reads; none: both.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Documents to print for each model.")] = 10,
) -> None:
    """Print documents of the pre-training text, the corrupted ones marked."""
    from itertools import islice

    from balora.tasks.testbed.model_cache import NAMES
    from balora.tasks.testbed.text import documents

    config = _config(assignments)
    for family, name in NAMES.items():
        if only in (None, name):
            for document in islice(documents(config, family), count):
                mark = f"  [corrupted: {document.corrupted}]" if document.corrupted else ""
                typer.echo(document.text + mark)


def _tell(tell: "OnProgress", name: str, done: int, steps: int, loss: float) -> None:
    from balora.progress import Progress

    tell(Progress(name, done, steps, loss))


def _config(assignments: list[str] | None) -> Any:
    from balora.cli.assignments import parse_assignments
    from balora.tasks.testbed.config import TestbedConfig

    return TestbedConfig(**parse_assignments(assignments or []))
