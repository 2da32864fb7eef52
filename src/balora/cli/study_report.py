"""`balora study report`: a study's report, rebuilt from the records, in the formats asked for."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from balora.report.formats import Format

if TYPE_CHECKING:
    from balora.report.records.report import Report

FOLDER = Annotated[Path, typer.Argument(help="The --output folder of `balora study run`.")]


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
        bool, typer.Option("--answer", help="Print only the answer in words and where the report is.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rebuild a study's report from its records: write it, and print it or (with --format) what was written."""
    chosen = list(Format) if every else formats
    if chosen:
        _export(folder, chosen, to or folder, as_json)
    elif answer:
        _answer(folder, to or folder)
    else:
        report_on(folder, as_json, to)


def report_on(folder: Path, as_json: bool, to: Path | None = None) -> None:
    """Write report.md and report.html, and print the report: as JSON, as Markdown, or rendered on a terminal."""
    from balora.report.records.dossier import read_dossier
    from balora.report.saving import save

    dossier = read_dossier(folder)
    written = save(dossier, to or folder)
    _print(dossier.report, as_json)
    if not as_json:
        print(f"written to {' and '.join(map(str, written))}", file=sys.stderr)


def _export(folder: Path, formats: list[Format], to: Path, as_json: bool) -> None:
    from balora.report.records.dossier import read_dossier
    from balora.report.saving import save

    dossier = read_dossier(folder)
    written = save(dossier, to, formats)
    if as_json:
        _print(dossier.report, as_json)
    for path in written:
        print(path, file=sys.stderr if as_json else sys.stdout)


def _answer(folder: Path, to: Path) -> None:
    from balora.report.records.dossier import read_dossier
    from balora.report.saving import save

    dossier = read_dossier(folder)
    markdown, page = save(dossier, to)
    typer.echo(f"{dossier.report.question}\n{dossier.report.answer}\nreport: {markdown}\npage: {page}\n")


def _print(made: "Report", as_json: bool) -> None:
    from balora.cli.output import print_json
    from balora.report.markdown import draw

    if as_json:
        print_json(asdict(made))
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(draw(made)))
    else:
        typer.echo(draw(made))
