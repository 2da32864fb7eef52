"""Render specifications as SVG, PNG and PDF by vl-convert: Vega itself, without a browser."""

from typing import Any

from balora.errors import BaloraError, printable
from balora.report.figures.figure import LINES
from balora.report.formats import Format

SCALE = 2.0
"""Device pixels per pixel of a PNG."""
WHITE = "#ffffff"


class FigureError(BaloraError):
    """A figure cannot be drawn; a fault of balora or of its drawing library."""


def shown(spec: Any, key: str = "") -> Any:
    """Return a specification with every text without control characters: these end the process that draws them.

    A name is a value of the data, the title of something, or an entry of a scale, never a field or an expression; each
    is escaped alike, so that values and scales still agree. The lines of a label remain lines.
    """
    if isinstance(spec, str):
        return "\n".join(map(printable, spec.split("\n"))) if key == LINES else printable(spec)
    if isinstance(spec, dict):
        return {name: shown(value, name) for name, value in spec.items()}
    return [shown(value) for value in spec] if isinstance(spec, list | tuple) else spec


def svg(spec: dict[str, Any]) -> str:
    """Return a transparent SVG."""
    import vl_convert

    try:
        drawn: str = vl_convert.vegalite_to_svg(shown(spec))
    except ValueError as error:
        raise FigureError(f"a figure cannot be drawn: {str(error).splitlines()[0]}") from None
    return drawn


def file(spec: dict[str, Any], kind: Format) -> bytes:
    """Return the figure on white, as the bytes of an SVG, PNG or PDF file."""
    import vl_convert

    drawn = svg({**spec, "background": WHITE})
    if kind is Format.PNG:
        return bytes(vl_convert.svg_to_png(drawn, scale=SCALE))
    return bytes(vl_convert.svg_to_pdf(drawn)) if kind is Format.PDF else drawn.encode()
