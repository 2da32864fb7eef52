"""Render specifications as SVG, PNG and PDF by vl-convert: Vega itself, without a browser."""

from typing import Any

from balora.errors import BaloraError
from balora.report.formats import Format

SCALE = 2.0
"""Device pixels per pixel of a PNG."""
WHITE = "#ffffff"


class FigureError(BaloraError):
    """A figure cannot be drawn; a fault of balora or of its drawing library."""


def svg(spec: dict[str, Any]) -> str:
    """Return a transparent SVG."""
    import vl_convert

    try:
        drawn: str = vl_convert.vegalite_to_svg(spec)
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
