"""Write a report: each format into its place, each file in one atomic step."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from balora.errors import OutputError
from balora.folders import write_atomic
from balora.report import latex, markdown, numbers
from balora.report.figures.all_figures import every_figure
from balora.report.figures.figure import titled
from balora.report.figures.render import file
from balora.report.formats import USUAL, Format
from balora.report.page.html import draw as draw_page
from balora.report.records.dossier import Dossier
from balora.study.store.study_folder import writing

TABLES, FIGURES = "tables", "figures"
"""The folders of numbers and of figures."""


def save(dossier: Dossier, folder: Path, formats: Sequence[Format] = USUAL) -> list[Path]:
    """Write the report into ``folder``, which is made if need be, and return what was written.

    Raises:
        OutputError: a file cannot be written.
    """
    written = []
    with writing(folder, "choose another folder (`balora study report --to`)"):
        for wanted in dict.fromkeys(formats):
            for place, content in _files(dossier, wanted):
                path = folder / place
                if path.parent != folder and path.parent.is_symlink():
                    raise OutputError(f"{path.parent}: is a symbolic link, which a report is not written through: "
                                      "remove it or choose another --to")  # fmt: skip
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, content)
                written.append(path)
    return written


def _files(dossier: Dossier, wanted: Format) -> Iterator[tuple[str, str | bytes]]:
    """Yield the place and the content of each file of one format."""
    if wanted is Format.MARKDOWN:
        yield "report.md", markdown.draw(dossier.report)
    elif wanted is Format.HTML:
        yield "report.html", draw_page(dossier)
    elif wanted is Format.LATEX:
        yield "report.tex", latex.draw(dossier.report)
    elif wanted in (Format.CSV, Format.PARQUET):
        content_of = numbers.csv_of if wanted is Format.CSV else numbers.parquet_of
        for name, rows in numbers.TABLES.items():
            if found := numbers.columns(rows(dossier)):
                yield f"{TABLES}/{name}.{wanted}", content_of(found)
    else:
        for figure in every_figure(dossier):
            yield f"{FIGURES}/{figure.name}.{wanted}", file({**figure.spec, "title": titled(figure.title)}, wanted)
