"""Render a report's sections, with their figures, as one HTML page: no script, and nothing fetched."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from balora.errors import printable
from balora.report.figures.all_figures import figures_by_section
from balora.report.figures.figure import Figure
from balora.report.figures.render import svg
from balora.report.page.inline import dark_style, inline
from balora.report.records.dossier import Dossier
from balora.report.tables.sections import facts, sections
from balora.report.tables.table import Number, text

if TYPE_CHECKING:
    from jinja2 import Template

LIMIT = 5_000_000
"""Bytes that a page may have."""


def draw(dossier: Dossier, refresh: int | None = None) -> str:
    """Return the whole page; ``refresh`` makes it load itself anew after so many seconds, while a study runs."""
    style = f"{_resource('styles.css')}@media screen and (prefers-color-scheme: dark) {{\n{dark_style()}\n}}\n"
    pictures = figures_by_section(dossier)
    return _template().render(
        report=dossier.report,
        facts=facts(dossier.report),
        sections=[one for one in sections(dossier.report) if one.has_text or one.id in pictures],
        pictures=pictures,
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
