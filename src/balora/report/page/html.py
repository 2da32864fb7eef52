"""Render a report's sections, with their figures, as one HTML page: no script, and nothing fetched."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from balora.errors import printable
from balora.report.figures.all_figures import SectionFigures, figures_by_section
from balora.report.figures.figure import Figure
from balora.report.figures.render import svg
from balora.report.page.inline import dark_style, inline
from balora.report.records.dossier import Dossier
from balora.report.tables.sections import Section, facts, sections
from balora.report.tables.table import Number, text

if TYPE_CHECKING:
    from jinja2 import Template

LIMIT = 5_000_000
"""Bytes that a page may have."""


class Page(NamedTuple):
    """What a page shows: texts as they are, tables and figures by section."""

    study: str
    """A line above the heading."""
    question: str
    """The heading."""
    answer: str
    facts: Sequence[str]
    sections: Sequence[Section]
    pictures: Mapping[str, SectionFigures]
    """By the id of their section."""
    versions: Mapping[str, str]
    footer: str
    every_row: str
    """Where a cut table stands with all of its rows."""
    every_number: str
    """Where the numbers of a figure stand with all of their rows."""
    sentences: Sequence[str] = ()
    """The answer for people, above the one in one sentence."""


def draw(dossier: Dossier, refresh: int | None = None) -> str:
    """Return the whole page; ``refresh`` makes it load itself anew after so many seconds, while a study runs."""
    report, pictures = dossier.report, figures_by_section(dossier)
    page = Page(
        report.study,
        report.question,
        report.answer,
        facts(report),
        list(sections(report)),
        pictures,
        report.versions,
        footer="Rebuilt from the records of the runs by balora; `balora study report` draws it again.",
        every_row="report.md",
        every_number="the files of numbers (--format csv)",
        sentences=report.sentences,
    )
    return render(page, refresh)


def render(page: Page, refresh: int | None = None) -> str:
    """Return a page as one HTML file; ``refresh``: see :func:`draw`."""
    style = f"{_resource('styles.css')}@media screen and (prefers-color-scheme: dark) {{\n{dark_style()}\n}}\n"
    return _template().render(
        page=page,
        facts=page.facts,
        sections=[one for one in page.sections if one.has_text or one.id in page.pictures],
        pictures=page.pictures,
        style=style,
        style_hash=b64encode(sha256(style.encode()).digest()).decode(),
        refresh=refresh,
    )


def _picture(figure: Figure) -> str:
    return inline(svg(figure.spec), f"{figure.name}-description")


def _shown(value: object) -> object:
    """Return what an expression of the page shows: of a text, without control characters."""
    return printable(value) if type(value) is str else value  # markup is a subclass


def _resource(name: str) -> str:
    return files("balora.report.page").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    # The two things that are markup already: what Vega escaped, and the style sheet of this package.
    environment.filters["picture"] = lambda figure: Markup(_picture(figure))
    environment.filters["raw_style"] = Markup
    environment.filters["text"] = text
    environment.tests["numeric"] = lambda piece: isinstance(piece, Number)
    return environment.from_string(_resource("page.html"))
