"""`balora study watch`: show how a study stands, again and again until it is complete."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from balora.report.watch.snapshot import Snapshot
    from balora.study.store.object_storage import Storage


def watch(
    folder: Annotated[
        str,
        typer.Argument(metavar="FOLDER|URL", help="The --output of `balora study run`: a folder, or object storage."),
    ],
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two readings.")] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Read once; the default where the output is no terminal.")
    ] = False,
    page: Annotated[
        bool,
        typer.Option("--page", help="Update report.html too; the page reloads itself while the study runs."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Read once and print JSON.")] = False,
) -> None:
    """Show how a study stands, from its records alone: while it runs, here or on another machine, or later."""
    from rich.console import Console

    from balora.cli.output import print_json
    from balora.report.watch.snapshot import Observer
    from balora.report.watch.terminal import draw
    from balora.study.store.object_storage import mirrored

    with mirrored(folder) as (place, storage):
        read = Observer(place).read
    if storage is not None:
        read = _with_pull(read, storage)
    if page:
        read = _with_page(read, place, every)
    if as_json:
        print_json(read().content())
    elif once or not sys.stdout.isatty():
        print(draw(read()))
    else:
        follow(read, Console(), every)


def _with_pull(read: Callable[[], "Snapshot"], storage: "Storage") -> Callable[[], "Snapshot"]:
    def pull_and_read() -> "Snapshot":
        storage.pull()
        return read()

    return pull_and_read


def _with_page(read: Callable[[], "Snapshot"], folder: Path, every: float) -> Callable[[], "Snapshot"]:
    from balora.report.watch.live_page import LivePage

    page = LivePage(folder, every)

    def read_and_write() -> "Snapshot":
        snapshot = read()
        page.follow(snapshot)
        return snapshot

    return read_and_write


def follow(read: Callable[[], "Snapshot"], console: "Console", every: float) -> None:
    """Redraw what ``read`` returns every so many seconds, until the study is complete."""
    from rich.live import Live
    from rich.text import Text

    from balora.report.watch.terminal import draw

    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as shown:
        while True:
            snapshot = read()
            shown.update(Text(draw(snapshot), no_wrap=True, overflow="ellipsis"), refresh=True)
            if snapshot.complete:
                return
            time.sleep(every)
