"""Assemble the commands of `balora`. Importing this stays cheap: a command imports torch only when it runs."""

from typing import Annotated

import typer

from balora.cli.compare import compare
from balora.cli.demo import demo
from balora.cli.doctor import doctor
from balora.cli.evaluate import evaluate
from balora.cli.export import export
from balora.cli.init import init
from balora.cli.push import push
from balora.cli.settings_list import settings
from balora.cli.study_import import import_
from balora.cli.study_report import report
from balora.cli.study_run import app as study
from balora.cli.study_watch import watch
from balora.cli.task_check import app as task
from balora.cli.testbed import app as testbed
from balora.cli.train import train

EXAMPLE = "Example: [bold]{}[/bold]"

app = typer.Typer(
    name="balora",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Add --debug to any command to see the traceback of an error. "
    "Exit codes: 0 done, 1 failed, 2 wrong input, 130 interrupted.",
)


def _show(version_wanted: bool) -> None:
    if version_wanted:
        from importlib.metadata import version

        typer.echo(f"balora {version('balora')}")
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_show, is_eager=True)] = False,
) -> None:
    """Fine-tune a language model without passing on its flaws, and prove which part of the method earned the result."""


app.command(epilog=EXAMPLE.format("balora demo --task facts"))(demo)
app.command(
    epilog=EXAMPLE.format("balora train --model MODEL --task cola --data DATA --method ba-lora --output runs/cola")
)(train)
app.command(epilog=EXAMPLE.format("balora evaluate --model MODEL --adapter runs/cola/adapter --task cola --data DATA"))(
    evaluate
)
app.command(epilog=EXAMPLE.format("balora compare base=logs/base ours=logs/ours --output comparison"))(compare)
app.command(epilog=EXAMPLE.format("balora export runs/cola --output lora"))(export)
app.command(epilog=EXAMPLE.format("balora push lora ORGANISATION/NAME"))(push)
app.command(epilog=EXAMPLE.format("balora init cola.yaml --task cola --model MODEL"))(init)
app.command(epilog=EXAMPLE.format("balora settings warmup"))(settings)
study.command(epilog=EXAMPLE.format("balora study report runs/pissa --all --to paper"))(report)
study.command(epilog=EXAMPLE.format("balora study watch runs/pissa"))(watch)
study.command("import", epilog=EXAMPLE.format("balora study import PLAN.md --output study.yaml"))(import_)
app.add_typer(study, name="study")
app.add_typer(task, name="task")
app.add_typer(testbed, name="testbed")
app.command(epilog=EXAMPLE.format("balora doctor --json"))(doctor)
