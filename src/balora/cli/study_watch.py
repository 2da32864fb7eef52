"""`balora study watch`: how a study stands, again and again, for as long as it is not complete."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from balora.report.watch.snapshot import Snapshot


def watch(
    folder: Annotated[Path, typer.Argument(help="The --output folder of `balora study run`.")],
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Look once; so it is, too, where the output is no terminal.")
    ] = False,
    page: Annotated[
        bool,
        typer.Option("--page", help="Keep report.html up to date, too; it loads itself anew while the study runs."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Look once and print JSON.")] = False,
) -> None:
    """Show how a study stands, from its records alone: while it runs, here or on another machine, or later."""
    from rich.console import Console

    from balora.cli.output import print_json
    from balora.report.watch.snapshot import Onlooker
    from balora.report.watch.terminal import draw

    look = Onlooker(folder).look
    if page:
        look = _with_page(look, folder, every)
    if as_json:
        print_json(asdict(look()))
    elif once or not sys.stdout.isatty():
        typer.echo(draw(look()))
    else:
        follow(look, Console(), every)


def _with_page(look: Callable[[], "Snapshot"], folder: Path, every: float) -> Callable[[], "Snapshot"]:
    from balora.report.watch.live_page import LivePage

    page = LivePage(folder, every)

    def looking() -> "Snapshot":
        snapshot = look()
        page.follow(snapshot)
        return snapshot

    return looking


def follow(look: Callable[[], "Snapshot"], console: "Console", every: float) -> None:
    """Redraw what ``look`` returns every so many seconds, until the study is complete."""
    from rich.live import Live
    from rich.text import Text

    from balora.report.watch.terminal import draw

    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as shown:
        while True:
            snapshot = look()
            shown.update(Text(draw(snapshot), no_wrap=True, overflow="ellipsis"), refresh=True)
            if snapshot.complete:
                return
            time.sleep(every)
