"""`balora study report`: rebuild a study's report from its records, in the chosen formats."""

import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from balora.errors import ConfigError
from balora.report.formats import USUAL, Format

if TYPE_CHECKING:
    from balora.report.records.report import Report

FOLDER = Annotated[
    str, typer.Argument(metavar="FOLDER|URL", help="The --output of `balora study run`: a folder, or object storage.")
]


def report(
    folder: FOLDER,
    formats: Annotated[
        list[Format] | None,
        typer.Option(
            "--format",
            help="What to write, instead of report.md and report.html; repeatable. latex: report.tex; csv, parquet: "
            "tables/; svg, png, pdf: figures/.",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Write every format.")] = False,
    to: Annotated[Path | None, typer.Option(help="Where to write; by default the study's own folder.")] = None,
    answer: Annotated[
        bool, typer.Option("--answer", help="Print only the answer, the scores of the arms, and where the report is.")
    ] = False,
    opens: Annotated[bool, typer.Option("--open", help="Show report.html in the browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rebuild a study's report from its records: write it, and print it or (with --format) what was written."""
    from balora.cli.output import print_lines
    from balora.study.store.object_storage import mirrored

    chosen = list(Format) if every else formats
    if opens and chosen and Format.HTML not in chosen:
        raise ConfigError("--open shows report.html, which is not among the formats: add --format html")
    with mirrored(folder) as (place, storage):
        if chosen:
            _save(place, chosen, to, as_json)
        else:
            (end_with if answer else report_on)(place, as_json, to)
        if storage is not None and to is None:
            storage.push(runs=False)
            print_lines((f"stored in {storage.url}",), error=True)
        if opens:
            show_in_browser((to or place) / "report.html")


def _save(folder: Path, chosen: list[Format], to: Path | None, as_json: bool) -> None:
    """Write the report in the ``chosen`` formats, and print the paths, or the report as JSON."""
    from balora.cli.output import print_json, print_lines
    from balora.report.records.dossier import read_dossier
    from balora.report.saving import save

    dossier = read_dossier(folder)
    written = save(dossier, to or folder, chosen)
    if as_json:
        print_json(dossier.report)
    print_lines(map(str, written), error=as_json)


def show_in_browser(page: Path) -> None:
    """Open ``page`` in the browser of the user; say so where there is none."""
    from balora.cli.output import print_lines

    if not webbrowser.open(page.absolute().as_uri()):
        print_lines((f"there is no browser here: open {page} yourself",), error=True)


def write_report(folder: Path, to: Path | None = None) -> tuple["Report", tuple[Path, ...]]:
    """Write report.md and report.html; return the report and these files."""
    from balora.report.records.dossier import read_dossier
    from balora.report.saving import save

    dossier = read_dossier(folder)
    return dossier.report, tuple(save(dossier, to or folder, USUAL))


def end_with(folder: Path, as_json: bool, to: Path | None = None) -> None:
    """Write report.md and report.html; print the report as JSON, or the answer and where they are."""
    from balora.cli.output import print_json, print_lines
    from balora.report.screen import draw

    report, written = write_report(folder, to)
    if as_json:
        print_json(report)
    else:
        print_lines((*draw(report, written).split("\n"), ""))


def report_on(folder: Path, as_json: bool, to: Path | None = None) -> None:
    """Write report.md and report.html, and print the report: as JSON, as Markdown, or rendered on a terminal."""
    from balora.cli.output import print_json, print_lines
    from balora.report.markdown import draw

    report, written = write_report(folder, to)
    if as_json:
        print_json(report)
        return
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(draw(report)))
    else:
        print(draw(report))
    print_lines((f"written to {' and '.join(map(str, written))}",), error=True)
